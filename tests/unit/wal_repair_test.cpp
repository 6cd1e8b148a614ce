// What goes wrong while a hole is filled: blocks that can't be read, other damage, failed syncs, full disks,
// cuts. The log is never less than it was before.
#include <cerrno>

#include "tests/support/group_places.h"
#include "tests/support/mend_rig.h"
#include "wal/mend.h"

namespace raftd::wal {
namespace {

using Call = sim::DiskCall;
using sim::DiskOp;
using sim::Verdict;

class WalRepair : public testing::Test {
protected:
    WalRig made_{3};
    std::vector<GroupPlace> places_;
    void SetUp() override {
        make_long_log(made_);
        places_ = group_places(made_.storage);
        ASSERT_GT(places_.size(), 40u);
    }
    /// Two groups of one sealed segment, with others between them; the second one stands before the first,
    /// since a read of what lies behind a hole begins before it.
    std::pair<GroupPlace, GroupPlace> two_of_one() const {
        for (size_t i = 2; i + 4 < places_.size(); ++i)
            if (places_[i].path == places_[i + 3].path && places_[i + 4].path == places_[i].path)
                if (places_[i].sealed) return {places_[i + 3], places_[i]};
        ADD_FAILURE() << "no segment has so many groups";
        return {};
    }
    static void lose(sim::SimStorage& storage, const GroupPlace& lost) {
        ASSERT_TRUE(storage.flip_bit(lost.path, lost.offset + 40, 1));
    }
    /// So that a start scans the segment.
    static void lose_footer(sim::SimStorage& storage, const std::string& path) {
        Seal seal;
        const auto bytes = storage.durable_bytes(path);
        std::memcpy(&seal, bytes.data() + kSealAt, sizeof seal);
        if (seal.footer_offset != 0) storage.flip_bit(path, seal.footer_offset + 9, 1);
    }
    static void expect_ok(WalRig& rig, const GroupPlace& place) {
        for (uint64_t i = raw(place.first); i <= raw(place.last); ++i) {
            const ReadResult got = rig.read({ReadRequest::By::index, i, 1, Index{i}});
            ASSERT_EQ(got.code, ReadCode::ok) << i << ": " << got.what;
            rig.expect_entries(got);
        }
    }
    static void expect_no_leftover(const WalRig& rig) {
        for (const std::string& path : rig.storage.paths()) EXPECT_FALSE(path.ends_with(".mend")) << path;
    }
    static void expect_whole_after_a_start(WalRig& rig) {
        rig.check_content();
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
        EXPECT_TRUE(rig.wal->holes().empty());
        rig.kill();
    }
};

bool reads(const Call& call, const GroupPlace& place) {
    return call.op == DiskOp::read && call.path == place.path && call.offset < place.offset + kBlockBytes &&
           call.offset + call.bytes > place.offset;
}

// A block outside the hole can't be read while the file is written anew, and can later: it is still there.
TEST_F(WalRepair, ABlockThatCantBeReadForAWhileIsNotLost) {
    const auto [lost, other] = two_of_one();
    for (const bool only_the_copy : {false, true}) {
        SCOPED_TRACE(only_the_copy);
        Damaged damaged;
        ASSERT_TRUE(damaged.open(made_, [&](sim::SimStorage& storage) {
            lose(storage, lost), lose_footer(storage, lost.path);
        })) << damaged.rig.why();
        WalRig& rig = damaged.rig;
        ASSERT_EQ(damaged.holes, 1u);
        uint64_t refused = 0;
        bool copying = !only_the_copy;
        rig.storage.fault = [&, other = other](uint64_t, const Call& call) {
            copying |= call.path.ends_with(".mend");
            const bool hit = copying && reads(call, other);
            refused += hit;
            return hit ? Verdict{EIO} : Verdict{};
        };
        const std::optional<Wal::Mended> done = mend_one(rig, rig.wal->holes().front());
        ASSERT_TRUE(done);
        EXPECT_GT(refused, 0u);
        EXPECT_NE(done->failure, "");
        rig.storage.fault = nullptr;
        expect_ok(rig, other);
        expect_no_leftover(rig);
        ASSERT_TRUE(mend_all(rig));
        expect_whole_after_a_start(rig);
    }
}

// A block outside the hole can't be read at all: that is damage to be repaired like the other.
TEST_F(WalRepair, ABlockThatCantBeReadBecomesAHoleOfItsOwn) {
    const auto [lost, other] = two_of_one();
    Damaged damaged;
    ASSERT_TRUE(damaged.open(
        made_, [&](sim::SimStorage& storage) { lose(storage, lost), lose_footer(storage, lost.path); }));
    WalRig& rig = damaged.rig;
    ASSERT_EQ(damaged.holes, 1u);
    bool bad = true;
    rig.storage.fault = [&, other = other](uint64_t, const Call& call) {
        bad &= call.op != DiskOp::rename;  // the new file has other blocks
        return bad && reads(call, other) ? Verdict{EIO} : Verdict{};
    };
    const std::optional<Wal::Mended> first = mend_one(rig, rig.wal->holes().front());
    ASSERT_TRUE(first);
    EXPECT_NE(first->failure, "");
    ASSERT_EQ(rig.wal->holes().size(), 2u);
    EXPECT_EQ(rig.wal->holes().front().from.index + 1, other.first);
    EXPECT_NE(rig.wal->holes().front().what.find(other.path), std::string::npos);
    ASSERT_TRUE(mend_all(rig));
    EXPECT_FALSE(bad);
    expect_whole_after_a_start(rig);
}

// A vote's block can't be read: no entry was lost with it, so neither a start nor a mend minds.
TEST_F(WalRepair, ABlockWithoutEntriesThatCantBeReadIsPassedOver) {
    WalRig rig{5};
    rig.options.holes = true;
    rig.init();
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 4, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.append(4)));
    ASSERT_TRUE(rig.until_durable(rig.write(8, 0, {Term{2}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.append(4)));
    rig.until_quiet();
    rig.crash(sim::CrashPolicy::keep_all());
    const std::vector<GroupPlace> groups = group_places(rig.storage);
    ASSERT_EQ(groups.size(), 3u);
    GroupPlace vote = groups[2];
    vote.offset -= kBlockBytes;
    lose(rig.storage, groups[0]);
    bool bad = true;
    rig.storage.fault = [&](uint64_t, const Call& call) {
        bad &= call.op != DiskOp::rename;
        return bad && reads(call, vote) ? Verdict{EIO} : Verdict{};
    };
    ASSERT_TRUE(rig.start_unchecked()) << rig.why();
    ASSERT_EQ(rig.wal->holes().size(), 1u);
    EXPECT_EQ(rig.found.hard, (HardState{Term{2}, NodeId{1}}));
    ASSERT_TRUE(mend_all(rig));
    rig.storage.fault = nullptr;
    expect_whole_after_a_start(rig);
}

// P5: nobody knows what the disk has behind a failed sync, or a failed rename; nothing is tried again.
TEST_F(WalRepair, AFailedSyncOrRenameOfTheNewFileEndsTheProcess) {
    const auto [lost, other] = two_of_one();
    for (const DiskOp op : {DiskOp::sync, DiskOp::rename, DiskOp::sync_dir}) {
        SCOPED_TRACE(sim::text_of(op));
        Damaged damaged;
        ASSERT_TRUE(damaged.open(
            made_, [&](sim::SimStorage& storage) { lose(storage, lost), lose_footer(storage, lost.path); }));
        WalRig& rig = damaged.rig;
        rig.until_quiet();
        rig.storage.fault = [&](uint64_t, const Call& call) {
            return call.op == op ? Verdict{EIO} : Verdict{};
        };
        EXPECT_FALSE(mend_one(rig, rig.wal->holes().front()));
        ASSERT_TRUE(rig.world->ended());
        EXPECT_EQ(rig.world->ended()->code, ExitCode::sync_failed);
        rig.crash();
        ASSERT_TRUE(rig.start_unchecked()) << rig.why();
        rig.model.asked = {{rig.model.acked, rig.found.hard, {}, rig.model.log()}};
        ASSERT_TRUE(mend_all(rig));
        expect_whole_after_a_start(rig);
    }
}

// No room: nothing is begun, and what is there stays as it is.
TEST_F(WalRepair, WithoutRoomBesideTheReserveNothingIsBegun) {
    const auto [lost, other] = two_of_one();
    Damaged damaged;
    made_.options.disk_free_reserve = 1 << 20;
    ASSERT_TRUE(damaged.open(
        made_, [&](sim::SimStorage& storage) { lose(storage, lost), lose_footer(storage, lost.path); }));
    WalRig& rig = damaged.rig;
    rig.until_quiet();
    uint64_t all = 0;
    for (const std::string& path : rig.storage.paths()) all += rig.storage.size_of(path);
    rig.storage.set_capacity(all + (1 << 20) + (32 << 10));  // the reserve, and half a segment
    uint64_t touched = 0;
    rig.storage.fault = [&](uint64_t, const Call& call) {
        touched += call.path.ends_with(".mend");
        return Verdict{};
    };
    const std::optional<Wal::Mended> done = mend_one(rig, rig.wal->holes().front());
    ASSERT_TRUE(done);
    EXPECT_NE(done->failure.find("room"), std::string::npos) << done->failure;
    EXPECT_EQ(touched, 0u);
    EXPECT_FALSE(rig.wal->no_room());
    rig.storage.set_capacity(UINT64_MAX);
    ASSERT_TRUE(mend_all(rig));
    expect_whole_after_a_start(rig);
}

// The room goes while the new file is written: it is removed, the old one stays.
TEST_F(WalRepair, AFullDiskLeavesNoHalfMadeFile) {
    const auto [lost, other] = two_of_one();
    uint64_t refusals = 0;
    for (uint64_t n = 1;; ++n) {
        SCOPED_TRACE(n);
        Damaged damaged;
        ASSERT_TRUE(damaged.open(
            made_, [&](sim::SimStorage& storage) { lose(storage, lost), lose_footer(storage, lost.path); }));
        WalRig& rig = damaged.rig;
        rig.until_quiet();
        uint64_t count = 0;
        rig.storage.fault = [&](uint64_t, const Call& call) {
            const bool grows = call.path.ends_with(".mend") &&
                               (call.op == DiskOp::write || call.op == DiskOp::fill ||
                                (call.op == DiskOp::open && call.makes) || call.op == DiskOp::rename);
            return grows && ++count >= n ? Verdict{ENOSPC} : Verdict{};
        };
        const std::optional<Wal::Mended> done = mend_one(rig, rig.wal->holes().front());
        ASSERT_TRUE(done) << rig.why();
        expect_no_leftover(rig);
        rig.storage.fault = nullptr;
        if (count < n) break;
        ++refusals;
        EXPECT_NE(done->failure, "");
        EXPECT_EQ(rig.wal->holes().size(), 1u);
        expect_ok(rig, other);
        ASSERT_TRUE(mend_all(rig));
        expect_whole_after_a_start(rig);
        if (HasFailure()) return;
    }
    EXPECT_GT(refusals, 6u);
}

// The active segment has to be sealed for its mend; without a next one at hand votes and appends go on.
TEST_F(WalRepair, AMendOfTheActiveSegmentDoesntHoldUpWritesForLackOfANextOne) {
    Damaged damaged;
    const GroupPlace& lost = places_[places_.size() - 2];
    ASSERT_FALSE(lost.sealed);
    bool full = true;
    ASSERT_TRUE(damaged.open(made_, [&](sim::SimStorage& storage) {
        lose(storage, lost);
        storage.remove(storage.durable_paths().back());  // the spare
        storage.sync_dir("d/wal");
        storage.fault = [&](uint64_t, const Call& call) {
            return call.op == DiskOp::fill && full ? Verdict{ENOSPC} : Verdict{};
        };
    })) << damaged.rig.why();
    WalRig& rig = damaged.rig;
    ASSERT_EQ(damaged.holes, 1u);
    const Hole hole = rig.wal->holes().front();
    rig.world->machine().run([&] { rig.wal->mend(hole, entries_of(rig, hole)); });
    EXPECT_TRUE(rig.until_durable(rig.append(2), seconds(2)));
    EXPECT_TRUE(rig.until_durable(rig.write(rig.model.log().size(), 0, {Term{rig.term() + 1}, NodeId{2}}),
                                  seconds(2)));
    EXPECT_FALSE(rig.wal->no_room());
    EXPECT_TRUE(rig.wal->mending());
    full = false;
    rig.until_quiet();
    const std::optional<Wal::Mended> done = rig.wal->take_mended();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->failure, "");
    expect_whole_after_a_start(rig);
}

// Damage that came after the segment was last read is met by the mend, and isn't forgotten.
TEST_F(WalRepair, OtherDamageThatAMendMeetsIsLearned) {
    const auto [lost, other] = two_of_one();
    Damaged damaged;
    ASSERT_TRUE(damaged.open(
        made_, [&](sim::SimStorage& storage) { lose(storage, lost), lose_footer(storage, lost.path); }));
    WalRig& rig = damaged.rig;
    ASSERT_EQ(damaged.holes, 1u);
    lose(rig.storage, other);
    ASSERT_TRUE(mend_one(rig, rig.wal->holes().front()));
    const bool known =
        std::any_of(rig.wal->holes().begin(), rig.wal->holes().end(),
                    [&, other = other](const Hole& hole) { return hole.from.index + 1 == other.first; });
    EXPECT_TRUE(known);
    for (const Hole& hole : rig.wal->holes())
        EXPECT_TRUE(hole.what.starts_with(lost.path + " at ")) << hole.what;
    ASSERT_TRUE(mend_all(rig));
    expect_whole_after_a_start(rig);
}

// The hole has grown since it was found: what it grew by is a hole of its own, on either side.
TEST_F(WalRepair, AHoleThatGrewIsRepairedInParts) {
    const GroupPlace below = two_of_one().second;
    size_t at = 0;
    while (places_[at].path != below.path || places_[at].offset != below.offset) ++at;
    Damaged damaged;
    ASSERT_TRUE(damaged.open(made_, [&](sim::SimStorage& storage) {
        lose(storage, places_[at + 1]), lose_footer(storage, below.path);
    }));
    WalRig& rig = damaged.rig;
    ASSERT_EQ(damaged.holes, 1u);
    lose(rig.storage, places_[at]), lose(rig.storage, places_[at + 2]);
    const std::optional<Wal::Mended> done = mend_one(rig, rig.wal->holes().front());
    ASSERT_TRUE(done);
    EXPECT_NE(done->failure, "");
    ASSERT_EQ(rig.wal->holes().size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(rig.wal->holes()[i].from.index + 1, places_[at + i].first);
        EXPECT_EQ(rig.wal->holes()[i].to.index, places_[at + i].last);
        EXPECT_EQ(rig.wal->holes()[i].offset, places_[at + i].offset);
    }
    for (const size_t i : {size_t{2}, size_t{0}, size_t{0}}) {
        const Hole hole = rig.wal->holes().at(i);
        const std::optional<Wal::Mended> part = mend_one(rig, hole);
        ASSERT_TRUE(part);
        EXPECT_EQ(part->failure, "");
    }
    expect_whole_after_a_start(rig);
}

// Two holes of one segment, of which one is mended: the other is found again by a start.
TEST_F(WalRepair, OneOfTwoHolesIsMended) {
    const auto [lost, other] = two_of_one();
    for (const size_t mended : {size_t{0}, size_t{1}}) {
        Damaged damaged;
        ASSERT_TRUE(damaged.open(made_, [&](sim::SimStorage& storage) {
            lose(storage, lost), lose(storage, other), lose_footer(storage, lost.path);
        }));
        WalRig& rig = damaged.rig;
        ASSERT_EQ(damaged.holes, 2u);
        const Hole hole = rig.wal->holes()[mended], left = rig.wal->holes()[1 - mended];
        const std::optional<Wal::Mended> done = mend_one(rig, hole);
        ASSERT_TRUE(done);
        EXPECT_EQ(done->failure, "");
        ASSERT_EQ(rig.wal->holes().size(), 1u);
        EXPECT_EQ(rig.wal->holes().front().from, left.from);
        rig.crash();
        ASSERT_TRUE(rig.start_unchecked()) << rig.why();
        rig.model.asked = {{rig.model.acked, rig.found.hard, {}, rig.model.log()}};
        ASSERT_EQ(rig.wal->holes().size(), 1u);
        EXPECT_EQ(rig.wal->holes().front().from, left.from);
        EXPECT_EQ(rig.wal->holes().front().to, left.to);
        if (mended == 0) expect_ok(rig, other);
        ASSERT_TRUE(mend_all(rig));
        expect_whole_after_a_start(rig);
    }
}

// There is one thread for all that isn't the log's own writing: nobody waits there for a whole segment.
TEST(WalRepairSteps, ASegmentIsReadAndWrittenInSteps) {
    WalRig rig(4);
    rig.options.holes = true;
    rig.options.first_segment_bytes = rig.options.segment_bytes = 8 << 20;
    rig.options.group_bytes_max = 256 << 10;
    rig.init();
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 5, {Term{1}, NodeId{1}})));
    while (rig.wal->counters().rolls == 0) ASSERT_TRUE(rig.until_durable(rig.append(40, 20'000)));
    rig.until_quiet();
    rig.crash(sim::CrashPolicy::keep_all());
    const std::vector<GroupPlace> places = group_places(rig.storage);
    ASSERT_TRUE(rig.storage.flip_bit(places[3].path, places[3].offset + 40, 1));
    ASSERT_TRUE(rig.start_unchecked()) << rig.why();
    uint64_t in_step = 0, most = 0, steps = 0;
    rig.storage.fault = [&](uint64_t, const Call& call) {
        const bool moves = call.op == DiskOp::read || call.op == DiskOp::write || call.op == DiskOp::fill;
        in_step += moves ? call.bytes : 0;
        return Verdict{};
    };
    auto until = [&](const std::function<bool()>& done) {
        while (!done()) {
            in_step = 0;
            ASSERT_TRUE(rig.world->step());
            most = std::max(most, in_step);
            steps += in_step != 0;
        }
    };
    rig.world->machine().run([&] { rig.wal->survey(Index{3}); });
    until([&] { return !rig.wal->holes().empty(); });
    EXPECT_GE(steps, 7u);
    const Hole hole = rig.wal->holes().front();
    steps = 0;
    rig.world->machine().run([&] { rig.wal->mend(hole, entries_of(rig, hole)); });
    until([&] { return !rig.wal->mending(); });
    EXPECT_GT(steps, 21u);  // read, written, read back
    EXPECT_LE(most, (2u << 20) + (512u << 10));
    const std::optional<Wal::Mended> done = rig.wal->take_mended();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->failure, "");
    rig.storage.fault = nullptr;
    rig.check_content();
    rig.crash();
    ASSERT_TRUE(rig.start()) << rig.why();
}

}  // namespace
}  // namespace raftd::wal
