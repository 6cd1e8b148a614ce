// Random schedules over bare cores (tests/support/raft_schedule.h). Without them an interleaving nobody
// thought of goes unseen until the simulator's next night. RAFTD_SEED=n runs one, RAFTD_SEEDS=n that many.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/raft_schedule.h"

namespace raftd::raft::test {
namespace {

TEST(RaftRandom, SafeUnderAnyScheduleAndLiveOnceHealed) {
    const char* one = std::getenv("RAFTD_SEED");
    const char* many = std::getenv("RAFTD_SEEDS");
    const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 0) : 1;
    const uint64_t count = one != nullptr ? 1 : many != nullptr ? std::strtoull(many, nullptr, 0) : 60;
    uint64_t changes = 0;
    for (uint64_t seed = first; seed < first + count; ++seed) {
        Schedule schedule(seed);
        try {
            schedule.go(6000);
            changes += schedule.changes();
        } catch (const Violation& violation) {
            FAIL() << violation.what() << "; repeat with RAFTD_SEED=" << seed << "\n" << schedule.describe();
        }
    }
    std::printf("%lu runs, %lu changes of members committed\n", count, changes);
    if (count >= 60) {
        EXPECT_GT(changes, count / 2);
    }
}

}  // namespace
}  // namespace raftd::raft::test
