// test_disk_calls: the real disk against the simulated one, and with faults at its Nth call.
//   test_disk_calls [--step N] [--seed S] [options of gtest]
// --step: every Nth place of a fault (default 5; 1: all), from the one that the seed says. Prints fault by
// outcome. It starts itself with --work, --files or --check FILE, for a member's life over the files of ./d.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/disk_calls/child.h"
#include "tests/disk_calls/faults.h"

namespace {

void print_outcomes() {
    using raftd::disk_calls::faults;
    if (faults().runs == 0) return;
    std::printf("%-22s %8s %8s %8s %8s %8s %8s\n", "fault", "goes on", "waits", "refused", "exit 20",
                "killed", "hangs");
    for (const auto& [fault, outcomes] : faults().outcomes) {
        std::printf("%-22s", fault.c_str());
        for (const char* outcome : {"goes on", "waits", "refused", "exit 20", "killed", "hangs"}) {
            const auto found = outcomes.find(outcome);
            std::printf(" %8lu", found == outcomes.end() ? 0 : found->second);
        }
        std::printf("\n");
    }
    std::printf("%lu faults; after %lu the next start had all that was acknowledged\n", faults().runs,
                faults().kept);
}

}  // namespace

int main(int argc, char** argv) {
    using raftd::disk_calls::faults;
    if (argc >= 2 && (std::strcmp(argv[1], "--work") == 0 || std::strcmp(argv[1], "--files") == 0))
        return raftd::disk_calls::run_mode(argv[1]);
    if (argc >= 3 && std::strcmp(argv[1], "--check") == 0)
        return raftd::disk_calls::run_mode(std::string("--check=") + argv[2]);
    testing::InitGoogleTest(&argc, argv);
    for (int at = 1; at + 1 < argc; at += 2) {
        const uint64_t number = std::strtoull(argv[at + 1], nullptr, 10);
        if (std::strcmp(argv[at], "--step") == 0)
            faults().step = std::max<uint64_t>(1, number);
        else if (std::strcmp(argv[at], "--seed") == 0)
            faults().seed = number;
        else
            return std::fprintf(stderr, "test_disk_calls: %s isn't known\n", argv[at]), 2;
    }
    const int failed = RUN_ALL_TESTS();
    print_outcomes();
    return failed;
}
