#include "tests/support/wal_rig.h"
#include "wal/recovery.h"

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

// What a start reads: the rest of the open segment once, since a group there would be a witness; once the one
// made ahead, since its header may be what was lost; of sealed ones the footers.
TEST(Wal, AStartReadsTheOpenSegmentOnceAndLittleElse) {
    for (const uint64_t entries : {1, 2000}) {
        WalRig rig;
        rig.options.first_segment_bytes = rig.options.segment_bytes = 8u << 20;
        rig.init();
        ASSERT_TRUE(rig.start()) << rig.why();
        ASSERT_TRUE(rig.until_durable(rig.write(0, entries, {Term{1}, NodeId{1}}, 30'000)));
        rig.until_quiet();
        rig.crash(sim::CrashPolicy::lose_all());
        ASSERT_TRUE(rig.start()) << rig.why();
        EXPECT_EQ(rig.found.report.segments > 1, entries > 1);
        const uint64_t sealed = rig.found.report.segments - 1;
        EXPECT_LE(rig.found.report.bytes_read, (2 * 8u << 20) + (sealed + 2) * (1u << 20));
        EXPECT_EQ(rig.found.report.torn_bytes, 0u);
    }
}

// A stretch as large as a drive's erase block, and the power went before the predecessor's seal was on the
// disk.
TEST(Wal, GroupsFarBehindALostBeginningAreNoSpare) {
    WalRig rig;
    rig.options.first_segment_bytes = rig.options.segment_bytes = 8u << 20;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    const std::vector<std::byte> seal(kBlockBytes), beginning(4u << 20);
    const auto in_second = [&] {
        const std::vector<std::byte> bytes = rig.storage.visible_bytes(segment_path("d/wal", 2));
        return bytes.size() > beginning.size() && !all_zero(ByteView(bytes).subspan(beginning.size()));
    };
    while (!in_second())
        ASSERT_TRUE(
            rig.until_durable(rig.write(raw(rig.model.end().index), 20, {Term{1}, NodeId{1}}, 30'000)));
    rig.crash(sim::CrashPolicy::lose_all());
    rig.storage.overwrite(segment_path("d/wal", 1), kSealAt, seal);
    rig.storage.overwrite(segment_path("d/wal", 2), 0, beginning);
    EXPECT_FALSE(rig.start_unchecked());
    EXPECT_EQ(rig.refused.code, Errc::damaged) << rig.why();
}

// The next one would be taken for gone when only the first is.
TEST(Wal, OneSegmentIsRemovedOnceHoweverOftenItIsAsked) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start());
    while (rig.wal->counters().rolls < 4)
        ASSERT_TRUE(rig.until_durable(rig.write(raw(rig.model.end().index), 10, {Term{1}, NodeId{1}}, 3000)));
    rig.until_quiet();
    std::map<std::string, int> removed;
    rig.storage.fault = [&](uint64_t, const sim::DiskCall& call) {
        if (call.op == sim::DiskOp::remove) ++removed[std::string(call.path)];
        return sim::Verdict{};
    };
    const LogPoint end = rig.model.end();
    rig.world->machine().run([&] {
        for (uint64_t back = 3; back > 0; --back) rig.wal->drop_below(rig.model.at(raw(end.index) - back));
    });
    rig.until_quiet();
    EXPECT_EQ(removed.size(), 4u);
    for (const auto& [path, times] : removed) EXPECT_EQ(times, 1) << path;
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

// A snapshot replaces the log: what it held is gone at once, its files a little later, oldest first.
TEST(Wal, AResetBeginsBehindTheSnapshotAndRemovesAllBefore) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 20, {Term{1}, NodeId{1}})));
    while (rig.wal->counters().rolls < 3) ASSERT_TRUE(rig.until_durable(rig.append(6, 3000)));
    const LogPoint base = rig.snapshot_point(1000, Term{2});
    rig.append(3);  // a group in flight
    const WriteId asked = rig.reset(base, {Term{2}, NodeId{}});
    EXPECT_EQ(rig.wal->base(), base);
    EXPECT_LT(rig.model.acked, asked);
    EXPECT_EQ(rig.read({ReadRequest::By::index, 5, 4096, Index{UINT64_MAX}}).code, ReadCode::gone);
    ASSERT_TRUE(rig.until_durable(asked));
    ASSERT_TRUE(rig.until_durable(rig.append(5)));
    rig.check_content();
    rig.until_quiet();
    EXPECT_EQ(rig.wal->base(), base);
    EXPECT_EQ(rig.wal->bytes(), 2 * rig.options.segment_bytes);  // the active one and the next
    rig.crash();
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_EQ(rig.found.base, base);
    EXPECT_EQ(rig.found.last, rig.model.end());
    EXPECT_FALSE(rig.found.report.began_anew);
}

// The write that follows a reset vouches for the new beginning, also when it asks for nothing new while a
// group of the old log is in flight.
TEST(Wal, AWriteBehindAResetIsNotDurableWithTheOldLog) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    const HardState hard{Term{1}, NodeId{1}};
    ASSERT_TRUE(rig.until_durable(rig.write(0, 2, hard)));
    rig.append(2);
    const WriteId asked = rig.reset(rig.snapshot_point(10, Term{1}), hard);
    ASSERT_TRUE(rig.until_durable(asked));
    EXPECT_EQ(rig.wal->counters().rolls, 1u);
}

// The process ended between the snapshot's commit point and the log's new beginning.
TEST(Wal, AStartBehindAnInstalledSnapshotBeginsAnew) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 20, {Term{1}, NodeId{1}})));
    const LogPoint base = rig.snapshot_point(100, Term{1});
    rig.kill();
    rig.install(base);
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_TRUE(rig.found.report.began_anew);
    EXPECT_EQ(rig.found.base, base);
    EXPECT_EQ(rig.found.last, base);
    EXPECT_EQ(rig.found.hard, (HardState{Term{1}, NodeId{1}}));
    ASSERT_TRUE(rig.until_durable(rig.append(3)));
    rig.kill();
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_FALSE(rig.found.report.began_anew);
    rig.check_content();
}

// A log that holds the snapshot's last entry is kept, with all that lies behind it.
TEST(Wal, ALogThatHoldsTheSnapshotsEndIsKept) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 20, {Term{1}, NodeId{1}})));
    rig.kill();
    rig.options.base = rig.model.at(12);
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_FALSE(rig.found.report.began_anew);
    EXPECT_EQ(rig.found.last, rig.model.end());
}

}  // namespace
}  // namespace raftd::wal
