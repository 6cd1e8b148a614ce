// bench_long_log DATA_DIR [--records N] [--record-bytes B] [--batch-records N] [--archived-fraction F]
// [--unstored N] [--producers N] [--segment-bytes B]: fills a new member's data directory as after a long
// life (tests/bench/long_log.h), and says as one line of JSON what is in it.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/bench/long_log.h"

int main(int argc, char** argv) {
    raftd::bench::LongLog wanted;
    std::map<std::string, uint64_t*> numbers{
        {"--records", &wanted.records},     {"--record-bytes", &wanted.record_bytes},
        {"--unstored", &wanted.unstored},   {"--batch-records", &wanted.batch_records},
        {"--producers", &wanted.producers}, {"--segment-bytes", &wanted.segment_bytes},
    };
    bool good = argc >= 2 && argc % 2 == 0;
    for (int i = 2; good && i + 1 < argc; i += 2) {
        auto known = numbers.find(argv[i]);
        if (known != numbers.end())
            *known->second = std::strtoull(argv[i + 1], nullptr, 10);
        else if (std::string(argv[i]) == "--archived-fraction")
            wanted.archived = std::atof(argv[i + 1]);
        else
            good = false;
    }
    good = good && wanted.batch_records > 0 && wanted.archived >= 0 && wanted.archived <= 1;
    if (!good) {
        std::fputs(
            "usage: bench_long_log DATA_DIR [--records N] [--record-bytes B] [--batch-records N]\n"
            "       [--archived-fraction F] [--unstored ENTRIES] [--producers N] [--segment-bytes B]\n",
            stderr);
        return 2;
    }
    auto made = raftd::bench::make_long_log(argv[1], wanted);
    if (!made) return std::fprintf(stderr, "%s\n", made.error().what.c_str()), 1;
    auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf(
        "{\"entries\":%llu,\"records\":%llu,\"archives\":%llu,\"archived_records\":%llu,"
        "\"first_ms\":%llu,\"last_ms\":%llu,\"producers\":%llu,\"digest\":\"%016llx\"}\n",
        number(made->entries), number(made->records), number(made->archives), number(made->archived_records),
        number(made->first_ms), number(made->last_ms), number(made->producers), number(made->digest));
    return 0;
}
