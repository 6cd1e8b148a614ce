#include "tests/support/wal_rig.h"

namespace raftd::wal {
namespace {

TEST(Wal, AppendsAreDurableAndFoundAgain) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_TRUE(rig.wal->closed());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{2}})));
    EXPECT_FALSE(rig.wal->closed());
    ASSERT_TRUE(rig.until_durable(rig.append(5)));
    rig.until_quiet();
    EXPECT_TRUE(rig.wal->closed());
    EXPECT_EQ(rig.wal->counters().marker_groups, 1u);
    rig.check_content();
    rig.crash(sim::CrashPolicy::lose_all());
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_EQ(rig.found.last, rig.model.end());
    EXPECT_EQ(rig.found.hard, (HardState{Term{1}, NodeId{2}}));
}

TEST(Wal, RollsOverManySegmentsAndReadsAcrossThem) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    rig.write(0, 1, {Term{1}, NodeId{1}});
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(rig.until_durable(rig.append(10)));
    EXPECT_GT(rig.wal->counters().rolls, 5u);
    rig.until_quiet();
    rig.check_content();
    rig.crash();
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_EQ(rig.found.last, rig.model.end());
    EXPECT_LT(rig.found.report.bytes_read, 10u * (64 << 10));  // footers, not bodies, of sealed ones
}

TEST(Wal, WritesMergeWhileAGroupIsInFlight) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    WriteId last = rig.write(0, 1, {Term{1}, NodeId{1}});
    for (int i = 0; i < 20; ++i) last = rig.append(1, 20);
    ASSERT_TRUE(rig.until_durable(last));
    EXPECT_EQ(rig.wal->counters().groups, 2u);
}

TEST(Wal, ATruncationRollsAndTheOldSuffixIsNeverRead) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 30, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.write(12, 3, {Term{2}, NodeId{3}})));
    EXPECT_EQ(rig.wal->counters().rolls, 1u);
    rig.check_content();
    ASSERT_TRUE(rig.until_durable(rig.write(5, 0, {Term{3}, NodeId{}})));
    ASSERT_TRUE(rig.until_durable(rig.append(40)));
    rig.check_content();
    rig.crash();
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_EQ(rig.found.last, rig.model.end());
}

}  // namespace
}  // namespace raftd::wal
