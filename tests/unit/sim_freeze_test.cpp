// A cluster that is frozen: asked of one member, known to all, also to one that was away; kept over restarts
// and power cuts; nothing goes, appends go on; and a snapshot is installed over nobody's entries.
#include <gtest/gtest.h>

#include "tests/support/sim_fixture.h"
#include "tests/support/talker.h"

namespace raftd::sim {
namespace {

constexpr uint64_t kHourMs = 3600 * 1000;

struct SimFreeze : SimFixture, testing::Test {
    Talker talker{kernel, network, 190};

    SimFreeze() : SimFixture(81, no_log_kept()) {}
    void SetUp() override { start_loaded(seconds(3)); }
    pb::Frozen freeze(uint32_t member, uint64_t version, uint64_t for_ms) {
        pb::Request request;
        request.mutable_freeze()->set_version(version);
        request.mutable_freeze()->set_for_ms(for_ms);
        talker.be_client_of(Cluster::name_of(member));
        const uint32_t stream = talker.ask(request);
        until([&] { return talker.heard.answers.contains(stream); });
        return talker.heard.answers[stream].frozen();
    }
    bool frozen(uint32_t member) {
        return cluster.up(member) && cluster.node(member)->dump().find("alarm=frozen") != std::string::npos;
    }
    Index snapshot_of(uint32_t member) {
        const auto* taken = cluster.node(member)->snapshot();
        return taken == nullptr ? Index{} : taken->at.index;
    }
    bool all(bool wanted) { return frozen(1) == wanted && frozen(2) == wanted && frozen(3) == wanted; }
};

TEST_F(SimFreeze, WhatOneIsToldAllKnowAndAppendsGoOn) {
    freeze(follower(), 1, 20'000);
    until([&] { return all(true); }, seconds(2));
    run_for(seconds(2));  // what was under way has ended
    Index before[4];
    for (uint32_t i = 1; i <= 3; ++i) before[i] = snapshot_of(i);
    const uint64_t committed = cluster.truth().committed();
    run_for(seconds(10));
    EXPECT_GT(cluster.truth().committed(), committed + 500);
    for (uint32_t i = 1; i <= 3; ++i) EXPECT_EQ(snapshot_of(i), before[i]);
    until([&] { return all(false); }, seconds(15));
    until([&] {
        for (uint32_t i = 1; i <= 3; ++i)
            if (snapshot_of(i) < Index{committed + 500}) return false;
        return true;
    });
    for (uint32_t i = 1; i <= 3; ++i) {
        cluster.truth().check_archives(i, cluster.node(i)->snapshot()->archives);
        cluster.audit(i);
    }
}

TEST_F(SimFreeze, ItOutlivesPowerCutsAndWhoWasAwayIsTold) {
    cluster.kill(3);
    freeze(1, 1, kHourMs);
    cluster.start(3);
    until([&] { return frozen(3); }, seconds(10));
    run_for(seconds(1));
    for (uint32_t i = 1; i <= 3; ++i) cluster.cut_power(i, CrashPolicy::lose_all());
    run_for(seconds(1));
    for (uint32_t i = 1; i <= 3; ++i) cluster.start(i);
    until([&] { return cluster.up(1) && cluster.up(2) && cluster.up(3); });
    EXPECT_TRUE(all(true));
    run_for(seconds(5));
    // Taken back while one is away: it comes back frozen, and is told.
    cluster.kill(2);
    freeze(1, 2, 0);
    until([&] { return !frozen(1) && !frozen(3); }, seconds(5));
    cluster.start(2);
    until([&] { return cluster.up(2) && !frozen(2); }, seconds(10));
}

// Its entries may be the ones that somebody wants to look at.
TEST_F(SimFreeze, NoSnapshotIsInstalledOverEntries) {
    const uint32_t member = follower();
    const Index last = cluster.node(member)->core().last();
    cluster.kill(member);
    until([&] {
        return leader() != 0 && leader() != member && cluster.up(leader()) &&
               cluster.node(leader())->core().view().base.index > last;
    });
    freeze(leader(), 1, kHourMs);
    cluster.start(member);
    until([&] { return frozen(member); }, seconds(10));
    run_for(seconds(20));
    EXPECT_EQ(reached[Reach::snapshot_installed], 0u);
    EXPECT_EQ(cluster.node(member)->core().last(), last);
    freeze(leader(), 2, 0);
    until([&] { return reached[Reach::snapshot_installed] == 1; });
}

}  // namespace
}  // namespace raftd::sim
