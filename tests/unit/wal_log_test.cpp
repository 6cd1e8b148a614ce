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

// Every write is answered by a completion, also one that asks for nothing new.
TEST(Wal, AWriteOfNothingNewBecomesDurableToo) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 2, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.append(0)));
    const WriteId with = rig.append(1);
    rig.append(0);
    ASSERT_TRUE(rig.until_durable(rig.append(0)));
    EXPECT_GE(rig.model.acked, with);
}

// What the loop thread pays for an entry must not depend on how many wait: one group, one hand-over, few
// parts.
TEST(Wal, AThousandEntriesAreOneGroup) {
    WalRig rig;
    rig.options.first_segment_bytes = rig.options.segment_bytes = 4 << 20;
    rig.options.group_bytes_max = 1 << 20;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    rig.storage.record_calls(true);
    ASSERT_TRUE(rig.until_durable(rig.write(0, 1000, {Term{1}, NodeId{1}}, 60)));
    EXPECT_EQ(rig.wal->counters().groups, 1u);
    EXPECT_EQ(rig.wal->counters().group_entries, 1000u);
    uint64_t writes = 0;
    for (const auto& call : rig.storage.recorded()) writes += call.op == sim::DiskOp::write;
    EXPECT_EQ(writes, 1u);
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
