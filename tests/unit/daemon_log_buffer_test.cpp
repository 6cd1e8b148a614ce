#include "daemon/log_buffer.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace raftd::daemon {
namespace {

EntryHeader draft_of(const std::vector<std::byte>& body) { return draft_batch(1, body); }

std::vector<std::byte> body_of(const std::string& record) {
    std::vector<std::byte> body(body_bytes_for(1, record.size()));
    ByteView view = as_bytes(record);
    encode_body({&view, 1}, body);
    return body;
}

EntryHeader add(LogBuffer& buffer, const std::string& record, Term term = Term{1}) {
    auto body = body_of(record);
    return buffer.append(draft_of(body), body, term, 5);
}

std::string bytes_of(const LogBuffer& buffer, Index first, Index last) {
    std::vector<Slice> slices;
    buffer.slices(first, last, slices);
    std::string all;
    for (const Slice& slice : slices) all += as_text(slice.view());
    return all;
}

TEST(LogBuffer, EntriesFormAChainFromWhereTheLogEnded) {
    LogPoint end{Index{7}, Term{2}, 99, Lsn{4}, 1};
    LogBuffer buffer(end);
    EXPECT_EQ(buffer.first(), Index{8});
    EXPECT_EQ(buffer.last(), Index{7});
    EntryHeader header = add(buffer, "a", Term{3});
    EXPECT_EQ(check_follows(end, header), EntryFault::none);
    EXPECT_EQ(header.lsn_first, 4u);
    EXPECT_EQ(buffer.point_at(Index{7}), end);
    EXPECT_EQ(buffer.point_at(Index{8}), buffer.end());
    EXPECT_FALSE(buffer.point_at(Index{6}));
    EXPECT_FALSE(buffer.point_at(Index{9}));
}

// Memory errors: any bit that changes in an entry is noticed, at that entry.
TEST(LogBuffer, AChangedBitIsFound) {
    LogBuffer buffer(LogPoint{});
    for (int i = 1; i <= 6; ++i) add(buffer, "record-" + std::to_string(i));
    EXPECT_FALSE(buffer.first_bad(Index{1}, Index{6}));
    for (uint64_t i = 1; i <= 6; ++i) {
        std::vector<Slice> entry;
        buffer.slices(Index{i}, Index{i}, entry);
        auto* bytes = const_cast<std::byte*>(entry.front().data());
        for (uint32_t at = 0; at < entry.front().size(); ++at) {
            bytes[at] ^= std::byte{16};
            auto bad = buffer.first_bad(Index{1}, Index{6});
            ASSERT_TRUE(bad) << "entry " << i << " byte " << at;
            EXPECT_EQ(bad->first, Index{i}) << "byte " << at;
            bytes[at] ^= std::byte{16};
        }
    }
    EXPECT_FALSE(buffer.first_bad(Index{1}, Index{6}));
}

// A write or a send may still hold the bytes of what was cut: they must stay as they were.
TEST(LogBuffer, CutNeverChangesBytesThatSomebodyHolds) {
    LogBuffer buffer(LogPoint{});
    for (int i = 0; i < 5; ++i) add(buffer, "old-" + std::to_string(i));
    std::vector<Slice> held;
    buffer.slices(Index{1}, Index{5}, held);
    std::string before = bytes_of(buffer, Index{1}, Index{5});
    buffer.cut_after(Index{2});
    for (int i = 0; i < 5; ++i) add(buffer, "new-" + std::to_string(i), Term{2});
    std::string after;
    for (const Slice& slice : held) after += as_text(slice.view());
    EXPECT_EQ(after, before);
    EXPECT_EQ(buffer.last(), Index{7});
    EXPECT_EQ(buffer.header(Index{3}).term, 2u);
}

TEST(LogBuffer, AnEntryNeverStraddlesChunksAndALargeOneHasItsOwn) {
    LogBuffer buffer(LogPoint{}, 4096);
    for (int i = 0; i < 40; ++i) add(buffer, std::string(300, 'x'));
    add(buffer, std::string(100'000, 'y'));
    add(buffer, "z");
    for (Index index{1}; index <= buffer.last(); ++index) {
        std::vector<Slice> slices;
        buffer.slices(index, index, slices);
        ASSERT_EQ(slices.size(), 1u);
        EntryCursor cursor(slices[0].view());
        const EntryHeader* header = cursor.next();
        ASSERT_NE(header, nullptr);
        EXPECT_EQ(header->index, raw(index));
        EXPECT_EQ(check_body(*header, cursor.body()), EntryFault::none);
    }
}

TEST(LogBuffer, ReleaseGivesBackWholeRunsUpToTheBound) {
    LogBuffer buffer(LogPoint{}, 4096);
    for (int i = 0; i < 100; ++i) add(buffer, std::string(300, 'x'));
    buffer.release(Index{50}, 0);
    EXPECT_LE(buffer.first(), Index{51});
    EXPECT_GT(buffer.first(), Index{30});
    EXPECT_TRUE(buffer.point_at(buffer.first() - 1));
    EXPECT_EQ(buffer.last(), Index{100});
    EXPECT_EQ(buffer.bytes_of(buffer.first(), buffer.last()), buffer.bytes());
}

TEST(LogBuffer, FindsTheEntryOfARecord) {
    LogBuffer buffer(LogPoint{Index{3}, Term{1}, 0, Lsn{10}, 0});
    for (int i = 0; i < 10; ++i) add(buffer, "r");
    EXPECT_FALSE(buffer.index_of(Lsn{9}));
    EXPECT_EQ(buffer.index_of(Lsn{10}), Index{4});
    EXPECT_EQ(buffer.index_of(Lsn{19}), Index{13});
    EXPECT_FALSE(buffer.index_of(Lsn{20}));
}

EntryHeader add_at(LogBuffer& buffer, uint64_t time_ms) {
    auto body = body_of("r");
    return buffer.append(draft_of(body), body, Term{1}, time_ms);
}

// A tail that began one entry late would never show the first record of a time.
TEST(LogBuffer, FindsTheFirstEntryOfATime) {
    LogBuffer buffer(LogPoint{Index{3}, Term{1}, 99, Lsn{10}, 50});
    EXPECT_FALSE(buffer.index_at(50));  // the one before it, in files, is stamped so
    EXPECT_EQ(buffer.index_at(51), Index{4});
    for (uint64_t time : {50, 60, 60, 60, 75}) add_at(buffer, time);
    EXPECT_FALSE(buffer.index_at(0));
    EXPECT_FALSE(buffer.index_at(50));
    EXPECT_EQ(buffer.index_at(51), Index{5});
    EXPECT_EQ(buffer.index_at(60), Index{5});  // of equal stamps the first
    EXPECT_EQ(buffer.index_at(61), Index{8});
    EXPECT_EQ(buffer.index_at(75), Index{8});
    EXPECT_EQ(buffer.index_at(76), Index{9});
    buffer.cut_after(Index{6});
    EXPECT_EQ(buffer.index_at(61), Index{7});
}

TEST(LogBuffer, TimesThatWereReleasedAreNotItsToFind) {
    LogBuffer buffer(LogPoint{}, 4096);
    for (uint64_t time = 100; time < 200; ++time) add_at(buffer, time);
    buffer.release(Index{90}, 1000);
    ASSERT_GT(buffer.first(), Index{1});
    uint64_t released = buffer.point_at(buffer.first() - 1)->timestamp_ms;
    EXPECT_FALSE(buffer.index_at(released));
    EXPECT_EQ(buffer.index_at(released + 1), buffer.first());
}

// The same operations on a plain list of entries must give the same log.
TEST(LogBuffer, BehavesLikeAListUnderRandomOperations) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
        Random random(seed);
        LogBuffer buffer(LogPoint{}, 4096);
        std::vector<std::string> list;  // encoded entry i + 1
        uint64_t term = 1, released = 0;
        for (int step = 0; step < 200; ++step) {
            uint64_t dice = random.below(10);
            if (dice < 6) {
                add(buffer, std::string(random.below(900), 'a'), Term{term});
                list.push_back(bytes_of(buffer, buffer.last(), buffer.last()));
            } else if (dice < 7 && list.size() > released) {
                uint64_t keep = random.between(released, list.size());
                buffer.cut_after(Index{keep});
                list.resize(keep);
                ++term;
            } else if (dice < 8) {
                buffer.release(Index{random.below(list.size() + 1)}, random.below(20'000));
                released = raw(buffer.first()) - 1;
            } else if (dice < 9 && list.size() > released) {
                // What another member would send: the same bytes, received elsewhere.
                Index first = buffer.first() + random.below(list.size() - released);
                Slice copy = Slice::copy_of(as_bytes(bytes_of(buffer, first, buffer.last())));
                buffer.cut_after(first - 1);
                buffer.adopt(copy);
            }
            ASSERT_EQ(raw(buffer.last()), list.size());
            std::string expected;
            for (uint64_t i = released; i < list.size(); ++i) expected += list[i];
            ASSERT_EQ(buffer.last() < buffer.first() ? "" : bytes_of(buffer, buffer.first(), buffer.last()),
                      expected);
        }
    }
}

}  // namespace
}  // namespace raftd::daemon
