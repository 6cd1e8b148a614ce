// Holes (H3): damage in the middle of a log, with both ends known. The log keeps its end, hands out nothing
// that is damaged, and takes the entries back from whoever has them: into a new file that replaces the old.
#include "tests/support/group_places.h"
#include "tests/support/mend_rig.h"

namespace raftd::wal {
namespace {

/// The log as the model has it, but for what is in holes, and behind them in the same file.
void expect_readable(WalRig& rig) {
    for (uint64_t i = raw(rig.wal->base().index) + 1; i <= rig.model.log().size(); ++i) {
        const ReadResult got = rig.read({ReadRequest::By::index, i, 1, Index{i}});
        bool damaged = rig.wal->holes().empty();  // not found yet
        for (const Hole& hole : rig.wal->holes())
            damaged |= Index{i} > hole.from.index &&
                       (Index{i} <= hole.to.index ||
                        rig.wal->file_of(Index{i}) == segment_path(rig.options.dir, hole.segment_id));
        if (got.code == ReadCode::ok) {
            rig.expect_entries(got);
        } else {
            EXPECT_EQ(got.code, ReadCode::damaged) << got.what;
            EXPECT_TRUE(damaged) << i;
        }
    }
}

class WalMend : public testing::Test {
protected:
    WalRig made_{3};
    void SetUp() override { make_long_log(made_); }
};

// Every group with entries, damaged in its header or in an entry, wherever it stands: in sealed segments
// (with and without the footer) and in the active one.
TEST_F(WalMend, AnyDamagedGroupIsAHoleAndTakesItsEntriesBack) {
    uint64_t holes = 0, unknown_terms = 0, only_read = 0;
    const std::vector<GroupPlace> places = group_places(made_.storage);
    ASSERT_GT(places.size(), 40u);
    for (const GroupPlace& lost : places)
        for (uint64_t byte :
             {uint64_t{20}, kGroupHeaderBytes + 30, kGroupHeaderBytes + kEntryHeaderBytes + 3})
            for (const bool no_footer : {false, true}) {
                SCOPED_TRACE(lost.path + " at " + std::to_string(lost.offset + byte));
                Damaged damaged;
                ASSERT_TRUE(damaged.open(made_, [&](sim::SimStorage& storage) {
                    ASSERT_TRUE(storage.flip_bit(lost.path, lost.offset + byte, 3));
                    if (!no_footer) return;
                    Seal seal;
                    const auto bytes = storage.durable_bytes(lost.path);
                    std::memcpy(&seal, bytes.data() + kSealAt, sizeof seal);
                    if (seal.footer_offset != 0) storage.flip_bit(lost.path, seal.footer_offset + 9, 1);
                })) << damaged.rig.why();
                WalRig& rig = damaged.rig;
                for (const Hole& hole : rig.wal->holes()) unknown_terms += !hole.terms_known();
                expect_readable(rig);
                // What a start doesn't read is found by a reader, and then surveyed.
                for (uint64_t i = raw(rig.wal->base().index) + 1; i <= rig.model.log().size(); ++i) {
                    const ReadResult got = rig.read({ReadRequest::By::index, i, 1, Index{i}});
                    if (got.code != ReadCode::damaged || !rig.wal->holes().empty()) continue;
                    ++only_read;
                    rig.world->machine().run([&] { rig.wal->survey(got.first); });
                    rig.until_quiet();
                    ASSERT_EQ(rig.wal->holes().size(), 1u);
                }
                holes += rig.wal->holes().size();
                ASSERT_TRUE(mend_all(rig));
                rig.check_content();
                ASSERT_TRUE(rig.until_durable(rig.append(3)));
                rig.crash();
                ASSERT_TRUE(rig.start()) << rig.why();  // compares runs, configurations and content
                EXPECT_TRUE(rig.wal->holes().empty());
                EXPECT_EQ(rig.world->ended(), std::nullopt);
                rig.kill();
                if (HasFailure()) return;
            }
    printf("%lu places, %lu holes, %lu of unknown terms, %lu found by a reader\n", places.size() * 6, holes,
           unknown_terms, only_read);
    EXPECT_GT(holes, 100u);
    EXPECT_GT(unknown_terms, 0u);
    EXPECT_GT(only_read, 0u);
}

// Several groups in a row, and several stretches of one log, are repaired like one.
TEST_F(WalMend, SeveralHolesInARowAndApart) {
    const std::vector<GroupPlace> places = group_places(made_.storage);
    Random random(5);
    uint64_t most = 0;
    for (int i = 0; i < 150; ++i) {
        SCOPED_TRACE(i);
        Damaged damaged;
        const bool up = damaged.open(made_, [&](sim::SimStorage& storage) {
            for (uint64_t n = 2 + random.below(6), at = random.below(places.size()); n > 0; --n) {
                if (random.chance(0.4)) at = random.below(places.size());
                const GroupPlace& lost = places[std::min(at++, places.size() - 1)];
                storage.flip_bit(lost.path, lost.offset + random.below(kGroupHeaderBytes + kEntryHeaderBytes),
                                 2);
            }
            for (const std::string& path : storage.durable_paths()) {  // so that all is scanned
                Seal seal;
                const auto bytes = storage.durable_bytes(path);
                std::memcpy(&seal, bytes.data() + kSealAt, sizeof seal);
                if (seal.magic_version == kSealMagic) storage.flip_bit(path, seal.footer_offset + 9, 1);
            }
        });
        ASSERT_TRUE(up) << damaged.rig.why();
        most = std::max(most, damaged.holes);
        WalRig& rig = damaged.rig;
        ASSERT_TRUE(mend_all(rig));
        rig.check_content();
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
        EXPECT_TRUE(rig.wal->holes().empty());
        rig.kill();
        if (HasFailure()) return;
    }
    EXPECT_GT(most, 2u);
}

// The power goes at each call to the disk: the old file or the new one is there, never a mixture.
TEST_F(WalMend, APowerCutAnywhereLeavesTheOldFileOrTheNewOne) {
    const std::vector<GroupPlace> places = group_places(made_.storage);
    uint64_t cuts = 0, whole = 0;
    for (const size_t place : {size_t{3}, places.size() - 2}) {  // sealed, active
        bool reached = true;
        for (uint64_t n = 1; reached; ++n) {
            SCOPED_TRACE(n);
            Damaged damaged;
            ASSERT_TRUE(damaged.open(made_, [&](sim::SimStorage& storage) {
                storage.flip_bit(places[place].path, places[place].offset + 40, 1);
                Seal seal;
                const auto bytes = storage.durable_bytes(places[place].path);
                std::memcpy(&seal, bytes.data() + kSealAt, sizeof seal);
                if (seal.footer_offset != 0) storage.flip_bit(places[place].path, seal.footer_offset + 9, 1);
            }));
            WalRig& rig = damaged.rig;
            const uint64_t cut = rig.storage.calls() + n;
            reached = false;
            rig.storage.fault = [&reached, cut](uint64_t number, const sim::DiskCall&) {
                reached |= number == cut;
                return sim::Verdict{0, number == cut};
            };
            const bool mended = mend_all(rig);
            EXPECT_EQ(mended, !reached);
            rig.crash();
            ++cuts;
            ASSERT_TRUE(rig.start_unchecked()) << rig.why();
            EXPECT_EQ(rig.found.last, rig.model.end());
            rig.model.asked = {{rig.model.acked, rig.found.hard, {}, rig.model.log()}};
            whole += rig.wal->holes().empty();
            for (const std::string& path : rig.storage.durable_paths())
                EXPECT_FALSE(path.ends_with(".mend")) << path;
            ASSERT_TRUE(mend_all(rig));
            rig.check_content();
            rig.crash();
            ASSERT_TRUE(rig.start()) << rig.why();
            rig.kill();
            if (HasFailure()) return;
        }
    }
    printf("%lu power cuts, %lu times whole behind them\n", cuts, whole);
    EXPECT_GT(cuts, 20u);
    EXPECT_GT(whole, 2u);
}

// A cut goes below the hole, or a snapshot replaces the log: there is nothing to repair any more.
TEST_F(WalMend, ACutOrASnapshotEndsAHole) {
    const std::vector<GroupPlace> places = group_places(made_.storage);
    for (const bool snapshot : {false, true}) {
        Damaged damaged;
        const GroupPlace& lost = places[places.size() - 3];
        ASSERT_TRUE(damaged.open(
            made_, [&](sim::SimStorage& storage) { storage.flip_bit(lost.path, lost.offset + 40, 1); }));
        WalRig& rig = damaged.rig;
        ASSERT_EQ(damaged.holes, 1u);
        const HardState hard{Term{rig.term() + 1}, NodeId{1}};
        if (snapshot)
            rig.reset(rig.snapshot_point(rig.model.log().size() + 50, hard.term), hard);
        else
            rig.write(raw(rig.wal->holes().front().from.index), 2, hard);
        EXPECT_TRUE(rig.wal->holes().empty());
        rig.until_quiet();
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
        EXPECT_TRUE(rig.wal->holes().empty());
        rig.kill();
    }
}

/// A flipped bit, by where it is and what came of it.
enum class Came { equal, mended, refused };
struct Flips {
    std::map<std::string, std::map<Came, uint64_t>> table;
    void print() const {
        for (const auto& [where, outcomes] : table) {
            auto count = [&o = outcomes](Came came) { return o.contains(came) ? o.at(came) : 0; };
            printf("%-16s equal %6lu  mended %6lu  refused %6lu\n", where.c_str(), count(Came::equal),
                   count(Came::mended), count(Came::refused));
        }
    }
};

std::string place_of(const sim::SimStorage& storage, const std::string& path, uint64_t byte) {
    const std::vector<std::byte> bytes = storage.durable_bytes(path);
    if (byte < kSealAt) return byte < sizeof(SegmentHeader) ? "segment header" : "header padding";
    Seal seal;
    std::memcpy(&seal, bytes.data() + kSealAt, sizeof seal);
    if (byte < kFirstGroupAt) return seal.magic_version == kSealMagic ? "seal" : "no seal yet";
    if (seal.magic_version == kSealMagic && byte >= seal.end_offset) return "behind the seal's end";
    for (uint64_t at = byte / kBlockBytes * kBlockBytes; at >= kFirstGroupAt; at -= kBlockBytes) {
        GroupHeader group;
        std::memcpy(&group, bytes.data() + at, sizeof group);
        if (group.magic_version != kGroupMagic || byte >= at + group.group_bytes) continue;
        if (group.entry_count == 0) return "vote or marker";
        return byte < at + kGroupHeaderBytes ? "group header" : "entries, padding";
    }
    return "unwritten";
}

// Random bits of a whole directory: the log is equal, or is mended to be, or is refused with file and place.
// Never another entry, never an older vote. RAFTD_FLIPS sets how many.
TEST_F(WalMend, RandomFlippedBitsEndWellOrAreRefused) {
    const char* wanted = std::getenv("RAFTD_FLIPS");
    const uint64_t count = wanted != nullptr ? std::stoull(wanted) : 1000;
    Random random(17);
    const std::vector<std::string> files = made_.storage.durable_paths();
    Flips flips;
    for (uint64_t i = 0; i < count; ++i) {
        const std::string& path = files[random.below(files.size())];
        // Most of a file is as it was filled: half of the flips aim at what is used.
        uint64_t byte = random.below(made_.storage.durable_bytes(path).size());
        if (random.chance(0.5)) byte = byte % 12 * kBlockBytes + random.below(300);
        SCOPED_TRACE(path + " at " + std::to_string(byte));
        Damaged damaged;
        const bool up = damaged.open(made_, [&](sim::SimStorage& storage) {
            storage.flip_bit(path, byte, static_cast<int>(random.below(8)));
        });
        auto& outcomes = flips.table[place_of(made_.storage, path, byte)];
        WalRig& rig = damaged.rig;
        if (!up) {
            ++outcomes[Came::refused];
            EXPECT_NE(rig.refused.what.find(".wal"), std::string::npos) << rig.why();
            if (rig.refused.code == Errc::damaged) {  // else a header's version says too much
                EXPECT_NE(rig.refused.what.find("byte"), std::string::npos) << rig.why();
            }
            continue;
        }
        expect_readable(rig);
        if (rig.wal->holes().empty()) {  // it may lie where a start doesn't look
            for (uint64_t at = raw(rig.wal->base().index) + 1; at <= rig.model.log().size(); ++at) {
                const ReadResult got = rig.read({ReadRequest::By::index, at, 1, Index{at}});
                if (got.code != ReadCode::damaged) continue;
                rig.world->machine().run([&] { rig.wal->survey(got.first); });
                rig.until_quiet();
                break;
            }
        }
        ++outcomes[rig.wal->holes().empty() ? Came::equal : Came::mended];
        ASSERT_TRUE(mend_all(rig));
        rig.check_content();
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
        rig.kill();
        if (HasFailure()) return;
    }
    flips.print();
    uint64_t all = 0;
    for (const auto& [where, outcomes] : flips.table)
        for (const auto& [came, number] : outcomes) all += number;
    EXPECT_EQ(all, count);
    EXPECT_GT(flips.table["entries, padding"][Came::mended], 20u);
}

// Entries that don't fit never get in: here those of the hole with one bit wrong.
TEST_F(WalMend, WrongBytesAreNotBelieved) {
    const std::vector<GroupPlace> places = group_places(made_.storage);
    Damaged damaged;
    const GroupPlace& lost = places[places.size() - 3];
    ASSERT_TRUE(damaged.open(
        made_, [&](sim::SimStorage& storage) { storage.flip_bit(lost.path, lost.offset + 40, 1); }));
    WalRig& rig = damaged.rig;
    const Hole hole = rig.wal->holes().front();
    std::vector<Slice> entries = entries_of(rig, hole);
    entries.back().data()[40] ^= std::byte{4};
    rig.world->machine().run([&] { rig.wal->mend(hole, entries); });
    rig.until_quiet();
    std::optional<Wal::Mended> done = rig.wal->take_mended();
    ASSERT_TRUE(done.has_value());
    EXPECT_NE(done->failure, "");
    EXPECT_EQ(rig.wal->holes().size(), 1u);
    ASSERT_TRUE(mend_all(rig));
    rig.check_content();
    rig.kill();
}

}  // namespace
}  // namespace raftd::wal
