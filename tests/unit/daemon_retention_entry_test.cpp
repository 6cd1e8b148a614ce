#include "daemon/retention_entry.h"

#include <gtest/gtest.h>

#include "daemon/checkpoint_entry.h"
#include "tests/support/hex.h"

namespace raftd::daemon {
namespace {

using Op = CursorEntry::Op;
using Bytes = std::vector<std::byte>;

Sha256 counting() {
    Sha256 sum;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = static_cast<std::byte>(i);
    return sum;
}

const Bytes kData = {std::byte{'d'}, std::byte{'a'}, std::byte{'t'}, std::byte{'a'}};

// The bytes are in logs that exist: they may never change.
TEST(RetentionEntry, BytesAreFixed) {
    EXPECT_EQ(encode_trim({TrimEntry::Reason::age, Lsn{258}}), read_hex("trim.hex"));
    EXPECT_EQ(encode_retention({.bytes = 1u << 30, .below_checkpoint = true}), read_hex("retention.hex"));
    EXPECT_EQ(encode_cursor({Op::set, true, Lsn{258}, 4096, "audit"}), read_hex("cursor.hex"));
    EXPECT_EQ(encode_checkpoint_begin({Lsn{258}, 4, counting()}), read_hex("checkpoint_begin.hex"));
    EXPECT_EQ(encode_checkpoint_chunk({258, 16, kData}), read_hex("checkpoint_chunk.hex"));
    EXPECT_EQ(encode_checkpoint_commit(258), read_hex("checkpoint_commit.hex"));
}

/// One entry, one encoding: what is taken is what would be written; cut or longer it is nothing.
template <class Decode, class Encode>
void check_one_form(const Bytes& good, Decode decode, Encode encode, bool open_ended = false) {
    ASSERT_TRUE(decode(good));
    EXPECT_EQ(encode(*decode(good)), good);
    if (!open_ended) {
        for (size_t cut = 0; cut < good.size(); ++cut) EXPECT_FALSE(decode(ByteView(good).first(cut))) << cut;
        Bytes longer = good;
        longer.push_back({});
        EXPECT_FALSE(decode(longer));
    }
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        Bytes other = good;
        other[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
        if (auto decoded = decode(other)) {
            EXPECT_EQ(encode(*decoded), other) << bit;
        }
    }
}

TEST(RetentionEntry, EachHasOneForm) {
    check_one_form(encode_trim({TrimEntry::Reason::asked, Lsn{7}}), decode_trim, encode_trim);
    for (unsigned named = 0; named < 16; ++named) {
        RetentionEntry entry;
        if ((named & 1) != 0) entry.bytes = 9;
        if ((named & 2) != 0) entry.age_ms = 0;
        if ((named & 4) != 0) entry.records = UINT64_MAX;
        if ((named & 8) != 0) entry.below_checkpoint = named % 3 == 0;
        EXPECT_EQ(decode_retention(encode_retention(entry)), entry);
        check_one_form(encode_retention(entry), decode_retention, encode_retention);
    }
    for (const CursorEntry& entry :
         {CursorEntry{Op::set, true, Lsn{3}, 77, "a"}, CursorEntry{Op::set, false, Lsn{3}, 0, "a b"},
          CursorEntry{Op::advance, false, Lsn{9}, 0, std::string(kCursorNameBytesMax, 'x')},
          CursorEntry{Op::remove, false, Lsn{}, 0, "a"}}) {
        EXPECT_EQ(decode_cursor(encode_cursor(entry)), entry);
        check_one_form(encode_cursor(entry), decode_cursor, encode_cursor);
    }
    check_one_form(encode_checkpoint_begin({Lsn{1}, 0, counting()}), decode_checkpoint_begin,
                   encode_checkpoint_begin);
    check_one_form(encode_checkpoint_commit(5), decode_checkpoint_commit, encode_checkpoint_commit);
    check_one_form(encode_checkpoint_chunk({5, 0, kData}), decode_checkpoint_chunk, encode_checkpoint_chunk,
                   true);
    for (size_t cut = 0; cut <= kChunkHeadBytes; ++cut)
        EXPECT_FALSE(decode_checkpoint_chunk(ByteView(encode_checkpoint_chunk({5, 0, kData})).first(cut)));
}

}  // namespace
}  // namespace raftd::daemon
