// A plan that says less than the change does, or lets one through that stops the cluster, is worse than none.
#include "daemon/membership_plan.h"

#include <gtest/gtest.h>

#include "raft/quorum.h"

namespace raftd::daemon {
namespace {

using raft::Refusal;
using Kind = PlanStep::Kind;

/// Learners are negative.
Membership members(std::initializer_list<int> ids) {
    Membership out;
    for (int id : ids)
        out.now.push_back({NodeId{static_cast<uint64_t>(id < 0 ? -id : id)}, id < 0, false, 0});
    return out;
}
std::vector<NodeId> ids(std::initializer_list<uint64_t> numbers) {
    std::vector<NodeId> out;
    for (uint64_t number : numbers) out.push_back(NodeId{number});
    return out;
}
PlanGiven given(std::initializer_list<uint64_t> up, uint64_t used) {
    PlanGiven out;
    for (uint64_t id : up) out.up.insert(NodeId{id});
    out.ids_used_upto = NodeId{used};
    return out;
}

TEST(MembershipPlan, NothingToDoIsNoStep) {
    const Plan made = plan(members({1, 2, 3}), members({1, 2, 3}), given({1}, 3));
    EXPECT_TRUE(made.steps.empty());
    EXPECT_FALSE(made.refused);
}

TEST(MembershipPlan, GrowingTakesLearnersFirstThenOneJointChange) {
    const Plan made = plan(members({1}), members({1, 2, 3}), given({1, 2, 3}, 1));
    ASSERT_FALSE(made.refused);
    ASSERT_EQ(made.steps.size(), 3u);
    EXPECT_EQ(made.steps[0].kind, Kind::add_learners);
    EXPECT_EQ(made.steps[0].after, members({1, -2, -3}));
    EXPECT_EQ(made.steps[0].any_failures, 0u);
    EXPECT_EQ(made.steps[1].kind, Kind::joint);
    ASSERT_EQ(made.steps[1].halves.size(), 2u);
    EXPECT_EQ(made.steps[1].halves[1].majority, 2u);
    EXPECT_EQ(made.steps[1].any_failures, 0u);
    EXPECT_EQ(made.steps[2].after, members({1, 2, 3}));
    EXPECT_EQ(made.steps[2].any_failures, 1u);
}

TEST(MembershipPlan, LearnersAloneNeedNoJointStep) {
    const Plan made = plan(members({1, 2, 3}), members({1, 2, 3, -4}), given({1, 2}, 3));
    ASSERT_EQ(made.steps.size(), 1u);
    EXPECT_EQ(made.steps[0].kind, Kind::settle);
    EXPECT_EQ(made.steps[0].any_failures, 1u);
    EXPECT_FALSE(made.refused);
}

TEST(MembershipPlan, EachStepMayFollowTheOneBefore) {
    const std::initializer_list<std::pair<Membership, Membership>> changes = {
        {members({1, 2, 3}), members({4, 5, 6})}, {members({1, 2, 3, -4}), members({1, -2, 4})},
        {members({1, 2}), members({-1, 2})},      {members({1}), members({1, 2, 3, 4, 5, 6, 7, 8, 9})},
        {members({1, 2, 3}), members({2})},
    };
    for (const auto& [from, to] : changes) {
        const Plan made = plan(from, to, given({1, 2, 3, 4, 5, 6, 7, 8, 9}, raw(from.now.back().id)));
        EXPECT_FALSE(made.refused);
        const Membership* before = &from;
        for (const PlanStep& step : made.steps) {
            EXPECT_TRUE(raft::well_formed(step.after));
            EXPECT_TRUE(raft::may_follow(*before, step.after));
            before = &step.after;
        }
        EXPECT_EQ(before->now, to.now);
    }
}

TEST(MembershipPlan, SaysWhichStepWouldLoseTheQuorum) {
    // 3 and 4 are down: the present three can decide, {1 3 4} could not.
    const Plan lost = plan(members({1, 2, 3, -4}), members({1, -2, 3}), given({1, 2}, 4));
    ASSERT_TRUE(lost.refused);
    EXPECT_EQ(lost.refused->step, 0u);
    EXPECT_EQ(lost.refused->why, Refusal::would_lose_quorum);
    EXPECT_EQ(lost.refused->missing, ids({3}));
    // New voters that nobody can reach: they may come as learners, not further.
    const Plan dead = plan(members({1, 2, 3}), members({1, 2, 3, 4, 5}), given({1, 2, 3, 4}, 3));
    ASSERT_TRUE(dead.refused);
    EXPECT_EQ(dead.refused->step, 1u);
    EXPECT_EQ(dead.refused->why, Refusal::not_caught_up);
    EXPECT_EQ(dead.refused->missing, ids({5}));
    EXPECT_EQ(dead.steps.size(), 2u);
    // The present ones are too few to begin anything.
    const Plan stuck = plan(members({1, 2, 3}), members({1}), given({1}, 3));
    ASSERT_TRUE(stuck.refused);
    EXPECT_EQ(stuck.refused->why, Refusal::would_lose_quorum);
    EXPECT_EQ(stuck.refused->missing, ids({2, 3}));
}

TEST(MembershipPlan, RefusesWhatTheCoreWouldRefuse) {
    auto why = [](const Membership& from, const Membership& to, PlanGiven known) {
        const Plan made = plan(from, to, known);
        return made.refused ? std::optional(made.refused->why) : std::nullopt;
    };
    Membership joint = members({1, 2});
    joint.next = members({1}).now;
    EXPECT_EQ(why(joint, members({1}), given({1, 2}, 2)), Refusal::in_progress);
    EXPECT_EQ(why(members({1}), joint, given({1, 2}, 2)), Refusal::malformed);
    EXPECT_EQ(why(members({1, 2}), members({-1, -2}), given({1, 2}, 2)), Refusal::malformed);
    EXPECT_EQ(why(members({1, 3}), members({1, 2, 3}), given({1, 2, 3}, 3)), Refusal::id_used);
    EXPECT_EQ(why(members({1}), members({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), given({1}, 1)), Refusal::too_many);
    PlanGiven few = given({1, 2, 3}, 2);
    few.members_max = 2;
    EXPECT_EQ(why(members({1, 2}), members({1, 2, -3}), few), Refusal::too_many);
}

TEST(MembershipPlan, LossesOfAJointConfigurationMustSpareBothHalves) {
    Membership joint = members({1, 2, 3});
    joint.next = members({3, 4, 5}).now;
    EXPECT_TRUE(survives(joint, ids({1, 4})));
    EXPECT_TRUE(survives(joint, ids({3})));
    EXPECT_FALSE(survives(joint, ids({1, 3})));
    EXPECT_FALSE(survives(joint, ids({4, 5})));
    const std::vector<std::vector<NodeId>> expected{ids({1, 4}), ids({1, 5}), ids({2, 4}), ids({2, 5}),
                                                    ids({3})};
    EXPECT_EQ(greatest_losses(joint), expected);
    EXPECT_EQ(greatest_losses(members({1, 2, 3, 4, 5})).size(), 10u);
    EXPECT_EQ(greatest_losses(members({1, 2})), std::vector<std::vector<NodeId>>{{}});
}

}  // namespace
}  // namespace raftd::daemon
