// bench_reads HOST:PORT --kind get|time --first N --last N [--count N] [--warm-up N]
// [--record-bytes B] [--seed N]: random reads of one record each of a log that bench_long_log made, one after
// the other over one connection of the client's library; every answer is compared with what was asked for.
//   get: by LSN, of [first, last]    time: the first record stamped at MS or later, of [first, last] ms
// One line of JSON: microseconds from the question to the record.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "client/client.h"
#include "tests/bench/long_log.h"

namespace raftd::bench {
namespace {

struct Asked {
    std::string address, kind = "get";
    uint64_t first = 1, last = 1, count = 1000, warm_up = 100, record_bytes = 100, seed = 1;
};

int fail(const std::string& why) {
    std::fprintf(stderr, "bench_reads: %s\n", why.c_str());
    return 1;
}

/// Empty: as it should be.
std::string wrong(const Asked& asked, uint64_t value, const client::Record& record) {
    std::string text(asked.record_bytes, '\0');
    fill_record(raw(record.lsn), text.data(), text.size());
    if (as_text(record.data) != text) return "record " + std::to_string(raw(record.lsn)) + " has other bytes";
    const uint64_t got = asked.kind == "get" ? raw(record.lsn) : record.timestamp_ms;
    if (got != value) return "asked for " + std::to_string(value) + ", got " + std::to_string(got);
    return {};
}

int run(const Asked& asked) {
    client::SessionOptions session;
    session.endpoints = {asked.address};
    auto client = client::Client::open(session);
    if (!client) return fail(client.error().what);
    if (auto done = client->connect(seconds(10)); !done) return fail(done.error().what);
    Random random(asked.seed);
    std::vector<double> took;
    for (uint64_t i = 0; i < asked.warm_up + asked.count; ++i) {
        client::TailOptions wanted;
        wanted.value = asked.first + random.below(asked.last - asked.first + 1);
        wanted.from = asked.kind == "get" ? client::From::lsn : client::From::time_ms;
        if (asked.kind == "get") wanted.to = Lsn{wanted.value};
        const Instant begin = client->now();
        client::Tail tail = client->tail(wanted);
        client::Record record;
        while (tail.next({&record, 1}, milliseconds(100)) == 0)
            if (tail.ended()) return fail(tail.failure() ? tail.failure()->what : "no such record");
        if (i >= asked.warm_up) took.push_back(static_cast<double>((client->now() - begin).ns) / 1000);
        if (std::string why = wrong(asked, wanted.value, record); !why.empty()) return fail(why);
    }
    std::sort(took.begin(), took.end());
    auto at = [&](double part) {
        return took[static_cast<size_t>(part * static_cast<double>(took.size() - 1))];
    };
    std::printf(
        "{\"kind\":\"%s\",\"count\":%zu,\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f}\n",
        asked.kind.c_str(), took.size(), at(0.5), at(0.9), at(0.99), at(1));
    return 0;
}

}  // namespace
}  // namespace raftd::bench

int main(int argc, char** argv) {
    raftd::bench::Asked asked;
    std::map<std::string, uint64_t*> numbers{
        {"--first", &asked.first},     {"--last", &asked.last},
        {"--count", &asked.count},     {"--record-bytes", &asked.record_bytes},
        {"--warm-up", &asked.warm_up}, {"--seed", &asked.seed},
    };
    bool good = argc >= 2 && argc % 2 == 0;
    if (good) asked.address = argv[1];
    for (int i = 2; good && i + 1 < argc; i += 2) {
        auto known = numbers.find(argv[i]);
        if (known != numbers.end())
            *known->second = std::strtoull(argv[i + 1], nullptr, 10);
        else if (std::string(argv[i]) == "--kind")
            asked.kind = argv[i + 1];
        else
            good = false;
    }
    good =
        good && (asked.kind == "get" || asked.kind == "time") && asked.first <= asked.last && asked.count > 0;
    if (!good) {
        std::fputs(
            "usage: bench_reads HOST:PORT --kind get|time --first N --last N [--count N] [--warm-up N]\n"
            "       [--record-bytes B] [--seed N]\n",
            stderr);
        return 2;
    }
    return raftd::bench::run(asked);
}
