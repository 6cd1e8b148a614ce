// Full disks, short writes, slow creations, failed syncs: nothing is acknowledged early, nothing is lost, and
// the log goes on by itself when there is room again (H19).
#include <cerrno>

#include "tests/support/wal_rig.h"
#include "wal/make.h"
#include "wal/recovery.h"

namespace raftd::wal {
namespace {

using Call = sim::DiskCall;
using sim::DiskOp;
using sim::Verdict;

void begin(WalRig& rig) {
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    rig.until_quiet();
}

TEST(WalTrouble, ARefusedGroupIsTriedAgainWithTheSameBytes) {
    for (uint64_t bytes_max : {uint64_t{0}, uint64_t{1}, uint64_t{700}, uint64_t{5000}}) {
        WalRig rig;
        begin(rig);
        rig.storage.record_calls(true);
        bool full = true;
        rig.storage.fault = [&](uint64_t, const Call& call) {
            if (call.op != DiskOp::write || !full) return Verdict{};
            return bytes_max == 0 ? Verdict{ENOSPC} : Verdict{0, false, bytes_max};
        };
        const WriteId first = rig.append(5, 3000);
        rig.append(2);
        EXPECT_FALSE(rig.until_durable(first, seconds(2)));
        EXPECT_TRUE(rig.wal->no_room());
        EXPECT_TRUE(rig.wal->oldest_unsynced());
        EXPECT_FALSE(rig.wal->closed());
        const size_t tries = rig.storage.recorded().size();
        EXPECT_GT(tries, 5u);
        for (const auto& call : rig.storage.recorded()) {
            if (call.op != DiskOp::write) continue;
            EXPECT_EQ(call.offset, rig.storage.recorded().front().offset);
        }
        rig.crash();  // a short write is only a torn group
        ASSERT_TRUE(rig.start()) << rig.why();
        ASSERT_TRUE(rig.until_durable(rig.append(1)));
        full = true;
        rig.storage.fault = [&](uint64_t, const Call& call) {
            return call.op == DiskOp::write && full ? Verdict{ENOSPC} : Verdict{};
        };
        const WriteId second = rig.append(5, 3000);
        const WriteId third = rig.write(rig.model.log().size() - 2, 1, {Term{2}, NodeId{1}});
        EXPECT_FALSE(rig.until_durable(second, seconds(1)));
        full = false;
        EXPECT_TRUE(rig.until_durable(third));
        EXPECT_FALSE(rig.wal->no_room());
        rig.check_content();
    }
}

TEST(WalTrouble, WithoutRoomForTheNextSegmentTheLogWaitsAndGoesOn) {
    WalRig rig;
    begin(rig);
    bool full = true;
    rig.storage.fault = [&](uint64_t, const Call& call) {
        return (call.op == DiskOp::fill || call.op == DiskOp::allocate) && full ? Verdict{ENOSPC} : Verdict{};
    };
    // The spare that is there serves one roll; after it there is none.
    WriteId id;
    while (rig.until_durable(id = rig.append(5, 3000), seconds(3))) ASSERT_LT(rig.wal->counters().rolls, 3u);
    EXPECT_EQ(rig.wal->counters().rolls, 1u);
    EXPECT_TRUE(rig.wal->no_room());
    full = false;
    EXPECT_TRUE(rig.until_durable(id));
    EXPECT_FALSE(rig.wal->no_room());
    EXPECT_EQ(rig.wal->counters().rolls, 2u);
    rig.check_content();
}

TEST(WalTrouble, BelowTheReserveNoSegmentIsMade) {
    WalRig rig;
    rig.options.disk_free_reserve = 1 << 20;
    begin(rig);
    const auto files = rig.storage.paths().size();
    rig.storage.set_capacity(files * (64 << 10) + (512 << 10));  // room for some, but below the reserve
    WriteId id;
    while (rig.until_durable(id = rig.append(5, 3000), seconds(3))) ASSERT_LT(rig.wal->counters().rolls, 3u);
    EXPECT_EQ(rig.wal->counters().rolls, 1u);
    EXPECT_TRUE(rig.wal->no_room());
    rig.storage.set_capacity(UINT64_MAX);
    EXPECT_TRUE(rig.until_durable(id));
    EXPECT_FALSE(rig.wal->no_room());
}

TEST(WalTrouble, ASegmentWithoutAFooterIsScanned) {
    WalRig rig;
    begin(rig);
    uint64_t refused = 0;
    rig.storage.fault = [&](uint64_t, const Call& call) {
        const bool footer = call.op == DiskOp::write && call.offset != kSealAt && call.offset != 0 &&
                            call.bytes % kBlockBytes != 0;
        refused += footer;
        return footer ? Verdict{ENOSPC} : Verdict{};
    };
    while (rig.wal->counters().rolls < 3) ASSERT_TRUE(rig.until_durable(rig.append(5, 3000)));
    EXPECT_EQ(refused, 3u);
    rig.check_content();
    rig.crash();
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_GT(rig.found.report.entries, 20u);
    ASSERT_TRUE(rig.until_durable(rig.append(1)));
}

// Completions of creations come far before or far after those of groups: a roll waits, nothing else does.
TEST(WalTrouble, SlowAndFastCreations) {
    for (Duration time : {microseconds(1), milliseconds(1), milliseconds(40), seconds(1)}) {
        WalRig rig;
        rig.create_time = time;
        begin(rig);
        WriteId id;
        for (int i = 0; i < 60; ++i) {
            id = rig.append(3, 3000);
            if (i % 7 == 0) {
                ASSERT_TRUE(rig.until_durable(id, seconds(20)));
            }
            if (i % 13 == 0) id = rig.write(rig.model.log().size() - 2, 1, {Term{rig.term() + 1}, NodeId{1}});
        }
        ASSERT_TRUE(rig.until_durable(id, seconds(60)));
        rig.check_content();
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
    }
}

// P5: a failed sync ends the process, whichever it is, and nothing is acknowledged afterwards.
TEST(WalTrouble, AFailedSyncEndsTheProcessAndLosesNothing) {
    for (uint64_t n = 1; n <= 60; ++n) {
        WalRig rig(n);
        begin(rig);
        uint64_t syncs = 0;
        rig.storage.fault = [&](uint64_t, const Call& call) {
            const bool sync = call.op == DiskOp::sync || call.op == DiskOp::sync_dir;
            return sync && ++syncs == n ? Verdict{EIO} : Verdict{};
        };
        for (int i = 0; i < 40; ++i)
            if (!rig.until_durable(
                    i % 9 == 8 ? rig.write(rig.model.log().size() - 1, 2, {Term{rig.term() + 1}, NodeId{1}})
                               : rig.append(4, 2000)))
                break;
        ASSERT_TRUE(rig.world->ended()) << n;
        EXPECT_EQ(rig.world->ended()->code, ExitCode::sync_failed);
        if (n % 2 == 0)
            rig.crash();
        else
            rig.kill(), rig.storage.fault = nullptr;
        ASSERT_TRUE(rig.start()) << rig.why();
        ASSERT_TRUE(rig.until_durable(rig.append(1)));
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
    }
}

TEST(WalTrouble, AStopWritesTheClosingMarkerAtOnce) {
    WalRig rig;
    begin(rig);
    rig.append(2);
    rig.wal->close_soon();
    const Instant asked = rig.world->kernel().now();
    while (!rig.wal->closed()) ASSERT_TRUE(rig.world->step());
    EXPECT_LT(rig.world->kernel().now(), asked + rig.options.closing_marker_after);
    EXPECT_EQ(rig.wal->counters().marker_groups, 2u);
}

// A promise once made is never taken back by a later write.
TEST(WalTrouble, TermAndVoteNeverGoBack) {
    for (HardState worse :
         {HardState{Term{4}, NodeId{1}}, HardState{Term{5}, NodeId{2}}, HardState{Term{5}, NodeId{}}}) {
        WalRig rig;
        begin(rig);
        ASSERT_TRUE(rig.until_durable(rig.write(3, 0, {Term{5}, NodeId{1}})));
        rig.write(3, 0, worse);
        ASSERT_TRUE(rig.world->ended());
        EXPECT_EQ(rig.world->ended()->kind, sim::ProcessEnded::check);
    }
}

// B107: places behind 4 GiB, indexes and LSNs above 2^63.
TEST(WalScan, LargeNumbersStayWhole) {
    sim::SimStorage storage;
    sim::SimWorld world(storage);
    io::Files& files = world.machine().files();
    WalRig maker;
    const LogPoint base{Index{(1ull << 63) - 1}, Term{1ull << 40}, 77, Lsn{(1ull << 63) - 1}, 1ull << 62};
    for (uint64_t offset :
         {uint64_t{1} << 31, uint64_t{1} << 32, (uint64_t{1} << 32) + (uint64_t{1} << 31)}) {
        Segment segment;
        segment.key = {9, 1234};
        segment.end_offset = offset;
        segment.last_group = 5;
        segment.base = segment.end = base;
        LogPoint at = base;
        std::vector<std::byte> bytes(kGroupHeaderBytes);
        for (int i = 0; i < 3; ++i) {
            std::vector<std::byte> entry = maker.make_entry(at, base.term, 200);
            bytes.insert(bytes.end(), entry.begin(), entry.end());
        }
        GroupHeader header = make_empty_group(segment, {3, {base.term, NodeId{1}}});
        header.entry_count = 3;
        header.chain_after = at.chain;
        sign(header, segment.key);
        std::memcpy(bytes.data(), &header, sizeof header);
        int error = 0;
        io::FileId file = files.open("big", io::OpenMode::truncate, error);
        EXPECT_EQ(files.write(file, offset, bytes).error, 0);
        FileWindow window(files, file, 1 << 16);
        SegmentIndex index;
        GroupSeen seen = read_group(window, segment.key, {offset, 5, base}, &index);
        EXPECT_EQ(seen.place, Place::good);
        EXPECT_EQ(seen.after, at);
        EXPECT_EQ(index.marks.front().group_offset, offset);
        auto later = find_later_group(window, segment.key, offset - 3 * kBlockBytes, UINT64_MAX);
        ASSERT_TRUE(later);
        EXPECT_EQ(later->file_offset, offset);
        files.close(file);
    }
}

}  // namespace
}  // namespace raftd::wal
