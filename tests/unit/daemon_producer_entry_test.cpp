#include "daemon/producer_entry.h"

#include <gtest/gtest.h>

#include "tests/support/hex.h"

namespace raftd::daemon {
namespace {

using ProducerOp = ProducerEntry::Op;

bool equal(const ProducerEntry& a, const ProducerEntry& b) {
    return a.op == b.op && a.id == b.id && a.epoch == b.epoch && a.name == b.name && a.expire == b.expire;
}

const std::vector<ProducerEntry>& samples() {
    static const std::vector<ProducerEntry> all = {
        {ProducerOp::open, 0, 0, "", {}},
        {ProducerOp::open, 0, 0, "jobs", {7, 9}},
        {ProducerOp::open, 12, 0, "", {}},
        {ProducerOp::close, 12, 3, "", {}},
        {ProducerOp::open, 0, 0, std::string(kProducerNameBytesMax, 'x'),
         std::vector<uint64_t>(kProducersExpiredAtOnce, 5)},
    };
    return all;
}

// The bytes are in logs that exist: they may never change.
TEST(ProducerEntry, BytesAreFixed) {
    EXPECT_EQ(encode_producer({ProducerOp::open, 0, 0, "jobs", {7}}), read_hex("producer_open.hex"));
    EXPECT_EQ(encode_producer({ProducerOp::close, 258, 3, "", {}}), read_hex("producer_close.hex"));
}

TEST(ProducerEntry, ComesBackAsItWas) {
    for (const ProducerEntry& entry : samples()) {
        auto decoded = decode_producer(encode_producer(entry));
        ASSERT_TRUE(decoded);
        EXPECT_TRUE(equal(*decoded, entry));
    }
}

TEST(ProducerEntry, NothingThatIsCutOrLongerIsTaken) {
    for (const ProducerEntry& entry : samples()) {
        std::vector<std::byte> bytes = encode_producer(entry);
        for (size_t cut = 0; cut < bytes.size(); ++cut)
            EXPECT_FALSE(decode_producer(ByteView(bytes).first(cut))) << cut;
        bytes.push_back({});
        EXPECT_FALSE(decode_producer(bytes));
    }
}

// One entry, one encoding: what is taken is what would be written.
TEST(ProducerEntry, AFlippedBitIsRefusedOrAnotherEntry) {
    for (const ProducerEntry& entry : samples()) {
        std::vector<std::byte> bytes = encode_producer(entry);
        for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            auto flip = static_cast<std::byte>(1 << (bit % 8));
            bytes[bit / 8] ^= flip;
            auto decoded = decode_producer(bytes);
            if (decoded) {
                EXPECT_FALSE(equal(*decoded, entry)) << bit;
                EXPECT_EQ(encode_producer(*decoded), bytes) << bit;
            }
            bytes[bit / 8] ^= flip;
        }
    }
}

TEST(ProducerEntry, BoundsAndSenseAreHeld) {
    auto changed = [](const ProducerEntry& entry, size_t at, uint8_t to) {
        std::vector<std::byte> bytes = encode_producer(entry);
        bytes[at] = std::byte{to};
        return bytes;
    };
    EXPECT_FALSE(decode_producer(changed({ProducerOp::open, 0, 0, "", {}}, 0, 0)));
    EXPECT_FALSE(decode_producer(changed({ProducerOp::open, 0, 0, "", {}}, 0, 3)));
    EXPECT_FALSE(decode_producer(changed({ProducerOp::open, 0, 0, "", {}}, 4, 1)));   // an open has no epoch
    EXPECT_FALSE(decode_producer(changed({ProducerOp::close, 1, 1, "", {}}, 4, 0)));  // a close has one
    EXPECT_FALSE(decode_producer(changed({ProducerOp::close, 1, 1, "", {}}, 8, 0)));  // and an id
    EXPECT_FALSE(decode_producer(changed({ProducerOp::open, 0, 0, "", {}}, 1, 1)));   // reserved
    EXPECT_FALSE(decode_producer(changed({ProducerOp::open, 0, 0, "", {}}, 20, 1)));
    std::vector<std::byte> many = encode_producer(samples().back());
    many[16] = std::byte{kProducersExpiredAtOnce + 1};
    many.insert(many.begin() + 24, 8, std::byte{1});
    EXPECT_FALSE(decode_producer(many));
}

}  // namespace
}  // namespace raftd::daemon
