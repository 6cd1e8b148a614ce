// test_crash: power cuts at every disk call of scripted work (tests/crash/enumerator.h).
//   test_crash [--disks N] [--disks-min M] [--seed S] [--ledger FILE] [options of gtest]
// --disks: of each script (default 300). --disks-min: fewer of all scripts together are a failure. --ledger:
// appends one line of what was looked at to FILE. Exits 1 when a disk isn't as it must be; the message names
// script, call and disk.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/crash/totals.h"

namespace raftd::crash {

Totals& totals() {
    static Totals all;
    return all;
}

Tally Totals::all() const {
    Tally sum;
    for (const auto& [name, tally] : scripts) sum.add(tally);
    return sum;
}

void look_at(const Script& script) {
    Options options = totals().options;
    options.disks = static_cast<uint64_t>(static_cast<double>(options.disks) / script.cost);
    const Tally tally = enumerate(script, options);
    totals().scripts[script.name].add(tally);
    if (testing::Test::HasFailure()) return;
    EXPECT_EQ(tally.moments, tally.changes + 1) << script.name;
    EXPECT_GE(tally.disks, tally.moments) << script.name << ": not every call was cut";
}

namespace {

void print(const std::string& name, const Tally& tally) {
    std::printf(
        "%-18s %5lu disk calls, %5lu change it (all cut), %7lu disks, %6lu torn, %6lu starts, %5lu cut; "
        "%lu of %lu moments whole:",
        name.c_str(),
        [&] {
            uint64_t calls = 0;
            for (const auto& [kind, count] : tally.calls) calls += count;
            return calls;
        }(),
        tally.changes, tally.disks, tally.torn, tally.starts, tally.starts_cut, tally.moments_complete,
        tally.moments);
    for (const auto& [kind, count] : tally.calls) std::printf(" %s %lu", kind.c_str(), count);
    std::printf("\n");
}

void write_ledger(const char* path, uint64_t seed, bool failed) {
    FILE* file = std::fopen(path, "a");
    if (file == nullptr) return std::perror(path);
    const Tally sum = totals().all();
    std::fprintf(file, "seed=%lu scripts=%zu changes=%lu moments=%lu disks=%lu starts=%lu failed=%d\n", seed,
                 totals().scripts.size(), sum.changes, sum.moments, sum.disks, sum.starts, failed);
    std::fclose(file);
}

}  // namespace
}  // namespace raftd::crash

int main(int argc, char** argv) {
    using namespace raftd::crash;
    testing::InitGoogleTest(&argc, argv);
    const char* ledger = nullptr;
    uint64_t disks_min = 0;
    totals().options.disks = 300;
    for (int at = 1; at < argc; at += 2) {
        const char* value = at + 1 < argc ? argv[at + 1] : nullptr;
        const uint64_t number = value == nullptr ? 0 : std::strtoull(value, nullptr, 10);
        const std::string option = argv[at];
        if (option == "--disks" && value != nullptr)
            totals().options.disks = number;
        else if (option == "--disks-min" && value != nullptr)
            disks_min = number;
        else if (option == "--seed" && value != nullptr)
            totals().options.seed = number;
        else if (option == "--ledger" && value != nullptr)
            ledger = value;
        else
            return std::fprintf(stderr, "test_crash: %s isn't known, or lacks its value\n", option.c_str()),
                   2;
    }
    int failed = RUN_ALL_TESTS();
    for (const auto& [name, tally] : totals().scripts) print(name, tally);
    print("all", totals().all());
    if (totals().all().disks < disks_min) {
        std::printf("fewer than %lu disks\n", disks_min);
        failed = 1;
    }
    if (ledger != nullptr) write_ledger(ledger, totals().options.seed, failed != 0);
    return failed;
}
