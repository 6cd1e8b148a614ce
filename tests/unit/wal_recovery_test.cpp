#include "wal/recovery.h"

#include "tests/support/wal_rig.h"

namespace raftd::wal {
namespace {

// If a combination had no rule a start would abort; if it had two, their order would decide unseen.
TEST(WalRecoveryTable, FileRulesAreExhaustiveAndUnambiguous) {
    for (int seal = 0; seal < kSealStates; ++seal)
        for (int next = 0; next < kNextStates; ++next)
            for (int behind = 0; behind < kBehinds; ++behind)
                EXPECT_EQ(file_rules_matching(SealState(seal), NextState(next), Behind(behind)), 1)
                    << seal << " " << next << " " << behind;
}

TEST(WalRecoveryTable, GroupRulesAreExhaustiveAndUnambiguous) {
    for (int place = 0; place < kPlaces; ++place)
        for (int later = 0; later < kLaters; ++later)
            for (int end = 0; end < kKnownEnds; ++end)
                EXPECT_EQ(group_rules_matching(Place(place), Later(later), KnownEnd(end)), 1)
                    << place << " " << later << " " << end;
}

// H1 and H2, sentence by sentence.
TEST(WalRecoveryTable, DecidesTheHardCases) {
    // Sealed without a valid successor: damage.
    EXPECT_EQ(decide_file(SealState::names_next, NextState::bad, Behind::zeros), FileOutcome::damaged);
    EXPECT_EQ(decide_file(SealState::names_next, NextState::zero, Behind::zeros), FileOutcome::damaged);
    EXPECT_EQ(decide_file(SealState::names_other, NextState::absent, Behind::zeros), FileOutcome::damaged);
    // Unsealed with a valid one: a crash between header and seal.
    EXPECT_EQ(decide_file(SealState::zero, NextState::fits, Behind::zeros), FileOutcome::finish_roll);
    EXPECT_EQ(decide_file(SealState::torn, NextState::fits, Behind::groups), FileOutcome::finish_roll);
    // Unsealed with an invalid one: torn creation, unless groups of it are there or a seal was begun.
    EXPECT_EQ(decide_file(SealState::zero, NextState::bad, Behind::zeros), FileOutcome::remove);
    EXPECT_EQ(decide_file(SealState::zero, NextState::bad, Behind::groups), FileOutcome::damaged);
    EXPECT_EQ(decide_file(SealState::torn, NextState::bad, Behind::zeros), FileOutcome::damaged);
    // The last group without a witness is torn; with one it is damaged.
    EXPECT_EQ(decide_group(Place::bad_header, Later::none, KnownEnd::none), GroupOutcome::torn);
    EXPECT_EQ(decide_group(Place::bad_entries, Later::witness, KnownEnd::none), GroupOutcome::damaged);
    EXPECT_EQ(decide_group(Place::zero, Later::witness, KnownEnd::none), GroupOutcome::damaged);
    EXPECT_EQ(decide_group(Place::zero, Later::none, KnownEnd::further), GroupOutcome::damaged);
    // A lost vote-only group with a good later one loses nothing.
    EXPECT_EQ(decide_group(Place::bad_header, Later::follows, KnownEnd::none), GroupOutcome::skip);
}

std::string path_of(uint64_t id) { return segment_path("d/wal", id); }

void poke(sim::SimStorage& storage, const std::string& path, uint64_t offset, ByteView bytes) {
    int error = 0;
    sim::InodeRef file = storage.open(path, false, false, false, error);
    ASSERT_EQ(error, 0);
    uint64_t done = 0;
    storage.write(*file, offset, bytes, done);
    storage.sync(*file);
}
SegmentHeader segment_header_of(const sim::SimStorage& storage, uint64_t id) {
    SegmentHeader header;
    std::vector<std::byte> bytes = storage.visible_bytes(path_of(id));
    EXPECT_EQ(form_of_header(ByteView(bytes).first(kBlockBytes), id, header), Form::good);
    return header;
}
/// The groups of a segment by their own headers, in order.
std::vector<GroupHeader> groups_of(const sim::SimStorage& storage, uint64_t id) {
    const SegmentKey key{id, segment_header_of(storage, id).salt};
    std::vector<std::byte> bytes = storage.visible_bytes(path_of(id));
    std::vector<GroupHeader> groups;
    for (uint64_t at = kFirstGroupAt; at < bytes.size(); at += kBlockBytes) {
        GroupHeader header;
        if (is_group(ByteView(bytes).subspan(at), key, at, header)) groups.push_back(header);
    }
    return groups;
}
/// What a write of `entries` and a crash left: two groups, the last one not witnessed.
void two_groups(WalRig& rig) {
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.append(4)));
    rig.crash(sim::CrashPolicy::keep_all());
}
/// The write before the last never happened, as far as the model's promises go: a torn last group is allowed.
void forget_last_promise(WalRig& rig) { rig.model.acked = rig.model.asked[rig.model.asked.size() - 2].id; }
/// Recovers, appends, loses power and recovers again.
void twice(WalRig& rig) {
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.append(2)));
    rig.crash();
    ASSERT_TRUE(rig.start()) << rig.why();
    rig.kill();
}

// B67: a torn last group never stops the start; B68: what came behind it isn't lost at the second one.
TEST(WalRecovery, CutsATornLastGroupAtEveryByte) {
    WalRig made;
    two_groups(made);
    const GroupHeader last = groups_of(made.storage, 1).back();
    const std::vector<std::byte> zeros(last.group_bytes);
    uint64_t cut = 0;
    for (uint64_t kept = 0; kept < last.group_bytes; ++kept) {
        SCOPED_TRACE("kept " + std::to_string(kept));
        WalRig rig;
        rig.storage = made.storage;
        rig.model = made.model;
        rig.skip_ids(1000);
        forget_last_promise(rig);
        poke(rig.storage, path_of(1), last.file_offset + kept, ByteView(zeros).subspan(kept));
        twice(rig);
        if (HasFailure()) return;
        cut += rig.model.log().size() < 3 + 4 + 2;
    }
    EXPECT_GT(cut, kGroupHeaderBytes);
    EXPECT_LT(cut, last.group_bytes);  // some of it is padding
}

enum class Fate { equal, shorter, refused };
/// Flips one bit on the disk and starts.
Fate flip(const WalRig& made, uint64_t id, uint64_t byte, int bit, bool last_promise_kept) {
    WalRig rig;
    rig.storage = made.storage;
    rig.model = made.model;
    rig.skip_ids(1000);
    if (!last_promise_kept) forget_last_promise(rig);
    EXPECT_TRUE(rig.storage.flip_bit(path_of(id), byte, bit));
    const size_t wanted = rig.model.log().size();
    if (!rig.start()) {
        EXPECT_NE(rig.refused.what.find(".wal"), std::string::npos) << rig.why();
        EXPECT_TRUE(rig.refused.code == Errc::damaged || rig.refused.code == Errc::too_new) << rig.why();
        rig.kill();
        return Fate::refused;
    }
    const Fate fate = rig.model.log().size() == wanted ? Fate::equal : Fate::shorter;
    EXPECT_TRUE(rig.until_durable(rig.append(1)));
    rig.crash();
    EXPECT_TRUE(rig.start()) << rig.why();
    return fate;
}

// B69: never wrong entries, never silent loss. Each block of a file of two witnessed groups, bit by bit.
TEST(WalRecovery, EveryFlippedBitIsHarmlessOrRefused) {
    WalRig made;
    made.init();
    ASSERT_TRUE(made.start());
    ASSERT_TRUE(made.until_durable(made.write(0, 2, {Term{1}, NodeId{1}}, 40)));
    ASSERT_TRUE(made.until_durable(made.append(2, 40)));
    made.until_quiet();
    made.crash(sim::CrashPolicy::keep_all());
    std::vector<GroupHeader> groups = groups_of(made.storage, 1);
    ASSERT_EQ(groups.size(), 3u);
    auto in_all_of = [&](uint64_t from, uint64_t bytes, auto check) {
        for (uint64_t byte = from; byte < from + bytes && !HasFailure(); ++byte)
            for (int bit = 0; bit < 8; ++bit) check(flip(made, 1, byte, bit, true), byte);
    };
    in_all_of(0, sizeof(SegmentHeader),
              [](Fate fate, uint64_t byte) { EXPECT_EQ(fate, Fate::refused) << byte; });
    in_all_of(sizeof(SegmentHeader), 16,
              [](Fate fate, uint64_t byte) { EXPECT_EQ(fate, Fate::equal) << byte; });
    in_all_of(kSealAt, sizeof(Seal),
              [](Fate fate, uint64_t byte) { EXPECT_EQ(fate, Fate::refused) << byte; });
    // Group headers, entry headers and bodies: both groups have a later witness.
    for (size_t i = 0; i < 2; ++i)
        in_all_of(groups[i].file_offset, 400, [](Fate fate, uint64_t byte) {
            EXPECT_NE(fate, Fate::shorter) << byte;
            if (byte % kBlockBytes < kGroupHeaderBytes + kEntryHeaderBytes) {
                EXPECT_EQ(fate, Fate::refused) << byte;
            }
        });
    // The closing marker itself: without it the group before stands.
    in_all_of(groups[2].file_offset, 200,
              [](Fate fate, uint64_t byte) { EXPECT_EQ(fate, Fate::equal) << byte; });
    in_all_of(groups[2].file_offset + kBlockBytes, 16,
              [](Fate fate, uint64_t) { EXPECT_EQ(fate, Fate::equal); });
}

// H2's stated assumption: a last group that nothing witnesses is taken for torn; all before it stays.
TEST(WalRecovery, AFlippedBitInTheUnwitnessedGroupCutsItOnly) {
    WalRig made;
    two_groups(made);
    const GroupHeader last = groups_of(made.storage, 1).back();
    for (uint64_t byte = 0; byte < 300 && !HasFailure(); ++byte)
        for (int bit = 0; bit < 8; ++bit) {
            const Fate fate = flip(made, 1, last.file_offset + byte, bit, false);
            EXPECT_EQ(fate, Fate::shorter) << byte;
        }
}

/// A log of two segments: the first sealed, the second with a group and a closing marker.
void two_segments(WalRig& rig) {
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    ASSERT_TRUE(rig.until_durable(rig.write(0, 5, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.write(3, 2, {Term{2}, NodeId{1}})));
    rig.until_quiet();
    rig.crash(sim::CrashPolicy::keep_all());
}

TEST(WalRecovery, AFlippedBitInSealFooterOrSuccessor) {
    WalRig made;
    two_segments(made);
    const std::vector<std::byte> first = made.storage.visible_bytes(path_of(1));
    Seal seal;
    std::memcpy(&seal, first.data() + kSealAt, sizeof seal);
    ASSERT_NE(seal.footer_offset, 0u);
    for (uint64_t byte = 0; byte < sizeof(Seal) && !HasFailure(); ++byte)
        for (int bit = 0; bit < 8; ++bit)  // the successor names the end: the seal is written again
            EXPECT_EQ(flip(made, 1, kSealAt + byte, bit, true), Fate::equal) << byte;
    for (uint64_t byte = 0; byte < seal.footer_bytes && !HasFailure(); ++byte)
        for (int bit = 0; bit < 8; ++bit)  // the segment is scanned instead
            EXPECT_EQ(flip(made, 1, seal.footer_offset + byte, bit, true), Fate::equal) << byte;
    for (uint64_t byte = 0; byte < sizeof(SegmentHeader) && !HasFailure(); ++byte)
        for (int bit = 0; bit < 8;
             ++bit)  // a seal without its successor: truncated entries must not come back (H1)
            EXPECT_EQ(flip(made, 2, byte, bit, true), Fate::refused) << byte;
}

TEST(WalRecovery, ALostSuccessorIsDamageNeverAnOlderLog) {
    WalRig rig;
    two_segments(rig);
    rig.storage.remove(path_of(2));
    EXPECT_FALSE(rig.start());
    EXPECT_EQ(rig.refused.code, Errc::damaged);
    EXPECT_NE(rig.refused.what.find("successor"), std::string::npos) << rig.why();
}

TEST(WalRecovery, ATornCreationIsRemovedAndTheLogGoesOn) {
    for (uint64_t kept = 1; kept < sizeof(SegmentHeader); kept += 7) {
        WalRig rig;
        two_groups(rig);
        ASSERT_TRUE(rig.start());
        rig.until_quiet();
        rig.crash(sim::CrashPolicy::keep_all());
        SegmentHeader header = segment_header_of(rig.storage, 1);
        header.segment_id = 2;
        sign(header);
        poke(rig.storage, path_of(2), 0, ByteView(reinterpret_cast<const std::byte*>(&header), kept));
        ASSERT_TRUE(rig.start()) << rig.why();
        EXPECT_TRUE(rig.found.report.removed_torn_creation);
        EXPECT_EQ(rig.found.last, rig.model.end());
        rig.until_quiet();
        rig.kill();
    }
}

TEST(WalRecovery, ASpareIsKeptAndUsed) {
    WalRig rig;
    two_groups(rig);
    ASSERT_TRUE(rig.start());
    rig.until_quiet();
    rig.crash();
    ASSERT_TRUE(rig.start());
    const uint64_t calls = rig.storage.calls();
    rig.until_quiet();
    EXPECT_LE(rig.storage.calls() - calls, 4u);  // the closing marker, but no creation
    ASSERT_TRUE(rig.until_durable(rig.write(2, 1, {Term{2}, NodeId{1}})));
    EXPECT_EQ(segment_header_of(rig.storage, 2).base.index, Index{2});
}

TEST(WalRecovery, RefusesAForeignAndANewerLog) {
    WalRig rig;
    two_groups(rig);
    rig.options.cluster_id.low ^= 1;
    EXPECT_FALSE(rig.start());
    EXPECT_EQ(rig.refused.code, Errc::conflict) << rig.why();
    rig.kill();
    rig.options.cluster_id.low ^= 1;
    rig.options.incarnation.high ^= 1;
    EXPECT_FALSE(rig.start());
    EXPECT_EQ(rig.refused.code, Errc::conflict) << rig.why();
    rig.kill();
    rig.options.incarnation.high ^= 1;
    SegmentHeader header = segment_header_of(rig.storage, 1);
    header.magic_version = magic("rwalseg", kVersion + 2);
    poke(rig.storage, path_of(1), 0, ByteView(reinterpret_cast<const std::byte*>(&header), sizeof header));
    EXPECT_FALSE(rig.start());
    EXPECT_EQ(rig.refused.code, Errc::too_new) << rig.why();
}

// B63: a directory without segments is not an empty log.
TEST(WalRecovery, IdentityWithoutALogIsDamage) {
    WalRig rig;
    two_groups(rig);
    for (const std::string& path : rig.storage.paths()) rig.storage.remove(path);
    EXPECT_FALSE(rig.start());
    EXPECT_EQ(rig.refused.code, Errc::damaged);
}

// The promise of a vote survives in a group header whose entries are torn.
TEST(WalRecovery, ATornGroupsGoodHeaderCountsForTheHardState) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.write(3, 4, {Term{6}, NodeId{2}})));
    rig.crash(sim::CrashPolicy::keep_all());
    const GroupHeader last = groups_of(rig.storage, 1).back();
    forget_last_promise(rig);
    const std::vector<std::byte> zeros(last.group_bytes - kGroupHeaderBytes);
    poke(rig.storage, path_of(1), last.file_offset + kGroupHeaderBytes, zeros);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(rig.start()) << rig.why();
        EXPECT_EQ(rig.found.last.index, Index{3});
        EXPECT_EQ(rig.found.hard, (HardState{Term{6}, NodeId{2}}));
        rig.crash(sim::CrashPolicy::lose_all());
    }
}

TEST(WalRecovery, ALostVoteGroupWithALaterOneLosesNothing) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.write(3, 0, {Term{2}, NodeId{2}})));
    ASSERT_TRUE(rig.until_durable(rig.write(3, 2, {Term{3}, NodeId{1}})));
    rig.until_quiet();
    rig.crash(sim::CrashPolicy::keep_all());
    const uint64_t lost = groups_of(rig.storage, 1)[1].file_offset;
    for (int bit = 0; bit < 8; ++bit) rig.storage.flip_bit(path_of(1), lost + 8, bit);
    twice(rig);
}

// After a failed sync the cache shows what the disk never got (H1): a start must see the disk.
TEST(WalRecovery, BelievesTheDiskNotTheCache) {
    WalRig rig;
    two_groups(rig);
    ASSERT_TRUE(rig.start());
    rig.storage.fault = [](uint64_t, const sim::DiskCall& call) {
        return sim::Verdict{call.op == sim::DiskOp::sync ? EIO : 0};
    };
    const WriteId id = rig.append(3);
    EXPECT_FALSE(rig.until_durable(id));
    ASSERT_TRUE(rig.world->ended());
    EXPECT_EQ(rig.world->ended()->code, ExitCode::sync_failed);
    rig.kill();  // no power cut: the cache is still there
    rig.storage.fault = nullptr;
    twice(rig);
}

// H1: a record whose bytes are a perfect group of the right place must not become one.
TEST(WalRecovery, AHostileBodyIsNoGroup) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    const GroupHeader model_group = groups_of(rig.storage, 1).back();
    // A body that covers a whole block of the file, with a forged group at the 4 KiB border inside it.
    const uint64_t next = model_group.file_offset + model_group.group_bytes;
    const uint64_t body_at = next + kGroupHeaderBytes + kEntryHeaderBytes + 4;
    std::string record(3 * kBlockBytes, 'y');
    GroupHeader forged = model_group;
    forged.file_offset = next + kBlockBytes;
    forged.group_number += 2;
    forged.durable_group += 2;
    forged.hard = {1u << 30, {Term{1ull << 62}, NodeId{3}}};
    forged.entry_count = 0;
    forged.group_bytes = kBlockBytes;
    sign(forged, {1, 0});  // the salt is not known outside
    std::memcpy(record.data() + (forged.file_offset - body_at), &forged, sizeof forged);
    ASSERT_TRUE(rig.until_durable(rig.append_record(record)));
    rig.crash(sim::CrashPolicy::keep_all());
    // The group is torn: its header is lost, the forged one is whole.
    forget_last_promise(rig);
    poke(rig.storage, path_of(1), next, std::vector<std::byte>(512, std::byte{1}));
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_EQ(rig.found.last.index, Index{3});
    EXPECT_EQ(rig.found.hard.term, Term{1});
}

// Whatever the files hold, a start ends in a log or a refusal, and no entry comes out that never went in.
TEST(WalRecovery, HeavyDamageNeverMakesAnEntry) {
    WalRig made;
    two_segments(made);
    Random random(11);
    uint64_t opened = 0, refused = 0, entries = 0;
    for (int i = 0; i < 1500; ++i) {
        SCOPED_TRACE(i);
        WalRig rig;
        rig.storage = made.storage;
        rig.model = made.model;
        for (uint64_t n = 1 + random.below(5); n > 0; --n) {
            const uint64_t id = 1 + random.below(3), block = random.below(6) * kBlockBytes;
            if (random.chance(0.1)) {
                std::vector<std::byte> moved = rig.storage.visible_bytes(path_of(1 + random.below(2)));
                poke(rig.storage, path_of(1), block,
                     ByteView(moved).subspan(random.below(6) * kBlockBytes, kBlockBytes));
            } else if (random.chance(0.1)) {
                poke(rig.storage, path_of(2), block, std::vector<std::byte>(kBlockBytes));
            } else {
                rig.storage.flip_bit(path_of(id), block + random.below(700),
                                     static_cast<int>(random.below(8)));
            }
        }
        if (!rig.start_unchecked()) {
            ++refused;
            EXPECT_FALSE(rig.world->ended()) << rig.why();
            EXPECT_FALSE(rig.refused.what.empty());
            rig.kill();
            continue;
        }
        ++opened;
        for (uint64_t next = 1; next <= raw(rig.found.last.index); ++next) {
            ReadResult got = rig.read({ReadRequest::By::index, next, 1, Index{UINT64_MAX}});
            if (got.code != ReadCode::ok) continue;
            EntryHeader header;
            std::memcpy(&header, got.entries.data(), sizeof header);
            auto known = rig.model.entries.find(header.chain);
            ASSERT_NE(known, rig.model.entries.end());
            ASSERT_EQ(known->second.size(), got.entries.size());
            EXPECT_EQ(std::memcmp(known->second.data(), got.entries.data(), got.entries.size()), 0);
            ++entries;
        }
        rig.kill();
    }
    EXPECT_GT(opened, 100u);
    EXPECT_GT(refused, 100u);
    EXPECT_GT(entries, 300u);
}

TEST(WalRecovery, AShortenedFileIsDamage) {
    WalRig rig;
    two_groups(rig);
    int error = 0;
    sim::InodeRef file = rig.storage.open(path_of(1), false, false, false, error);
    rig.storage.resize(*file, kFirstGroupAt + kBlockBytes);
    rig.storage.sync(*file);
    EXPECT_FALSE(rig.start());
    EXPECT_EQ(rig.refused.code, Errc::damaged);
}

}  // namespace
}  // namespace raftd::wal
