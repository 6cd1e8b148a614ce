// A member whose log ends below what the others still have: it catches up by a snapshot, whatever interrupts
// that, and is like the others afterwards.
#include <gtest/gtest.h>

#include "daemon/file_fetch.h"

#include "tests/support/sim_fixture.h"

namespace raftd::sim {
namespace {

struct CatchUp : SimFixture {
    explicit CatchUp(uint64_t seed, const ClusterOptions& options = no_log_kept(), Duration lead = seconds(2))
        : SimFixture(seed, options) {
        start_loaded(lead);
    }
    uint64_t installed() const { return reached[Reach::snapshot_installed]; }
    bool needs_snapshot(uint32_t member, Index last) {
        return member != 0 && cluster.up(leader()) && cluster.node(leader())->core().view().base.index > last;
    }
    /// Stays away until the others' logs begin behind its own.
    void fall_behind(uint32_t member) {
        const Index last = cluster.node(member)->core().last();
        cluster.kill(member);
        until([&] { return leader() != 0 && needs_snapshot(member, last); });
        run_for(seconds(1));
    }
    void expect_all_equal() {
        expect_states_equal();
        for (uint32_t i = 1; i <= cluster.count(); ++i) {
            const auto* snapshot = cluster.node(i)->snapshot();
            ASSERT_NE(snapshot, nullptr);
            cluster.truth().check_archives(i, snapshot->archives);
            cluster.audit(i);
        }
        expect_read_whole();
    }
};

TEST(SimCatchUp, AMemberBelowTheOthersLogsGetsASnapshot) {
    CatchUp cluster(31);
    const uint32_t member = cluster.follower();
    cluster.fall_behind(member);
    cluster.cluster.start(member);
    cluster.expect_all_equal();
    EXPECT_EQ(cluster.installed(), 1u);
}

// What it installed is what it starts from.
TEST(SimCatchUp, WhatWasInstalledOutlivesAPowerCut) {
    CatchUp cluster(32);
    const uint32_t member = cluster.follower();
    cluster.fall_behind(member);
    cluster.cluster.start(member);
    cluster.until([&] { return cluster.installed() == 1; });
    cluster.cluster.cut_power(member, CrashPolicy::lose_all());
    cluster.run_for(milliseconds(100));
    cluster.cluster.start(member);
    cluster.expect_all_equal();
    EXPECT_EQ(cluster.installed(), 1u);
}

// A sync that failed has lost what was written, though it can still be read: after the restart, what is gone
// on with must reach the disk nevertheless.
TEST(SimCatchUp, WhatAFailedSyncLostIsWrittenAgain) {
    CatchUp cluster(33);
    const uint32_t member = cluster.follower();
    cluster.fall_behind(member);
    SimStorage& storage = cluster.cluster.storage(member);
    cluster.cluster.expect_sync_failure(member);
    uint64_t failed = 0;
    storage.fault = [&failed](uint64_t, const DiskCall& call) {
        const bool fails = failed == 0 && call.op == DiskOp::sync && call.path.ends_with(".part");
        failed += fails;
        return Verdict{fails ? EIO : 0};
    };
    cluster.cluster.start(member);
    cluster.until([&] { return failed == 1 && !cluster.cluster.up(member); });
    cluster.cluster.start(member);
    cluster.until([&] { return cluster.installed() == 1; });
    cluster.cluster.cut_power(member, CrashPolicy::lose_all());
    cluster.run_for(milliseconds(100));
    cluster.cluster.start(member);
    cluster.expect_all_equal();
}

// Power cuts and kills at moments that lie closer and closer together, of the member and of who serves it.
TEST(SimCatchUp, InterruptedAnywhereItGoesOn) {
    uint64_t cut = 0;
    for (uint64_t seed = 100; seed < 140; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        CatchUp cluster(seed);
        Random random(seed);
        const uint32_t member = cluster.follower();
        cluster.fall_behind(member);
        cluster.cluster.start(member);
        for (int round = 0; round < 8; ++round) {
            cluster.run_for(Duration{static_cast<int64_t>(random.below(60'000'000))});
            const uint32_t victim = random.chance(0.7) ? member : cluster.leader();
            if (victim == 0 || !cluster.cluster.up(victim)) continue;
            if (random.chance(0.5))
                cluster.cluster.kill(victim);
            else
                cluster.cluster.cut_power(victim, CrashPolicy::draw(random));
            ++cut;
            cluster.run_for(milliseconds(20));
            cluster.cluster.start(victim);
        }
        cluster.expect_all_equal();
        if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(cut, 200u);
}

enum class Behind : uint8_t {
    empty_log,  // it was there from the beginning and has nothing
    old_log,
    old_tail,  // led, cut off from the others, and has entries that lost
};
enum class Meanwhile : uint8_t { nothing, leader_changes, killed, power_cut, stopped };

/// The number of the member that is behind now, and comes back.
uint32_t put_behind(CatchUp& cluster, Behind behind) {
    const uint32_t member = behind == Behind::old_tail ? cluster.leader() : cluster.follower();
    const Index last = cluster.cluster.node(member)->core().last();
    if (behind == Behind::old_tail)
        cluster.isolate(member, true);
    else
        cluster.cluster.kill(member);
    cluster.until([&] {
        const uint32_t leader = cluster.leader();
        return leader != 0 && leader != member && cluster.needs_snapshot(member, last);
    });
    cluster.run_for(seconds(1));
    if (behind == Behind::old_tail)
        cluster.isolate(member, false);
    else
        cluster.cluster.start(member);
    return member;
}

void disturb(CatchUp& cluster, uint32_t member, Meanwhile meanwhile) {
    const uint32_t victim = meanwhile == Meanwhile::leader_changes ? cluster.leader() : member;
    if (victim == 0 || !cluster.cluster.up(victim)) return;
    switch (meanwhile) {
        case Meanwhile::nothing: return;
        case Meanwhile::leader_changes:
        case Meanwhile::killed: cluster.cluster.kill(victim); break;
        case Meanwhile::power_cut: cluster.cluster.cut_power(victim, CrashPolicy::lose_all()); break;
        case Meanwhile::stopped:
            cluster.cluster.stop(victim);
            cluster.until([&] { return !cluster.cluster.up(victim); });
            break;
    }
    cluster.run_for(milliseconds(300));
    cluster.cluster.start(victim);
}

// How far the others' logs go back, where the member's ends, and what happens while it fetches.
TEST(SimCatchUp, FromWhereverItStands) {
    uint64_t seed = 200, installed = 0;
    for (uint64_t keep : {uint64_t{0}, uint64_t{2}}) {
        for (Behind behind : {Behind::empty_log, Behind::old_log, Behind::old_tail}) {
            for (Meanwhile meanwhile : {Meanwhile::nothing, Meanwhile::leader_changes, Meanwhile::killed,
                                        Meanwhile::power_cut, Meanwhile::stopped}) {
                SCOPED_TRACE("keep " + std::to_string(keep) + " behind " +
                             std::to_string(static_cast<int>(behind)) + " meanwhile " +
                             std::to_string(static_cast<int>(meanwhile)));
                ClusterOptions options = no_log_kept();
                options.wal_keep_bytes = keep * options.segment_bytes;
                options.transfer_part_bytes = 1024;
                CatchUp cluster(++seed, options, behind == Behind::empty_log ? Duration{} : seconds(2));
                const uint32_t member = put_behind(cluster, behind);
                cluster.run_for(milliseconds(5 + 7 * static_cast<int64_t>(seed % 9)));
                disturb(cluster, member, meanwhile);
                cluster.expect_all_equal();
                installed += cluster.installed();
                if (testing::Test::HasFailure()) return;
            }
        }
    }
    EXPECT_GE(installed, 30u);
}

/// Bytes of a snapshot's files: what the others have sent, and what this member has of them, in parts too.
struct Transfer {
    CatchUp& cluster;
    const uint32_t member;
    uint64_t before = 0;  // what it had at first

    Transfer(CatchUp& of, uint32_t to) : cluster(of), member(to) { before = here(); }
    uint64_t here() const {
        uint64_t bytes = 0;
        const SimStorage& storage = cluster.cluster.storage(member);
        for (const std::string& path : storage.paths())
            if (path.ends_with(".part") || path.ends_with(".zst") || path.find("/state-") != path.npos)
                bytes += storage.size_of(path);
        return bytes - before;
    }
    uint64_t sent() const {
        uint64_t bytes = 0;
        for (uint32_t i = 1; i <= cluster.cluster.count(); ++i) {
            const std::string text = cluster.cluster.up(i) ? cluster.cluster.node(i)->dump() : "";
            const size_t at = text.find("files_sent_bytes=");
            if (i != member && at != text.npos) bytes += std::stoull(text.substr(at + 17));
        }
        return bytes;
    }
};

// An archive of many parts, and a member that is killed in the middle of it again and again: each time at
// most what was under way is sent once more, and one byte of each file that was begun, whose answer says
// which one it is: the state's, which waits for the archives, and the archive's.
TEST(SimCatchUp, AnInterruptedTransferSendsNothingWholeAgain) {
    ClusterOptions options = no_log_kept();
    options.state.archive = {.bytes = 256u << 10, .entries = 65'536};
    options.transfer_part_bytes = 512;
    CatchUp cluster(33, options);
    const uint32_t member = cluster.follower();
    cluster.fall_behind(member);
    cluster.writer->set_appending(false);
    cluster.run_for(seconds(3));
    Transfer transfer(cluster, member);
    constexpr uint64_t kFilesBegun = 2;
    uint64_t parts = 0, again = 0;
    cluster.cluster.truth().on_frame = [&](uint32_t, uint32_t to, const std::string& text) {
        if (to == member && text.starts_with("file-part")) ++parts;
    };
    cluster.cluster.start(member);
    uint64_t kills = 0;
    while (cluster.installed() == 0 && kills < 20) {
        const uint64_t before = parts;
        cluster.until([&] { return parts >= before + 40 || cluster.installed() != 0; });
        if (cluster.installed() != 0) break;
        const uint64_t lost = transfer.sent() - transfer.here() - again;
        EXPECT_LE(lost, daemon::FileFetch::kPartsMax * options.transfer_part_bytes + kFilesBegun);
        again += lost;
        cluster.cluster.kill(member);
        ++kills;
        cluster.run_for(milliseconds(50));
        cluster.cluster.start(member);
    }
    EXPECT_LE(transfer.sent(), transfer.here() + again + kFilesBegun) << "after the last kill";
    cluster.expect_all_equal();
    EXPECT_GE(kills, 3u);
    uint64_t bytes = 0, files = 1;
    for (const auto& archive : cluster.cluster.node(member)->snapshot()->archives) {
        bytes += archive.file_bytes;
        ++files;
    }
    bytes += cluster.cluster.node(member)->snapshot()->state.bytes;
    const uint64_t whole = bytes / options.transfer_part_bytes + files + 1;
    EXPECT_LE(parts, whole + kills * (daemon::FileFetch::kPartsMax + 2));
}

// Archives end faster than the snapshot comes: what lies behind it must still be in the log when it is here.
TEST(SimCatchUp, TheLogBehindASnapshotStaysWhileItIsFetched) {
    ClusterOptions options = no_log_kept();
    options.transfer_part_bytes = 128;
    CatchUp cluster(34, options, seconds(5));
    const uint32_t member = cluster.follower();
    cluster.fall_behind(member);
    cluster.cluster.start(member);
    cluster.until([&] { return cluster.installed() >= 1; });
    cluster.run_for(seconds(10));
    EXPECT_EQ(cluster.installed(), 1u);
    cluster.expect_all_equal();
}

}  // namespace
}  // namespace raftd::sim
