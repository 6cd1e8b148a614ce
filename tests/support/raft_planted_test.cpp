// The checks of the random runs find bugs that are there: each planted one (base/planted.h) within a few
// hundred seeds. Built with its own copy of raft/, compiled with RAFTD_PLANTED.
#include <gtest/gtest.h>

#include "base/check.h"
#include "base/planted.h"
#include "tests/support/raft_schedule.h"

namespace raftd {
PlantedBug planted_bug = PlantedBug::none;
}

namespace raftd::raft::test {
namespace {

void fail_the_run(std::string_view message) { throw Violation(std::string(message)); }

/// The first seed that fails; 0: none did.
uint64_t first_found(uint64_t seeds, std::string& how) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        set_check_hook(fail_the_run);  // it is taken away when it runs
        try {
            Schedule(seed).go(6000);
        } catch (const Violation& violation) {
            how = violation.what();
            return seed;
        }
    }
    return 0;
}

class RaftPlanted : public testing::TestWithParam<PlantedBug> {};

TEST_P(RaftPlanted, IsFound) {
    std::string how;
    planted_bug = GetParam();
    const uint64_t seed = first_found(1000, how);
    planted_bug = PlantedBug::none;
    EXPECT_NE(seed, 0u) << "no run noticed it";
    RecordProperty("seed", std::to_string(seed));
    RecordProperty("how", how);
    std::printf("seed %lu: %s\n", seed, how.c_str());
}

INSTANTIATE_TEST_SUITE_P(Bugs, RaftPlanted,
                         testing::Values(PlantedBug::vote_before_durable, PlantedBug::commit_older_term,
                                         PlantedBug::truncate_on_match, PlantedBug::count_unsynced_self,
                                         PlantedBug::commit_unverified, PlantedBug::keep_cut_configuration,
                                         PlantedBug::one_half_decides));

TEST(RaftPlantedNone, NothingIsFound) {
    std::string how;
    EXPECT_EQ(first_found(100, how), 0u) << how;
}

}  // namespace
}  // namespace raftd::raft::test
