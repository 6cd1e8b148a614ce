// Holes that later segments cut: what of them is still in force, under which terms, and what became needless.
#include "tests/support/group_places.h"
#include "tests/support/mend_rig.h"

namespace raftd::wal {
namespace {

std::vector<GroupPlace> groups_of_first(WalRig& rig) {
    std::vector<GroupPlace> groups = group_places(rig.storage);
    std::erase_if(groups,
                  [&](const GroupPlace& place) { return place.path != segment_path(rig.options.dir, 1); });
    return groups;
}
/// And the segment's footer, so that a start meets it.
void hurt_group(WalRig& rig, const GroupPlace& group) {
    rig.storage.flip_bit(group.path, group.offset + 40, 1);
    Seal seal;
    const auto bytes = rig.storage.durable_bytes(group.path);
    std::memcpy(&seal, bytes.data() + kSealAt, sizeof seal);
    rig.storage.flip_bit(group.path, seal.footer_offset + 9, 1);
}

// A log of one long segment, cut twice by later ones.
struct CutTwice {
    WalRig rig{9};
    std::vector<GroupPlace> groups;  // of the first segment
    void make(uint64_t first_cut, uint64_t second_cut) {
        rig.options.holes = true;
        rig.init();
        ASSERT_TRUE(rig.start()) << rig.why();
        ASSERT_TRUE(rig.until_durable(rig.write(0, 4, {Term{1}, NodeId{1}})));
        for (int i = 0; i < 4; ++i) ASSERT_TRUE(rig.until_durable(rig.append(4)));
        ASSERT_TRUE(rig.until_durable(rig.write(first_cut, 2, {Term{2}, NodeId{1}})));
        ASSERT_TRUE(rig.until_durable(rig.append(2)));
        ASSERT_TRUE(rig.until_durable(rig.write(second_cut, 3, {Term{3}, NodeId{1}})));
        rig.until_quiet();
        rig.crash(sim::CrashPolicy::keep_all());
        groups = groups_of_first(rig);
        ASSERT_EQ(groups.size(), 5u);
    }
    void hurt(size_t group) { hurt_group(rig, groups[group]); }
};

// Mended, the first segment ends where the last one begins: before the one in the middle does, which was cut
// off whole.
TEST(WalRepairCut, ASegmentThatTwoLaterOnesCutIsMendedAndAccepted) {
    CutTwice log;
    log.make(15, 6);
    log.hurt(1);  // entries 5 to 8
    WalRig& rig = log.rig;
    ASSERT_TRUE(rig.start_unchecked()) << rig.why();
    ASSERT_EQ(rig.wal->holes().size(), 1u);
    EXPECT_EQ(rig.wal->holes().front().to.index, Index{6});
    ASSERT_TRUE(mend_all(rig));
    for (int i = 0; i < 2; ++i) {
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
        EXPECT_TRUE(rig.wal->holes().empty());
        ASSERT_TRUE(rig.until_durable(rig.append(1)));
    }
}

// What lies behind the successor's base was cut off: its damage costs nothing, wherever it begins.
TEST(WalRepairCut, DamageBehindTheSuccessorsBaseIsTheEnd) {
    for (const size_t group : {size_t{3}, size_t{4}}) {
        for (const bool unsealed : {false, true}) {
            SCOPED_TRACE(std::to_string(group) + (unsealed ? " unsealed" : ""));
            CutTwice log;
            log.make(12, 12);
            WalRig& rig = log.rig;
            log.hurt(group);
            if (group == 3) log.hurt(4);
            if (unsealed) {  // as a power cut before the seal leaves it; the later segment is gone with it
                const std::vector<std::byte> zeros(kBlockBytes);
                rig.storage.overwrite(segment_path(log.rig.options.dir, 1), kSealAt, zeros);
            }
            ASSERT_TRUE(rig.start()) << rig.why();
            EXPECT_TRUE(rig.wal->holes().empty());
            rig.world->machine().run([&] { rig.wal->survey(Index{11}); });
            rig.until_quiet();
            EXPECT_TRUE(rig.wal->holes().empty());
            ASSERT_TRUE(rig.until_durable(rig.append(1)));
            rig.crash();
            ASSERT_TRUE(rig.start()) << rig.why();
        }
    }
}

// A cut goes through a hole: what of it is still in force is mended only once the cut is durable. Before that
// the log would need all of the segment again.
TEST(WalRepairCut, AClippedHoleIsMendedBehindTheRollOfItsCut) {
    bool reached = true;
    uint64_t cuts = 0;
    for (; reached; ++cuts) {
        SCOPED_TRACE(cuts);
        CutTwice log;
        log.make(18, 18);
        log.hurt(1);
        WalRig& rig = log.rig;
        ASSERT_TRUE(rig.start_unchecked()) << rig.why();
        ASSERT_EQ(rig.wal->holes().size(), 1u);
        rig.until_quiet();
        reached = false;
        rig.storage.fault = [&reached, cut = rig.storage.calls() + cuts + 1](uint64_t number,
                                                                             const sim::DiskCall&) {
            reached |= number == cut;
            return sim::Verdict{0, number == cut};
        };
        rig.append(2);
        rig.write(6, 2, {Term{rig.term() + 1}, NodeId{1}});
        const Hole hole = rig.wal->holes().front();
        ASSERT_EQ(hole.to.index, Index{6});
        rig.world->machine().run([&] { rig.wal->mend(hole, entries_of(rig, hole)); });
        rig.until_quiet();
        rig.crash();
        ASSERT_TRUE(rig.start_with_holes()) << rig.why();
        rig.until_quiet();
        ASSERT_TRUE(mend_all(rig));
        rig.crash(sim::CrashPolicy::keep_all());
        ASSERT_TRUE(rig.start()) << rig.why();
        rig.kill();
    }
    EXPECT_GT(cuts, 15u);
}

// The entry behind a hole had told the term of its last one; a later segment cut between them.
TEST(WalRepairCut, TheLastEntryOfAClippedHoleKeepsItsTerm) {
    for (const uint64_t first_of_second_term : {6, 8}) {
        for (uint64_t cut = 9; cut <= 11; ++cut) {
            SCOPED_TRACE(std::to_string(first_of_second_term) + " " + std::to_string(cut));
            WalRig rig{9};
            rig.options.holes = true;
            rig.init();
            ASSERT_TRUE(rig.start()) << rig.why();
            const uint64_t before = first_of_second_term;
            ASSERT_TRUE(rig.until_durable(rig.write(0, before, {Term{1}, NodeId{1}})));
            ASSERT_TRUE(rig.until_durable(rig.write(before, 12 - before, {Term{2}, NodeId{1}})));
            ASSERT_TRUE(rig.until_durable(rig.append(2)));
            ASSERT_TRUE(rig.until_durable(rig.write(cut, 8, {Term{3}, NodeId{2}})));
            rig.until_quiet();
            rig.crash(sim::CrashPolicy::keep_all());
            hurt_group(rig, groups_of_first(rig).at(1));
            ASSERT_TRUE(rig.start_with_holes()) << rig.why();
            ASSERT_EQ(rig.wal->holes().size(), 1u);
            EXPECT_EQ(rig.wal->holes().front().to, rig.model.at(cut));
            ASSERT_TRUE(mend_all(rig));
            rig.crash();
            ASSERT_TRUE(rig.start()) << rig.why();
        }
    }
}

// What rotted may have been the newest vote and its witness, which no entry needs: a start would take both
// for torn.
TEST(WalRepairVote, AVoteThatRottedInTheActiveSegmentIsWrittenAgain) {
    WalRig rig(3);
    rig.options.holes = true;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 5, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.write(5, 0, {Term{2}, NodeId{3}})));
    rig.until_quiet();
    const std::string path = segment_path(rig.options.dir, 1);
    const std::vector<std::byte> bytes = rig.storage.visible_bytes(path);
    std::vector<uint64_t> groups;
    for (uint64_t at = kFirstGroupAt; at < bytes.size(); at += kBlockBytes)
        if (std::memcmp(bytes.data() + at, "rwalgrp", 7) == 0) groups.push_back(at);
    ASSERT_EQ(groups.size(), 3u);  // entries, the vote, the marker
    for (size_t i = 1; i < 3; ++i) ASSERT_TRUE(rig.storage.flip_bit(path, groups[i] + 40, 1));
    rig.world->machine().run([&] { rig.wal->survey(Index{3}); });
    rig.until_quiet();
    rig.crash(sim::CrashPolicy::lose_all());
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_EQ(rig.found.hard, (HardState{Term{2}, NodeId{3}}));
}

}  // namespace
}  // namespace raftd::wal
