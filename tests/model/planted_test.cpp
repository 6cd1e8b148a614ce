// The model sees: each bug planted in the core (base/planted.h) is found within small bounds, and nothing is
// found without one.
#include <gtest/gtest.h>

#include "base/check.h"
#include "base/planted.h"
#include "tests/model/explore.h"

namespace raftd {
PlantedBug planted_bug = PlantedBug::none;
}

namespace raftd::raft::model {
namespace {

struct Case {
    PlantedBug bug;
    const char* profile;
};

class ModelPlanted : public testing::TestWithParam<Case> {};

TEST_P(ModelPlanted, IsFound) {
    planted_bug = GetParam().bug;
    const Found found = explore(profile(GetParam().profile), 3'000'000);
    planted_bug = PlantedBug::none;
    EXPECT_NE(found.violation, "") << found.states << " states";
    std::printf("%s: %lu states, depth %zu: %s\n", GetParam().profile, found.states, found.depth,
                found.violation.substr(0, found.violation.find('\n')).c_str());
}

INSTANTIATE_TEST_SUITE_P(Bugs, ModelPlanted,
                         testing::Values(Case{PlantedBug::vote_before_durable, "disk"},
                                         Case{PlantedBug::commit_older_term, "probe"},
                                         Case{PlantedBug::truncate_on_match, "late"},
                                         Case{PlantedBug::count_unsynced_self, "disk"},
                                         Case{PlantedBug::commit_unverified, "probe"},
                                         Case{PlantedBug::keep_cut_configuration, "remove"},
                                         Case{PlantedBug::one_half_decides, "swap"}));

TEST(ModelPlantedNone, NothingIsFound) {
    for (const char* name : {"late", "disk", "remove", "swap"}) {
        const Found found = explore(profile(name), 50'000);
        EXPECT_EQ(found.violation, "") << name;
    }
}

}  // namespace
}  // namespace raftd::raft::model
