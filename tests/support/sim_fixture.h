// A simulated cluster for tests of whole members: its world, and virtual time that passes until something
// holds.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "sim/client.h"
#include "sim/cluster.h"

namespace raftd::sim {

/// Many archives in a short run.
inline ClusterOptions small_archives() {
    ClusterOptions options;
    options.segment_bytes = 64u << 10;
    options.buffer_bytes = 32u << 10;
    options.wal_keep_bytes = 128u << 10;
    options.state.archive = {.bytes = 16u << 10, .entries = 40};
    return options;
}
/// As many, and no segment is kept below the newest snapshot.
inline ClusterOptions no_log_kept() {
    ClusterOptions options;
    options.segment_bytes = 32u << 10;
    options.buffer_bytes = 64u << 10;
    options.wal_keep_bytes = 0;
    options.state.archive = {.bytes = 16u << 10, .entries = 64};
    return options;
}

struct SimFixture {
    Kernel kernel;
    SimNetwork network;
    Trace trace;
    Reached reached;
    Cluster cluster;
    Ledger ledger{cluster.truth(), reached};
    std::unique_ptr<SimClient> writer;

    explicit SimFixture(uint64_t seed, const ClusterOptions& options = {})
        : kernel(seed), network(kernel, seed + 1), cluster(kernel, network, trace, reached, options) {}

    template <class Done>
    void until(Done&& done, Duration at_most = seconds(90)) {
        Instant end = kernel.now() + at_most;
        while (!done() && kernel.now() < end) kernel.run_until(kernel.now() + milliseconds(1));
        ASSERT_TRUE(done());
    }
    void run_for(Duration time) { kernel.run_until(kernel.now() + time); }

    void start_all() {
        for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.start(i);
        until([&] { return leader() != 0 && cluster.truth().committed() > 0; });
    }
    /// All members, and a client that appends 200 records a second, for so long.
    void start_loaded(Duration time) {
        start_all();
        ClientLoad load;
        load.appends_per_second = 200;
        load.reads_per_second = 0;
        start_writer(load);
        run_for(time);
    }
    void start_writer(const ClientLoad& load) {
        writer = std::make_unique<SimClient>(kernel, network, ledger, reached, 1, cluster.names(), load);
        writer->start();
    }

    /// Everybody applies all there is, and then has the same state.
    void expect_states_equal() {
        writer->set_appending(false);
        until([&] {
            for (uint32_t i = 1; i <= cluster.count(); ++i)
                if (!cluster.up(i) || state(i).applied() != Index{cluster.truth().committed()}) return false;
            return writer->outstanding() == 0;
        });
        for (uint32_t i = 1; i <= cluster.count(); ++i) {
            cluster.truth().check_state(i, state(i));
            EXPECT_EQ(state(i).digest(), state(1).digest());
        }
    }
    /// Each member gives out all records.
    void expect_read_whole() {
        const auto wanted = static_cast<int64_t>(raw(cluster.truth().committed_lsn_end()) - 1);
        for (uint32_t i = 1; i <= cluster.count(); ++i) {
            writer->read_all(Cluster::name_of(i));
            until([&] { return writer->whole_read() >= 0; });
            EXPECT_EQ(writer->whole_read(), wanted) << "n" << i;
        }
    }

    /// 0: nobody leads.
    uint32_t leader() { return cluster.truth().leader(); }
    uint32_t follower() { return leader() == 1 ? 2 : 1; }
    const daemon::State& state(uint32_t member) const { return cluster.node(member)->state(); }
    /// Cuts every way between this member and the others, or heals them.
    void isolate(uint32_t member, bool on) {
        for (uint32_t other = 1; other <= cluster.count(); ++other) {
            if (other == member) continue;
            network.cut(member, other, on);
            network.cut(other, member, on);
        }
    }
};

}  // namespace raftd::sim
