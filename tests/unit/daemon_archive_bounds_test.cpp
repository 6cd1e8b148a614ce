// Where archives end is a function of the log alone (H13): the same whatever the batches look like, wherever
// a member was restarted, and told again from the whole log by a model that counts in the plainest way.
#include "daemon/archive_bounds.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/support/memory_store.h"
#include "tests/support/state_log.h"

namespace raftd::daemon {
namespace {

constexpr StateLimits kBoundsLimits{.producers_max = 8,
                                    .answers_each_max = 5,
                                    .answers_all_max = 12,
                                    .producer_idle_ms = 100,
                                    .archive = {.bytes = 1000, .entries = 8, .marks_max = 100}};

TEST(ArchiveBounds, AnArchiveEndsWithTheEntryThatReachesTheBytes) {
    StateLog log;
    State state(kBoundsLimits, LogPoint{}, 3);
    EXPECT_FALSE(apply(state, log.records(2, 400)).archive_end);
    EXPECT_EQ(state.archives().open(), (OpenArchive{496, 1, 1}));
    EXPECT_FALSE(apply(state, log.records(1, 407)).archive_end);  // 999 bytes
    EXPECT_TRUE(apply(state, log.add(EntryKind::noop, {})).archive_end);
    EXPECT_EQ(state.archives().open(), OpenArchive{});
    EXPECT_EQ(state.archives().marks().back(), (ArchiveMark{Index{4}, Lsn{4}, 1000, 1095}));
    EXPECT_TRUE(apply(state, log.records(9, 904)).archive_end);  // one entry of exactly the bytes
    EXPECT_FALSE(apply(state, log.records(1, 903)).archive_end);
    EXPECT_EQ(state.archives().bytes_total(), 1095u + 1000 + 999);
}

TEST(ArchiveBounds, AnArchiveEndsWithItsLastEntry) {
    StateLog log;
    State state(kBoundsLimits, LogPoint{}, 1);
    for (int i = 1; i <= 16; ++i)
        EXPECT_EQ(apply(state, log.add(EntryKind::noop, {})).archive_end, i % 8 == 0) << i;
}

TEST(ArchiveBounds, ACutEndsAnArchiveThatSaysSomething) {
    StateLog log;
    State state(kBoundsLimits, LogPoint{}, 3);
    EXPECT_FALSE(apply(state, log.add(EntryKind::cut, {})).archive_end);
    EXPECT_FALSE(apply(state, log.add(EntryKind::noop, {})).archive_end);
    apply(state, log.records(1, 4));
    EXPECT_TRUE(apply(state, log.add(EntryKind::cut, {})).archive_end);
    EXPECT_FALSE(apply(state, log.add(EntryKind::cut, {})).archive_end);
    EXPECT_EQ(state.archives().open_first(), Index{5});
    // No record, and all the same something that a snapshot must have.
    EXPECT_FALSE(apply(state, log.cursor("reader", 3)).archive_end);
    EXPECT_TRUE(apply(state, log.add(EntryKind::cut, {})).archive_end);
}

TEST(ArchiveBounds, TheFirstArchiveBeginsBehindTheBase) {
    State state(kBoundsLimits, LogPoint{Index{70}, Term{3}, 99, Lsn{41}, 5000}, 3);
    EXPECT_EQ(state.archives().marks().front(), (ArchiveMark{Index{71}, Lsn{41}, 5000, 0}));
}

struct BoundsModel {
    uint64_t bytes = 0, entries = 0, changes = 0;
    std::vector<uint64_t> ends;
    void add(const EntryHeader& header, const ArchiveLimits& limits) {
        bytes += 96 + header.body_bytes;
        entries += 1;
        changes += header.kind != EntryKind::noop && header.kind != EntryKind::cut;
        bool cut = header.kind == EntryKind::cut && changes > 0;
        if (bytes >= limits.bytes || entries == limits.entries || cut) {
            ends.push_back(header.index);
            bytes = entries = changes = 0;
        }
    }
};

TEST(ArchiveBounds, TheSameAsTheWholeLogSaysWhereverAMemberWasRestarted) {
    uint64_t archives = 0, cuts = 0;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        Random random(seed);
        StateLimits limits = kBoundsLimits;
        limits.archive = {1 + random.below(5000), 1 + random.below(50), 2000};
        StateLog log;
        State state(limits, LogPoint{}, 1 + static_cast<uint32_t>(random.below(3)));
        snapshot::MemoryStore store;
        BoundsModel model;
        for (int i = 0; i < 1000; ++i) {
            log.now_ms += random.below(3);
            LoggedEntry entry = random.below(12) == 0 ? log.add(EntryKind::cut, {})
                                : random.below(12) == 0
                                    ? log.add(EntryKind::noop, {})
                                    : log.records(1 + static_cast<uint32_t>(random.below(3)),
                                                  static_cast<uint32_t>(random.below(300)));
            size_t before = model.ends.size();
            model.add(entry.header, limits.archive);
            ASSERT_EQ(apply(state, entry).archive_end, model.ends.size() > before) << seed << " " << i;
            cuts += model.ends.size() > before && entry.header.kind == EntryKind::cut;
            if (random.below(20) != 0) continue;
            snapshot::StoreBatch batch;
            state.take_dirty(batch);
            store.write(batch).value();
            auto loaded = State::load(limits, store);
            ASSERT_TRUE(loaded) << loaded.error().what;
            state = std::move(*loaded);
        }
        const auto& marks = state.archives().marks();
        ASSERT_EQ(marks.size(), model.ends.size() + 1);
        for (size_t i = 0; i < model.ends.size(); ++i) ASSERT_EQ(raw(marks[i + 1].first), model.ends[i] + 1);
        archives += model.ends.size();
    }
    EXPECT_GT(archives, 1000u);
    EXPECT_GT(cuts, 100u);
}

TEST(ArchiveBounds, MarksStayBoundedAndAreWhatTheStoreHas) {
    StateLimits limits = kBoundsLimits;
    limits.archive = {.bytes = 1, .entries = 10, .marks_max = 20};
    StateLog log;
    State state(limits, LogPoint{}, 3);
    snapshot::MemoryStore store;
    for (int i = 0; i < 5000; ++i) {
        apply(state, log.records(1, 10));
        ASSERT_LE(state.archives().marks().size(), 20u);
        ASSERT_EQ(state.archives().open_first(), state.applied() + 1);
        if (i % 7 != 0) continue;
        snapshot::StoreBatch batch;
        state.take_dirty(batch);
        store.write(batch).value();
    }
    EXPECT_EQ(state.archives().marks().front().first, Index{1});
    EXPECT_EQ(state.archives().bytes_total(), 5000u * 106);
    snapshot::StoreBatch batch;
    state.take_dirty(batch);
    store.write(batch).value();
    auto loaded = State::load(limits, store);
    ASSERT_TRUE(loaded) << loaded.error().what;
    EXPECT_EQ(loaded->digest(), state.digest());
}

// What an earlier version wrote has no counts: it isn't taken, and the log tells them again.
TEST(ArchiveBounds, AStoreOfTheOlderFormatIsNotTaken) {
    State state(kBoundsLimits, LogPoint{}, 2);
    snapshot::MemoryStore store;
    snapshot::StoreBatch batch;
    state.take_dirty(batch);
    std::string old = *batch.keys.at("f");
    old[0] = 1;
    old.resize(48);
    batch.keys = {{"f", old}};
    store.write(batch).value();
    auto loaded = State::load(kBoundsLimits, store);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Errc::damaged);
}

}  // namespace
}  // namespace raftd::daemon
