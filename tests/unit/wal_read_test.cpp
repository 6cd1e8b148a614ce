#include "tests/support/wal_rig.h"
#include "wal/marks.h"

namespace raftd::wal {
namespace {

using By = ReadRequest::By;
constexpr Index kAll{UINT64_MAX};

/// Five segments or more, one of them cut twice.
void fill(WalRig& rig) {
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    rig.write(0, 1, {Term{1}, NodeId{1}});
    while (rig.wal->counters().rolls < 3) ASSERT_TRUE(rig.until_durable(rig.append(7, 1500)));
    const uint64_t size = rig.model.log().size();
    ASSERT_TRUE(rig.until_durable(rig.write(size - 3, 9, {Term{2}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.write(size - 6, 4, {Term{3}, NodeId{1}})));
    while (rig.wal->counters().rolls < 6) ASSERT_TRUE(rig.until_durable(rig.append(7, 1500)));
    rig.until_quiet();
}
EntryHeader header_of(const WalRig& rig, uint64_t index) {
    EntryHeader header;
    std::memcpy(&header, rig.model.entries.at(rig.model.at(index).chain).data(), sizeof header);
    return header;
}

TEST(WalRead, ByIndexFromEverywhereOverSegmentsAndCuts) {
    WalRig rig;
    fill(rig);
    Random random(3);
    for (int life = 0; life < 2; ++life) {
        const uint64_t size = rig.model.log().size();
        for (uint64_t first = 1; first <= size; ++first) {
            const uint64_t bytes_max = 1 + random.below(40'000);
            const Index upto = random.chance(0.3) ? Index{first + random.below(5)} : kAll;
            ReadResult got = rig.read({By::index, first, bytes_max, upto});
            ASSERT_EQ(got.code, ReadCode::ok) << first << " " << got.what;
            ASSERT_EQ(got.first, Index{first});
            EXPECT_LE(got.last, upto);
            EXPECT_TRUE(got.entries.size() <= bytes_max || got.first == got.last);
            rig.expect_entries(got);
        }
        EXPECT_EQ(rig.read({By::index, size + 1, 1000, kAll}).code, ReadCode::beyond);
        EXPECT_EQ(rig.read({By::index, 5, 1000, Index{4}}).code, ReadCode::beyond);
        EXPECT_EQ(rig.read({By::index, 0, 1000, kAll}).code, ReadCode::gone);
        rig.crash();
        ASSERT_TRUE(rig.start()) << rig.why();
    }
}

TEST(WalRead, ByLsnFindsTheBatchThatHoldsIt) {
    WalRig rig;
    fill(rig);
    const uint64_t end = raw(rig.model.end().lsn_next);
    for (uint64_t lsn = 1; lsn < end; ++lsn) {
        ReadResult got = rig.read({By::lsn, lsn, 1, kAll});
        ASSERT_EQ(got.code, ReadCode::ok) << lsn << " " << got.what;
        const EntryHeader header = header_of(rig, raw(got.first));
        EXPECT_EQ(header.kind, EntryKind::batch);
        EXPECT_LE(header.lsn_first, lsn);
        EXPECT_GT(header.lsn_first + header.record_count, lsn);
        rig.expect_entries(got);
    }
    EXPECT_EQ(rig.read({By::lsn, end, 1000, kAll}).code, ReadCode::beyond);
    EXPECT_EQ(rig.read({By::lsn, 0, 1000, kAll}).code, ReadCode::gone);
}

TEST(WalRead, ByTimeFindsTheFirstEntryNotOlder) {
    WalRig rig;
    fill(rig);
    const uint64_t end = rig.model.end().timestamp_ms;
    for (uint64_t time = 0; time <= end; ++time) {
        ReadResult got = rig.read({By::time_ms, time, 1, kAll});
        ASSERT_EQ(got.code, ReadCode::ok) << time << " " << got.what;
        EXPECT_GE(rig.model.at(raw(got.first)).timestamp_ms, time);
        EXPECT_TRUE(got.first == Index{1} || rig.model.at(raw(got.first) - 1).timestamp_ms < time);
        rig.expect_entries(got);
    }
    EXPECT_EQ(rig.read({By::time_ms, end + 1, 1000, kAll}).code, ReadCode::beyond);
}

// Whoever wants records up to an LSN gets no entry behind the one that holds it, whatever else would fit.
TEST(WalRead, EndsWithTheEntryThatHoldsAnLsn) {
    WalRig rig;
    fill(rig);
    Random random(5);
    const uint64_t end = raw(rig.model.end().lsn_next);
    for (uint64_t upto = 1; upto < end; ++upto) {
        const uint64_t from = 1 + random.below(upto);
        ReadResult got = rig.read({By::lsn, from, 1 << 20, kAll, upto});
        ASSERT_EQ(got.code, ReadCode::ok) << got.what;
        EXPECT_EQ(got.after, rig.model.at(raw(got.last)));
        EXPECT_LE(header_of(rig, raw(got.last)).lsn_first, upto);
        if (got.after.lsn_next <= Lsn{upto}) {  // there is more in a later segment than one read takes
            got = rig.read({By::index, raw(got.last) + 1, 1 << 20, kAll, upto});
            EXPECT_LE(header_of(rig, raw(got.last)).lsn_first, upto);
        }
        rig.expect_entries(got);
    }
}

// An entry larger than any segment gets one of its own size, and one read returns it whole.
TEST(WalRead, AnEntryLargerThanASegment) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    for (uint64_t bytes : {70'000u, 300'000u, 5u, 1'000'000u}) {
        ASSERT_TRUE(rig.until_durable(rig.append_record(std::string(bytes, 'r')))) << bytes;
        ASSERT_TRUE(rig.until_durable(rig.append(2)));
    }
    rig.check_content();
    rig.crash();
    ASSERT_TRUE(rig.start()) << rig.why();
    EXPECT_EQ(rig.found.last, rig.model.end());
}

// H28: a read that began before a cut never hands out what was cut.
TEST(WalRead, ReadsBegunBeforeACutBelowThemAreGone) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.until_durable(rig.write(0, 20, {Term{1}, NodeId{1}})));
    rig.wal->read({By::index, 5, 1 << 20, kAll}, 1);
    rig.wal->read({By::index, 2, 1 << 20, Index{8}}, 2);
    rig.write(10, 1, {Term{2}, NodeId{1}});
    std::vector<ReadResult> results;
    while (results.size() < 2) {
        if (auto got = rig.wal->take_read())
            results.push_back(std::move(*got));
        else
            ASSERT_TRUE(rig.world->step());
    }
    EXPECT_EQ(results[0].code, ReadCode::gone);
    EXPECT_EQ(results[1].code, ReadCode::ok);
    EXPECT_EQ(results[1].last, Index{8});
    // Begun behind the cut, before the new entry is on disk: the old bytes are still in the file.
    ReadResult got = rig.read({By::index, 11, 1000, kAll});
    EXPECT_TRUE(got.code == ReadCode::beyond || got.code == ReadCode::ok);
    if (got.code == ReadCode::ok) rig.expect_entries(got);
}

TEST(WalRead, WhatIsNotOnDiskYetIsBeyond) {
    WalRig rig;
    rig.init();
    ASSERT_TRUE(rig.start());
    const WriteId id = rig.write(0, 2, {Term{1}, NodeId{1}});
    EXPECT_EQ(rig.read({By::index, 1, 1000, kAll}).code, ReadCode::beyond);
    ASSERT_TRUE(rig.until_durable(id));
    EXPECT_EQ(rig.read({By::index, 1, 1000, kAll}).code, ReadCode::ok);
}

TEST(WalRead, DroppedSegmentsAreGone) {
    WalRig rig;
    fill(rig);
    const uint64_t bytes = rig.wal->bytes();
    const LogPoint upto = rig.model.at(rig.model.log().size() / 2);
    rig.wal->drop_below(upto);
    rig.until_quiet();
    EXPECT_LT(rig.wal->bytes(), bytes);
    EXPECT_GT(rig.wal->base().index, Index{});
    EXPECT_LE(rig.wal->base().index, upto.index);
    EXPECT_EQ(rig.read({By::index, raw(rig.wal->base().index), 1000, kAll}).code, ReadCode::gone);
    EXPECT_EQ(rig.read({By::lsn, raw(rig.wal->base().lsn_next) - 1, 1000, kAll}).code, ReadCode::gone);
    EXPECT_EQ(rig.read({By::index, raw(rig.wal->base().index) + 1, 1000, kAll}).code, ReadCode::ok);
    EXPECT_EQ(rig.read({By::time_ms, 0, 1000, kAll}).first, rig.wal->base().index + 1);
    rig.check_content();
}

// P5: damage is found by checksum, named, and never delivered; what lies before it still is.
TEST(WalRead, DamageIsNamedAndNeverReturned) {
    WalRig made;
    fill(made);
    made.crash(sim::CrashPolicy::keep_all());
    const std::string path = segment_path("d/wal", 1);
    Random random(5);
    uint64_t seen = 0;
    for (int i = 0; i < 300; ++i) {
        WalRig rig;
        rig.storage = made.storage;
        rig.model = made.model;
        rig.storage.flip_bit(path, kFirstGroupAt + random.below(40'000), static_cast<int>(random.below(8)));
        if (!rig.start_unchecked()) {  // a membership entry
            EXPECT_EQ(rig.refused.code, Errc::damaged);
            rig.kill();
            continue;
        }
        uint64_t next = 1;
        bool damaged = false;
        while (next <= 30) {
            ReadResult got = rig.read({By::index, next, 20'000, kAll});
            if (got.code != ReadCode::ok) {
                ASSERT_EQ(got.code, ReadCode::damaged) << got.what;
                EXPECT_NE(got.what.find(path), std::string::npos);
                EXPECT_NE(got.what.find("byte"), std::string::npos);
                damaged = true;
                break;
            }
            rig.expect_entries(got);
            next = raw(got.last) + 1;
        }
        seen += damaged;
    }
    EXPECT_GT(seen, 50u);
}

TEST(WalMarks, TheCacheKeepsTheNewestWithinItsBytes) {
    MarkCache cache(3000);
    for (uint64_t id = 1; id <= 10; ++id) {
        cache.keep(id, std::make_shared<Marks>(10));
        EXPECT_LE(cache.bytes(), 3000u);
        EXPECT_NE(cache.find(id), nullptr);
        if (id > 1) {
            EXPECT_NE(cache.find(2), nullptr) << id;  // used all the time
        }
    }
    EXPECT_EQ(cache.find(3), nullptr);
    cache.keep(11, std::make_shared<Marks>(1000));  // larger than all: alone
    EXPECT_NE(cache.find(11), nullptr);
    EXPECT_EQ(cache.find(2), nullptr);
    cache.forget(11);
    EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace raftd::wal
