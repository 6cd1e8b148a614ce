#include "base/entry.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace raftd {
namespace {

std::vector<std::byte> entry_bytes(LogPoint& point, Term term, const std::vector<std::string>& records) {
    std::vector<ByteView> views;
    uint64_t payload = 0;
    for (const auto& record : records) {
        views.push_back(as_bytes(record));
        payload += record.size();
    }
    std::vector<std::byte> body(body_bytes_for(records.size(), payload));
    encode_body(views, body);
    EntryHeader header = draft_batch(static_cast<uint32_t>(records.size()), body);
    finish_header(header, point, term, 1000);
    point = point_after(header);
    std::vector<std::byte> bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

TEST(Entry, RoundTripsRecordsIncludingEmptyOnes) {
    LogPoint point;
    std::vector<std::byte> bytes = entry_bytes(point, Term{3}, {"a", "", "ccc"});
    EXPECT_EQ(point.index, Index{1});
    EXPECT_EQ(point.lsn_next, Lsn{4});
    EntryCursor cursor(bytes);
    const EntryHeader* header = cursor.next();
    ASSERT_NE(header, nullptr);
    EXPECT_EQ(check_form(*header), EntryFault::none);
    EXPECT_EQ(check_body(*header, cursor.body()), EntryFault::none);
    EXPECT_EQ(check_follows(LogPoint{}, *header), EntryFault::none);
    RecordReader reader(*header, cursor.body());
    EXPECT_EQ(as_text(*reader.next()), "a");
    EXPECT_EQ(as_text(*reader.next()), "");
    EXPECT_EQ(as_text(*reader.next()), "ccc");
    EXPECT_FALSE(reader.next());
    EXPECT_EQ(cursor.next(), nullptr);
    EXPECT_EQ(cursor.remaining(), 0u);
}

// If any header byte could change unseen, a flipped bit would move an entry or its records.
TEST(Entry, EveryFlippedBitIsFound) {
    LogPoint point;
    const std::vector<std::byte> good = entry_bytes(point, Term{3}, {"hello", "you"});
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::vector<std::byte> bytes = good;
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        EntryCursor cursor(bytes);
        const EntryHeader* header = cursor.next();
        if (header == nullptr) continue;  // the length grew past the end
        bool found = check_form(*header) != EntryFault::none ||
                     check_body(*header, cursor.body()) != EntryFault::none ||
                     check_follows(LogPoint{}, *header) != EntryFault::none;
        EXPECT_TRUE(found) << "bit " << bit;
    }
}

TEST(Entry, TruncatedAtEveryByteIsNotWhole) {
    LogPoint point;
    const std::vector<std::byte> good = entry_bytes(point, Term{1}, {"hello"});
    for (size_t length = 0; length < good.size(); ++length) {
        EntryCursor cursor(ByteView(good).first(length));
        EXPECT_EQ(cursor.next(), nullptr) << length;
        EXPECT_EQ(cursor.remaining(), length);
    }
}

TEST(Entry, LyingCountsAreRefused) {
    std::array<std::byte, 9> body{};
    uint32_t length = 5;
    std::memcpy(body.data(), &length, 4);
    EntryHeader header = draft_batch(1, body);
    EXPECT_EQ(check_body(header, body), EntryFault::none);
    header.record_count = 2;
    EXPECT_EQ(check_body(header, body), EntryFault::records);
    header.record_count = 0x40000000;
    EXPECT_EQ(check_form(header), EntryFault::records);
    EXPECT_EQ(check_body(header, body), EntryFault::records);
}

}  // namespace
}  // namespace raftd
