// A session that appends to a cluster in memory, and the outcomes it was given.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "client/session.h"
#include "tests/support/fake_cluster.h"

namespace raftd::fakes {

using client::Appended;
using client::Batch;
using client::Outcome;
using client::Session;
using client::SessionOptions;

struct Writer {
    FakeCluster& cluster;
    Session session;
    std::vector<Appended> done;

    Writer(FakeCluster& the_cluster, SessionOptions options)
        : cluster(the_cluster), session(cluster, cluster, with(cluster, std::move(options))) {
        cluster.attach(session);
    }
    static SessionOptions with(const FakeCluster& cluster, SessionOptions options) {
        options.endpoints = cluster.addresses();
        return options;
    }
    uint64_t submit(std::string_view text, Lsn expect = {}) {
        Batch batch = Batch::of(as_bytes(text));
        batch.expect = expect;
        return session.submit(std::move(batch));
    }
    void submit_many(int first, int last) {
        for (int i = first; i <= last; ++i) submit("r" + std::to_string(i));
    }
    void collect() {
        Appended one;
        while (session.take(one)) done.push_back(one);
    }
    bool wait_for(size_t count, Duration limit = seconds(60)) {
        cluster.attach(session);
        return cluster.run_until([&] { return collect(), done.size() >= count; }, limit);
    }
    size_t count(Outcome outcome) const {
        return static_cast<size_t>(std::count_if(
            done.begin(), done.end(), [&](const Appended& one) { return one.outcome == outcome; }));
    }
};

}  // namespace raftd::fakes
