// Logs written from end to end and walked from end to end.
#include "wal/whole.h"

#include "tests/support/wal_rig.h"

namespace raftd::wal {
namespace {

std::vector<std::byte> walk_all(LogWalk& walk, uint64_t bytes_max) {
    std::vector<std::byte> all;
    for (;;) {
        auto some = walk.next(bytes_max);
        EXPECT_TRUE(some) << some.error().what;
        if (!some || some->empty()) return all;
        all.insert(all.end(), some->view().begin(), some->view().end());
    }
}

std::vector<std::byte> bytes_of(const WalRig& rig) {
    std::vector<std::byte> all;
    for (const LogPoint& point : rig.model.log()) {
        const auto& entry = rig.model.entries.at(point.chain);
        all.insert(all.end(), entry.begin(), entry.end());
    }
    return all;
}

/// A running log's files, over several segments, with a suffix that was replaced.
void run_a_log(WalRig& rig) {
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(rig.until_durable(rig.append(8)));
    ASSERT_TRUE(rig.until_durable(rig.write(200, 5, {Term{2}, NodeId{1}})));
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(rig.until_durable(rig.append(8)));
    rig.until_quiet();
    rig.kill();
}

TEST(WholeLog, WalkingGivesTheLogicalLogAndChangesNothing) {
    WalRig rig(1);
    run_a_log(rig);
    sim::SimWorld world(rig.storage);
    uint64_t changes = 0;
    rig.storage.fault = [&](uint64_t, const sim::DiskCall& call) {
        changes += call.op == sim::DiskOp::write || call.op == sim::DiskOp::remove ||
                   call.op == sim::DiskOp::fill || call.op == sim::DiskOp::resize;
        return sim::Verdict{};
    };
    for (uint64_t bytes_max : {kBlockBytes, uint64_t{64} << 10}) {
        auto walk = LogWalk::open(world.machine().files(), rig.options);
        ASSERT_TRUE(walk) << walk.error().what;
        EXPECT_GT(walk->found().report.segments, 2u);
        EXPECT_EQ(walk->found().last, rig.model.end());
        EXPECT_EQ(walk_all(*walk, bytes_max), bytes_of(rig));
    }
    EXPECT_EQ(changes, 0u);
}

TEST(WholeLog, WhatIsMadeIsWhatARunningLogFinds) {
    WalRig rig(2);
    run_a_log(rig);
    sim::SimWorld world(rig.storage);
    std::vector<std::byte> all = bytes_of(rig);
    Options made = rig.options;
    made.dir = "d/made";
    made.salt_seed = 9;
    {
        LogMaker maker(world.machine().files(), made, {Term{2}, NodeId{}});
        uint64_t half = 0;
        EntryCursor cursor(all);
        while (cursor.next() != nullptr && cursor.offset() < all.size() / 2) half = cursor.offset();
        ASSERT_TRUE(maker.append(ByteView(all).first(half)));
        EXPECT_FALSE(maker.append(ByteView(all).first(half))) << "these don't follow";
        ASSERT_TRUE(maker.append(ByteView(all).subspan(half)));
        EXPECT_EQ(maker.end(), rig.model.end());
        ASSERT_TRUE(maker.finish());
    }
    rig.storage.fault = {};
    Recovered found;
    auto recovered = recover(world.machine().files(), made, found);
    ASSERT_TRUE(recovered) << recovered.error().what;
    EXPECT_EQ(found.last, rig.model.end());
    EXPECT_EQ(found.hard, (HardState{Term{2}, NodeId{}}));
    EXPECT_EQ(found.runs.size(), 2u);
    EXPECT_GT(found.report.segments, 2u);
    EXPECT_EQ(found.report.torn_bytes, 0u);
    EXPECT_TRUE(recovered->last_group_closes);
    EXPECT_TRUE(recovered->notes.empty());
    auto walk = LogWalk::open(world.machine().files(), made);
    ASSERT_TRUE(walk) << walk.error().what;
    EXPECT_EQ(walk_all(*walk, kBlockBytes), all);
    walk->seek(Index{100});
    auto rest = walk->next(kBlockBytes);
    ASSERT_TRUE(rest);
    EntryCursor cursor(rest->view());
    EXPECT_EQ(cursor.next()->index, 101u);
}

TEST(WholeLog, ALogWithoutEntriesIsOneToo) {
    WalRig rig(3);
    sim::SimWorld world(rig.storage);
    LogMaker maker(world.machine().files(), rig.options, {});
    ASSERT_TRUE(maker.finish());
    auto walk = LogWalk::open(world.machine().files(), rig.options);
    ASSERT_TRUE(walk) << walk.error().what;
    EXPECT_EQ(walk->found().last, rig.options.base);
    EXPECT_TRUE(walk_all(*walk, kBlockBytes).empty());
}

TEST(WholeLog, DamageIsNamedByFileAndPlace) {
    WalRig rig(4);
    run_a_log(rig);
    sim::SimWorld world(rig.storage);
    // A body in a sealed segment: a start reads only its footer.
    ASSERT_TRUE(
        rig.storage.flip_bit(segment_path(rig.options.dir, 1), kFirstGroupAt + kGroupHeaderBytes + 100, 3));
    auto walk = LogWalk::open(world.machine().files(), rig.options);
    ASSERT_TRUE(walk) << walk.error().what;
    auto some = walk->next(kBlockBytes);
    ASSERT_FALSE(some);
    EXPECT_EQ(some.error().code, Errc::damaged);
    EXPECT_NE(some.error().what.find("0000000000000001.wal at byte"), std::string::npos) << some.error().what;
}

}  // namespace
}  // namespace raftd::wal
