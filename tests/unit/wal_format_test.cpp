#include "wal/format.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "tests/support/hex.h"
#include "wal/segment.h"

namespace raftd::wal {
namespace {

constexpr SegmentKey kKey{0x11, 0x5a17'5a17'5a17'5a17};
const LogPoint kPoint{Index{41}, Term{7}, 0xc4a1'0000'0000'0041, Lsn{101}, 1'700'000'000'123};

template <class T>
ByteView view_of(const T& value) {
    return {reinterpret_cast<const std::byte*>(&value), sizeof value};
}
bool equal(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

SegmentHeader some_header() {
    SegmentHeader header{};
    header.magic_version = kSegmentMagic;
    header.segment_id = kKey.id;
    header.cluster_id = {0xc1, 0xc2};
    header.incarnation = {0x11c1, 0x11c2};
    header.base = kPoint;
    header.before_segment_id = 0x10;
    header.before_end = 0x3000;
    header.hard = {9, {Term{7}, NodeId{2}}};
    header.file_bytes = 64u << 20;
    header.salt = kKey.salt;
    sign(header);
    return header;
}
Seal some_seal() {
    Seal seal{};
    seal.magic_version = kSealMagic;
    seal.segment_id = kKey.id;
    seal.end_offset = 0x5000;
    seal.last_index = 77;
    seal.last_group = 5;
    seal.footer_offset = 0x5000;
    seal.footer_bytes = 184;
    seal.footer_checksum = 0xf007;
    seal.next_segment_id = 0x12;
    seal.next_index_first = 78;
    sign(seal, kKey);
    return seal;
}
GroupHeader some_group() {
    GroupHeader header{};
    header.magic_version = kGroupMagic;
    header.segment_id = kKey.id;
    header.group_number = 3;
    header.file_offset = 0x4000;
    header.durable_group = 2;
    header.hard = {12, {Term{8}, NodeId{1}}};
    header.before = kPoint;
    header.chain_after = 0xc4a1'0000'0000'0043;
    header.entry_count = 2;
    header.group_bytes = 0x1000;
    sign(header, kKey);
    return header;
}
SegmentIndex some_index() {
    SegmentIndex index;
    index.note(kPoint, Term{7}, false, 0x2080, 0x2000);
    index.note({Index{50}, Term{7}, 0xc4a1, Lsn{130}, 1'700'000'000'200}, Term{8}, true, 0x13000, 0x12000);
    return index;
}

// Files written by an earlier build must be read by this one: the bytes never change under one version.
TEST(WalFormat, MatchesTheGoldenBytes) {
    EXPECT_TRUE(equal(view_of(some_header()), read_hex("wal_segment_header.hex")));
    EXPECT_TRUE(equal(view_of(some_seal()), read_hex("wal_seal.hex")));
    EXPECT_TRUE(equal(view_of(some_group()), read_hex("wal_group_header.hex")));
    EXPECT_TRUE(equal(encode_footer(kKey.id, kPoint, some_index()), read_hex("wal_footer.hex")));
}

TEST(WalFormat, ReadsTheGoldenBytes) {
    SegmentHeader header;
    EXPECT_EQ(form_of_header(read_hex("wal_segment_header.hex"), kKey.id, header), Form::good);
    EXPECT_EQ(header.base, kPoint);
    EXPECT_EQ(header.incarnation, (Uuid{0x11c1, 0x11c2}));
    Seal seal;
    EXPECT_EQ(form_of_seal(read_hex("wal_seal.hex"), kKey, seal), Form::good);
    EXPECT_EQ(seal.next_segment_id, 0x12u);
    GroupHeader group;
    EXPECT_TRUE(is_group(read_hex("wal_group_header.hex"), kKey, 0x4000, group));
    EXPECT_EQ(group.hard, (NumberedHard{12, {Term{8}, NodeId{1}}}));
    const std::vector<std::byte> bytes = read_hex("wal_footer.hex");
    const FooterPlace place{0x5000, bytes.size(), checksum(bytes, kKey.salt)};
    std::optional<Footer> footer = decode_footer(bytes, kKey, place);
    ASSERT_TRUE(footer);
    EXPECT_EQ(footer->end, kPoint);
    EXPECT_EQ(footer->index.marks, some_index().marks);
    EXPECT_EQ(footer->index.runs, some_index().runs);
    EXPECT_EQ(footer->index.configs, some_index().configs);
}

template <class T, class Good>
void every_bit_is_covered(const T& value, Good good) {
    ASSERT_TRUE(good(view_of(value)));
    for (size_t bit = 0; bit < sizeof(T) * 8; ++bit) {
        std::vector<std::byte> bytes(view_of(value).begin(), view_of(value).end());
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(good(ByteView(bytes))) << bit;
    }
    for (size_t size = 0; size < sizeof(T); ++size) EXPECT_FALSE(good(view_of(value).first(size))) << size;
}

TEST(WalFormat, EveryFlippedBitAndEveryShortBlockIsSeen) {
    every_bit_is_covered(some_header(), [](ByteView bytes) {
        SegmentHeader into;
        return form_of_header(bytes, kKey.id, into) == Form::good;
    });
    every_bit_is_covered(some_seal(), [](ByteView bytes) {
        Seal into;
        return form_of_seal(bytes, kKey, into) == Form::good;
    });
    every_bit_is_covered(some_group(), [](ByteView bytes) {
        GroupHeader into;
        return is_group(bytes, kKey, 0x4000, into);
    });
    const std::vector<std::byte> footer = encode_footer(kKey.id, kPoint, some_index());
    const FooterPlace place{0x5000, footer.size(), checksum(footer, kKey.salt)};
    for (size_t bit = 0; bit < footer.size() * 8; ++bit) {
        std::vector<std::byte> bytes = footer;
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(decode_footer(bytes, kKey, place)) << bit;
    }
}

// A group of another segment, another place or without the salt is none (B71).
TEST(WalFormat, AGroupBelongsToItsSegmentPlaceAndSalt) {
    const GroupHeader group = some_group();
    GroupHeader into;
    EXPECT_FALSE(is_group(view_of(group), {kKey.id + 1, kKey.salt}, 0x4000, into));
    EXPECT_FALSE(is_group(view_of(group), {kKey.id, kKey.salt + 1}, 0x4000, into));
    EXPECT_FALSE(is_group(view_of(group), kKey, 0x5000, into));
}

TEST(WalFormat, ZeroIsToldFromDamage) {
    const std::vector<std::byte> zeros(kBlockBytes);
    SegmentHeader header;
    Seal seal;
    EXPECT_EQ(form_of_header(zeros, 1, header), Form::zero);
    EXPECT_EQ(form_of_seal(zeros, kKey, seal), Form::zero);
    std::vector<std::byte> one = zeros;
    one.back() = std::byte{1};
    EXPECT_FALSE(all_zero(one));
    EXPECT_EQ(form_of_header(one, 1, header), Form::bad);
    EXPECT_EQ(form_of_seal(one, kKey, seal), Form::bad);
}

// A salted checksum with a newer version is still "newer", so that the right message is shown.
TEST(WalFormat, ANewerVersionIsTold) {
    SegmentHeader header = some_header(), into;
    header.magic_version = magic("rwalseg", kVersion + 2);
    EXPECT_EQ(form_of_header(view_of(header), kKey.id, into), Form::too_new);
}

TEST(WalFormat, NamesAreSixteenHexDigits) {
    EXPECT_EQ(segment_name(0x1f), "000000000000001f.wal");
    EXPECT_EQ(segment_id_of("000000000000001f.wal"), 0x1fu);
    EXPECT_EQ(segment_id_of(segment_name(UINT64_MAX)), UINT64_MAX);
    for (const char* bad :
         {"", ".wal", "1f.wal", "000000000000001F.wal", "000000000000001f.wal.tmp", "000000000000001g.wal"})
        EXPECT_FALSE(segment_id_of(bad)) << bad;
}

TEST(WalIndex, MarksFindTheLastEarlyPlace) {
    std::vector<Mark> marks;
    for (uint64_t i = 0; i < 10; ++i)
        marks.push_back({{Index{i * 10}, Term{1}, i, Lsn{i * 20 + 1}, i * 100}, i << 16, i << 16});
    EXPECT_EQ(mark_for_index(marks, Index{1})->before.index, Index{0});
    EXPECT_EQ(mark_for_index(marks, Index{10})->before.index, Index{0});
    EXPECT_EQ(mark_for_index(marks, Index{11})->before.index, Index{10});
    EXPECT_EQ(mark_for_index(marks, Index{1000})->before.index, Index{90});
    EXPECT_EQ(mark_for_index(marks, Index{0}), nullptr);
    EXPECT_EQ(mark_for_lsn(marks, Lsn{20})->before.index, Index{0});
    EXPECT_EQ(mark_for_lsn(marks, Lsn{21})->before.index, Index{10});
    EXPECT_EQ(mark_for_time(marks, 100)->before.index, Index{0});
    EXPECT_EQ(mark_for_time(marks, 101)->before.index, Index{10});
    EXPECT_EQ(mark_for_time(marks, 0), nullptr);
}

TEST(WalIndex, ACutForgetsWhatLiesBehind) {
    SegmentIndex index = some_index();
    index.cut_after(Index{50});
    EXPECT_EQ(index.marks.size(), 1u);
    EXPECT_EQ(index.runs.size(), 1u);
    EXPECT_TRUE(index.configs.empty());
    index.cut_after(Index{41});
    EXPECT_TRUE(index.marks.empty());
    EXPECT_TRUE(index.runs.empty());
}

TEST(WalIndex, LaterSegmentsCutEarlierOnes) {
    auto at = [](uint64_t index) { return LogPoint{Index{index}, Term{1}, index, Lsn{index + 1}, index}; };
    std::vector<Segment> segments(2);
    segments[0].end = segments[0].logical_end = at(100);
    segments[1].base = at(80);
    segments[1].end = segments[1].logical_end = at(120);
    cut_segments(segments, at(110));
    EXPECT_EQ(segments[0].logical_end, at(100));
    EXPECT_EQ(segments[1].logical_end, at(110));
    cut_segments(segments, at(60));
    EXPECT_EQ(segments[0].logical_end, at(60));
    EXPECT_EQ(segments[1].logical_end, at(80));  // nothing of it is in force
    EXPECT_FALSE(segments[1].holds(Index{81}));
    segments.erase(segments.begin());
    segments.push_back(segments.front());
    segments.back().base = at(60);
    EXPECT_EQ(lowest_base(segments), at(60));
}

}  // namespace
}  // namespace raftd::wal
