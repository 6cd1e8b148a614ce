// The replicated state over restarts, with a store that is whole, gone, old, somebody else's, damaged or
// full.
#include <gtest/gtest.h>

#include "tests/support/sim_fixture.h"

namespace raftd::sim {
namespace {

/// No archive ends, so there is nothing but the store and the log (sim_snapshot_test.cpp has the rest).
ClusterOptions without_snapshots() {
    ClusterOptions options;
    options.state.archive = {.bytes = UINT64_MAX, .entries = UINT64_MAX};
    return options;
}

struct StateTest : SimFixture, testing::Test {
    StateTest() : SimFixture(21, without_snapshots()) {}

    void SetUp() override { start_loaded(seconds(4)); }

    /// Where a member's state stands when it has just been started.
    Index applied_at_start(uint32_t member) {
        cluster.start(member);
        return state(member).applied();
    }
};

// A stop that asks for a flush again and again is never done with flushing: each one took 5 seconds.
TEST_F(StateTest, AStopIsOverOnceAllIsWritten) {
    uint32_t member = follower();
    Instant asked = kernel.now();
    cluster.stop(member);
    until([&] { return !cluster.up(member); });
    EXPECT_LT(kernel.now() - asked, seconds(1));
}

TEST_F(StateTest, AStopLeavesItWholeInTheStore) {
    uint32_t member = follower();
    cluster.stop(member);
    Index applied{};
    until([&] {
        if (cluster.up(member)) applied = state(member).applied();
        return !cluster.up(member);
    });
    EXPECT_GT(applied, Index{100});
    run_for(milliseconds(1));
    EXPECT_EQ(applied_at_start(member), applied);
    expect_states_equal();
}

TEST_F(StateTest, AKillOrAPowerCutLosesAtMostItsNewestPart) {
    for (int round = 0; round < 6; ++round) {
        uint32_t member = follower();
        Index before = state(member).applied();
        if (round % 2 == 0)
            cluster.kill(member);
        else
            cluster.cut_power(member, CrashPolicy::draw(kernel.random));
        run_for(milliseconds(300));
        EXPECT_LE(applied_at_start(member), before);
        if (round % 2 == 0) {
            EXPECT_GT(state(member).applied(), Index{0});
        }
        run_for(seconds(4));
    }
    expect_states_equal();
}

TEST_F(StateTest, WhateverBecomesOfTheStoreTheStateIsMadeAgainFromTheLog) {
    auto without = [&](auto change) {
        uint32_t member = follower();
        cluster.kill(member);
        change(cluster.store(member), cluster.store(member % 3 + 1));
        Index applied = applied_at_start(member);
        run_for(seconds(4));
        EXPECT_GT(state(member).applied(), applied);
        return applied;
    };
    EXPECT_EQ(without([](auto& store, auto&) { store.delete_all(); }), Index{0});
    EXPECT_EQ(without([](auto& store, auto&) { store.damage(); }), Index{0});
    EXPECT_EQ(without([](auto& store, auto& other) { store.copy_from(other); }), Index{0});
    EXPECT_GT(without([](auto& store, auto&) { store.roll_back(2); }), Index{0});
    EXPECT_EQ(without([](auto& store, auto&) { store.roll_back(1000); }), Index{0});
    expect_states_equal();
}

// H19: LevelDB takes nothing more after one refused write; the member goes on, and the store comes back.
TEST_F(StateTest, AStoreThatRefusesIsAnAlarmAndIsOpenedAnewWhenItCan) {
    for (uint64_t fails_at : {1, 2, 3}) {
        uint32_t member = cluster.truth().leader();
        SimStoreDisk& store = cluster.store(member);
        store.fail_at(fails_at, true);
        until([&] { return store.has_failed(); });
        run_for(seconds(3));
        EXPECT_NE(cluster.node(member)->dump().find("alarm=state_store"), std::string::npos);
        uint64_t acked = writer->acked();
        run_for(seconds(5));
        EXPECT_GT(writer->acked(), acked + 100);
        store.fail_at(0, false);
        until([&] { return cluster.node(member)->dump().find("alarm=state_store") == std::string::npos; });
        run_for(seconds(3));
        Index before = state(member).applied();
        cluster.kill(member);
        EXPECT_GT(applied_at_start(member) + 1000, before);
        EXPECT_GT(state(member).applied(), Index{0});
        run_for(seconds(3));
    }
    expect_states_equal();
}

TEST_F(StateTest, AStoreThatCannotBeOpenedAtAStartIsNeverARefusal) {
    uint32_t member = follower();
    cluster.kill(member);
    cluster.store(member).fail_at(1, true);
    EXPECT_EQ(applied_at_start(member), Index{0});
    run_for(seconds(5));
    EXPECT_GT(state(member).applied(), Index{100});
    cluster.store(member).fail_at(0, false);
    run_for(seconds(40));
    cluster.kill(member);
    EXPECT_GT(applied_at_start(member), Index{100});
    expect_states_equal();
}

// Not in one turn: behind a long log the member still answers in between.
TEST_F(StateTest, ALongLogIsAppliedInManyTurns) {
    uint32_t member = follower();
    run_for(seconds(20));
    cluster.kill(member);
    cluster.store(member).delete_all();
    cluster.start(member);
    uint64_t steps = 0;
    Index seen{};
    until([&] {
        steps += state(member).applied() != seen;
        seen = state(member).applied();
        return seen >= Index{cluster.truth().committed()} - 50;
    });
    EXPECT_GT(raw(seen), 3000u);
    EXPECT_GT(steps, 1u);
    expect_states_equal();
}

}  // namespace
}  // namespace raftd::sim
