// What stays of the log (H23, H25): trims against holds, checkpoints and the end, and a model that keeps
// every entry and asks of each one whether somebody may still want it.
#include "daemon/retained.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/support/memory_store.h"
#include "tests/support/state_log.h"

namespace raftd::daemon {
namespace {

using Refused = RetainEffects::Refused;
constexpr StateLimits kLimits{
    .producers_max = 8,
    .answers_each_max = 5,
    .answers_all_max = 12,
    .archive = {.bytes = 1000, .entries = 4, .marks_max = 100},
    .retain = {.cursors_max = 3, .checkpoints_max = 2, .uploads_max = 2, .upload_distance = 5000}};

struct RetainedRig {
    RetainEffects operator()(const LoggedEntry& entry) { return apply(state, entry).retain.value(); }
    void records(uint32_t count) { apply(state, log.records(count)); }
    /// A whole checkpoint; its number.
    uint64_t checkpoint(uint64_t upto, uint64_t bytes = 10) {
        uint64_t id = raw(log.end.index) + 1;
        EXPECT_EQ((*this)(log.begin(upto, bytes)).refused, Refused::none);
        EXPECT_EQ((*this)(log.chunk(id, 0, bytes)).refused, Refused::none);
        EXPECT_EQ((*this)(log.commit(id)).refused, Refused::none);
        return id;
    }
    StateLog log;
    State state{kLimits, LogPoint{}, 3};
};

TEST(Retained, ATrimComesToTheEndAtMostAndNeverBack) {
    RetainedRig rig;
    EXPECT_EQ(rig.state.first_lsn(), Lsn{1});
    rig.records(10);
    EXPECT_EQ(rig(rig.log.trim(4)).trimmed_to, Lsn{4});
    EXPECT_EQ(rig(rig.log.trim(3)).trimmed_to, Lsn{});
    EXPECT_EQ(rig.state.first_lsn(), Lsn{4});
    RetainEffects effects = rig(rig.log.trim(99));
    EXPECT_EQ(effects.trimmed_to, Lsn{11});
    EXPECT_EQ(effects.floor.by, TrimFloor::By::end);
    EXPECT_EQ(effects.floor.lsn, Lsn{11});
}

TEST(Retained, AHoldKeepsWhatItsCursorHasNotRead) {
    RetainedRig rig;
    rig.records(10);
    rig(rig.log.cursor("audit", 5, true));
    rig(rig.log.cursor("other", 2));
    RetainEffects effects = rig(rig.log.trim(8));
    EXPECT_EQ(effects.trimmed_to, Lsn{5});
    EXPECT_EQ(effects.floor.by, TrimFloor::By::cursor);
    EXPECT_EQ(effects.floor.cursor, "audit");
    EXPECT_EQ(rig(rig.log.advance("audit", 7)).refused, Refused::none);
    EXPECT_EQ(rig(rig.log.trim(8)).trimmed_to, Lsn{7});
    EXPECT_EQ(rig(rig.log.remove_cursor("audit")).refused, Refused::none);
    EXPECT_EQ(rig(rig.log.trim(8)).trimmed_to, Lsn{8});
    EXPECT_EQ(rig(rig.log.remove_cursor("audit")).refused, Refused::unknown);
}

TEST(Retained, ACursorIsSetToAnywhereButAdvancesOnlyForward) {
    RetainedRig rig;
    rig.records(10);
    rig(rig.log.cursor("a", 5, true, 777));
    rig(rig.log.advance("a", 3));
    EXPECT_EQ(rig.state.retained().cursors().at("a").lsn, Lsn{5});
    rig(rig.log.advance("a", 6));
    EXPECT_EQ(rig.state.retained().cursors().at("a"), (Cursor{Lsn{6}, true, 777, 1000}));
    rig(rig.log.cursor("a", 2));
    EXPECT_EQ(rig.state.retained().cursors().at("a"), (Cursor{Lsn{2}, false, 0, 1000}));
    rig(rig.log.trim(4));
    EXPECT_EQ(rig(rig.log.cursor("a", 3)).refused, Refused::trimmed);
    EXPECT_EQ(rig(rig.log.cursor("a", 12)).refused, Refused::beyond);
    EXPECT_EQ(rig(rig.log.cursor("a", 11)).refused, Refused::none);
    rig(rig.log.advance("b", 11));
    rig(rig.log.advance("c", 11));
    EXPECT_EQ(rig(rig.log.advance("d", 11)).refused, Refused::full);
    EXPECT_EQ(rig.state.retained().cursors().size(), 3u);
}

TEST(Retained, AHoldWithALimitEndsWhereItKeepsMore) {
    RetainedRig rig;
    rig.records(1);
    rig(rig.log.cursor("slow", 1, true, 1500));
    for (int i = 0; i < 4; ++i) rig.records(1);
    EXPECT_EQ(rig(rig.log.trim(4)).trimmed_to, Lsn{});
    for (int i = 0; i < 30; ++i) rig.records(1);
    RetainEffects effects = rig(rig.log.trim(4));
    EXPECT_EQ(effects.trimmed_to, Lsn{4});
    EXPECT_EQ(effects.holds_over, std::vector<std::string>{"slow"});
}

TEST(Retained, ThePolicyBelowTheNewestCheckpointBoundsEveryTrim) {
    RetainedRig rig;
    rig.records(10);
    rig(rig.log.retention({.records = 3, .below_checkpoint = true}));
    rig(rig.log.retention({.bytes = 500}));
    EXPECT_EQ(rig.state.retained().policy(), (RetentionPolicy{500, 0, 3, true}));
    EXPECT_EQ(rig(rig.log.trim(8)).trimmed_to, Lsn{});
    rig.checkpoint(5);
    RetainEffects effects = rig(rig.log.trim(8));
    EXPECT_EQ(effects.trimmed_to, Lsn{6});
    EXPECT_EQ(effects.floor.by, TrimFloor::By::checkpoint);
    rig(rig.log.retention({.below_checkpoint = false}));
    EXPECT_EQ(rig(rig.log.trim(8)).trimmed_to, Lsn{8});
}

TEST(Retained, TheCatalogueChangesOnlyAtTheCommit) {
    RetainedRig rig;
    rig.records(10);
    EXPECT_EQ(rig(rig.log.begin(11, 5)).refused, Refused::beyond);
    uint64_t id = raw(rig.log.end.index) + 1;
    EXPECT_EQ(rig(rig.log.begin(10, 25)).refused, Refused::none);
    EXPECT_EQ(rig.state.retained().newest(), nullptr);
    EXPECT_EQ(rig(rig.log.chunk(id, 0, 10)).refused, Refused::none);
    EXPECT_EQ(rig(rig.log.chunk(id, 0, 10)).refused, Refused::none);  // its answer was lost
    EXPECT_EQ(rig(rig.log.chunk(id, 5, 10)).refused, Refused::misplaced);
    EXPECT_EQ(rig(rig.log.chunk(id, 20, 5)).refused, Refused::misplaced);
    EXPECT_EQ(rig(rig.log.chunk(id, 10, 16)).refused, Refused::misplaced);
    EXPECT_EQ(rig(rig.log.commit(id)).refused, Refused::incomplete);
    EXPECT_EQ(rig(rig.log.chunk(id, 10, 15)).refused, Refused::none);
    EXPECT_EQ(rig(rig.log.chunk(id + 90, 0, 15)).refused, Refused::unknown);
    EXPECT_EQ(rig(rig.log.commit(id)).refused, Refused::none);
    ASSERT_NE(rig.state.retained().newest(), nullptr);
    EXPECT_EQ(rig.state.retained().newest()->upto, Lsn{10});
    EXPECT_EQ(rig(rig.log.commit(id)).refused, Refused::none);  // its answer was lost
    EXPECT_EQ(rig(rig.log.begin(10, 5)).refused, Refused::not_rising);
    EXPECT_EQ(rig(rig.log.chunk(id, 25, 1)).refused, Refused::misplaced);
}

// Two upload at once: the one for fewer records comes too late.
TEST(Retained, ACheckpointForFewerRecordsThanTheNewestIsNotCommitted) {
    RetainedRig rig;
    rig.records(10);
    uint64_t older = raw(rig.log.end.index) + 1;
    rig(rig.log.begin(5, 0));
    rig(rig.log.begin(6, 0));
    EXPECT_EQ(rig(rig.log.commit(older + 1)).refused, Refused::none);
    EXPECT_EQ(rig(rig.log.commit(older)).refused, Refused::not_rising);
}

TEST(Retained, ATrimPastACheckpointDropsIt) {
    RetainedRig rig;
    rig.records(10);
    uint64_t id = rig.checkpoint(5);
    uint64_t upload = raw(rig.log.end.index) + 1;
    rig(rig.log.begin(6, 100));
    EXPECT_TRUE(rig(rig.log.trim(6)).dropped.empty());
    EXPECT_EQ(rig(rig.log.trim(7)).dropped, std::vector<uint64_t>{id});
    EXPECT_EQ(rig(rig.log.trim(9)).dropped, std::vector<uint64_t>{upload});
    EXPECT_EQ(rig(rig.log.chunk(upload, 0, 1)).refused, Refused::unknown);
    EXPECT_TRUE(rig.state.retained().checkpoints().empty());
}

TEST(Retained, TooManyAndAbandonedOnesGo) {
    RetainedRig rig;
    rig.records(10);
    uint64_t first = rig.checkpoint(1);
    rig.checkpoint(2);
    uint64_t id = raw(rig.log.end.index) + 1;
    rig(rig.log.begin(3, 0));
    EXPECT_EQ(rig(rig.log.commit(id)).dropped, std::vector<uint64_t>{first});
    uint64_t upload = raw(rig.log.end.index) + 1;
    rig(rig.log.begin(4, 9)), rig(rig.log.begin(5, 9));
    rig(rig.log.chunk(upload, 0, 3));  // the other one has stood still for longer
    EXPECT_EQ(rig(rig.log.begin(6, 9)).dropped, std::vector<uint64_t>{upload + 1});
    std::vector<uint64_t> dropped;
    for (int i = 0; i < 60; ++i)
        if (auto effects = apply(rig.state, rig.log.records(1)).retain)
            dropped.insert(dropped.end(), effects->dropped.begin(), effects->dropped.end());
    EXPECT_EQ(dropped, (std::vector<uint64_t>{upload, upload + 3}));
}

// A run shares its archive with records that go: it must not go with them.
TEST(Retained, ATrimFreesNothingOfARunThatIsUseful) {
    RetainedRig rig;
    rig.records(3);
    uint64_t id = rig.checkpoint(3);  // ends the archive of four entries
    EXPECT_EQ(rig.state.archives().open_first(), Index{5});
    rig.records(3);
    rig(rig.log.trim(4));
    EXPECT_EQ(rig.state.first_index(), Index{id});
    rig(rig.log.trim(5));  // drops it
    EXPECT_EQ(rig.state.first_index(), Index{5});
}

/// Everything there ever was.
struct Model {
    struct Entry {
        uint64_t index, lsn_first, records, of_checkpoint;
    };
    std::vector<Entry> entries;
    uint64_t first_lsn = 1;

    void check(const State& state) const {
        const uint64_t first = raw(state.first_index());
        for (const Entry& entry : entries) {
            if (entry.index >= first) return;
            ASSERT_LE(entry.lsn_first + entry.records, raw(state.first_lsn())) << entry.index;
            ASSERT_FALSE(state.retained().checkpoints().contains(entry.of_checkpoint)) << entry.index;
        }
    }
};

TEST(Retained, NoEntryThatSomebodyMayWantIsFreed) {
    uint64_t trims = 0, freed = 0, whole = 0, held = 0, dropped = 0;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Random random(seed);
        StateLimits limits = kLimits;
        limits.archive.entries = 1 + random.below(12);
        limits.retain.upload_distance = 2000 + random.below(20'000);
        StateLog log;
        State state(limits, LogPoint{}, 3);
        Model model;
        uint64_t upload = 0;
        for (int i = 0; i < 1500; ++i) {
            const uint64_t end = raw(log.end.lsn_next), first = raw(state.first_lsn());
            const uint64_t some = std::max<uint64_t>(1, first + random.below(end - first + 1));
            const std::string name(1, static_cast<char>('a' + random.below(3)));
            uint64_t of = 0;
            LoggedEntry entry;
            switch (random.below(24)) {
                case 0: entry = log.trim(std::min(some, first + 8)); break;
                case 1: entry = log.cursor(name, some, random.below(2) == 0); break;
                case 2: entry = log.remove_cursor(name); break;
                case 3: entry = log.advance(name, end); break;
                case 4:
                    entry = log.begin(std::max<uint64_t>(end, 2) - 1, 30);
                    of = upload = entry.header.index;
                    break;
                case 5:
                case 6:
                case 7:
                case 8: {
                    auto known = state.retained().checkpoints().find(upload);
                    bool there = known != state.retained().checkpoints().end() && !known->second.whole();
                    entry = there && known->second.received < 30
                                ? log.chunk(upload, known->second.received, 10)
                            : there ? log.commit(upload)
                                    : log.records(1);
                    if (there) of = upload;
                    break;
                }
                default: entry = log.records(1 + static_cast<uint32_t>(random.below(3))); break;
            }
            model.entries.push_back({entry.header.index, entry.header.lsn_first,
                                     entry.header.kind == EntryKind::batch ? entry.header.record_count : 0,
                                     of});
            const Index before = state.first_index();
            const auto cursors = state.retained().cursors();
            Effects effects = apply(state, entry);
            ASSERT_GE(state.first_index(), before);
            ASSERT_GE(raw(state.first_lsn()), first);
            ASSERT_LE(state.first_lsn(), log.end.lsn_next);
            for (const auto& [cursor_name, cursor] : cursors)
                if (cursor.hold && raw(cursor.lsn) >= first) {
                    ASSERT_GE(cursor.lsn, state.first_lsn()) << cursor_name;
                }
            model.check(state);
            if (HasFatalFailure()) return;
            freed += state.first_index() > before;
            if (!effects.retain) continue;
            trims += effects.retain->trimmed_to != Lsn{};
            held += effects.retain->floor.by == TrimFloor::By::cursor;
            dropped += effects.retain->dropped.size();
            whole +=
                entry.header.kind == EntryKind::checkpoint_commit && effects.retain->refused == Refused::none;
        }
    }
    EXPECT_GT(trims, 200u);
    EXPECT_GT(freed, 100u);
    EXPECT_GT(whole, 100u);
    EXPECT_GT(held, 50u);
    EXPECT_GT(dropped, 100u);
}

}  // namespace
}  // namespace raftd::daemon
