// A graceful stop in whole simulated clusters: the leader hands over first, and appenders notice nothing.
#include <gtest/gtest.h>

#include "tests/support/sim_fixture.h"

namespace raftd::sim {
namespace {

struct LeavingTest : SimFixture, testing::Test {
    LeavingTest() : SimFixture(21) {}

    void SetUp() override {
        start_all();
        ClientLoad load;
        load.appends_per_second = 500;
        load.reads_per_second = 0;
        load.timeout = seconds(50);
        start_writer(load);
        until([&] { return writer->acked() > 100; });
    }
};

TEST_F(LeavingTest, AStoppedLeaderHandsOverAndNoAppendFails) {
    for (int round = 0; round < 10; ++round) {
        uint32_t old = leader();
        ASSERT_NE(old, 0u);
        Instant asked = kernel.now();
        cluster.stop(old);
        until([&] { return !cluster.up(old); });
        // A heartbeat of listening, the transfer, a heartbeat of silence; an election would take T or more.
        EXPECT_LT((kernel.now() - asked).ns, cluster.election_timeout().ns);
        EXPECT_NE(leader(), 0u) << "nobody leads when the old leader has gone";
        uint64_t before = writer->acked();
        until([&] { return writer->acked() > before + 50; });
        cluster.start(old);
        until([&] { return cluster.up(old) && cluster.node(old)->core().leader() != NodeId{}; });
    }
    EXPECT_EQ(reached[Reach::append_unknown], 0u);
}

TEST_F(LeavingTest, AllStoppedAtOnceHandNothingOver) {
    Term term = cluster.node(leader())->core().term();
    writer->set_appending(false);
    until([&] { return writer->outstanding() == 0; });
    Instant asked = kernel.now();
    for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.stop(i);
    until([&] {
        for (uint32_t i = 1; i <= cluster.count(); ++i) {
            if (!cluster.up(i)) continue;
            EXPECT_EQ(raw(cluster.node(i)->core().term()), raw(term));
        }
        return !cluster.up(1) && !cluster.up(2) && !cluster.up(3);
    });
    EXPECT_LT((kernel.now() - asked).ns, seconds(1).ns) << "nobody is there to wait for";
}

// Its successor dies in the middle of the transfer: the stop ends all the same, and another is elected.
TEST_F(LeavingTest, ADeadSuccessorDoesNotHoldTheStopUp) {
    uint32_t old = leader();
    for (uint32_t i = 1; i <= cluster.count(); ++i)
        if (i != old) cluster.pause(i, true);
    Instant asked = kernel.now();
    cluster.stop(old);
    until([&] { return !cluster.up(old); });
    EXPECT_LT((kernel.now() - asked).ns, seconds(8).ns);
    for (uint32_t i = 1; i <= cluster.count(); ++i)
        if (i != old) cluster.pause(i, false);
    uint64_t before = writer->acked();
    until([&] { return writer->acked() > before; });
}

}  // namespace
}  // namespace raftd::sim
