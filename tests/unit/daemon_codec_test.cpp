#include "daemon/peer_codec.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

namespace msg = raft::msg;

io::Frame frame_of(const Slice& whole, ByteView rest = {}) {
    proto::FrameHeader header;
    std::memcpy(&header, whole.data(), sizeof header);
    std::string payload(as_text(whole.view().subspan(sizeof header)));
    payload += as_text(rest);
    EXPECT_EQ(header.length, sizeof header + payload.size());
    return {io::ConnId{1}, header.type, 0, 0, Slice::copy_of(as_bytes(payload))};
}

std::string entries_behind(LogPoint point, int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) {
        std::array<std::byte, 5> body{};
        uint32_t one = 1;
        std::memcpy(body.data(), &one, 4);
        EntryHeader header = draft_batch(1, body);
        finish_header(header, point, Term{4}, 9);
        point = point_after(header);
        bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
        bytes.append(as_text(body));
    }
    return bytes;
}

TEST(PeerCodec, EveryMessageComesBackAsItWent) {
    proto::Trailer trailer{1, 2, 3, 4, 5, 6, 0};
    auto back = [&](const msg::Any& message) {
        auto decoded = decode_peer(frame_of(encode_peer(message, 0, 0, trailer)));
        EXPECT_TRUE(decoded.has_value()) << message.index();
        EXPECT_EQ(decoded->message.index(), message.index());
        return decoded->message;
    };
    auto ok = std::get<msg::AppendOk>(back(msg::AppendOk{Term{7}, Index{8}, 9, true}));
    EXPECT_EQ(ok.match, Index{8});
    EXPECT_TRUE(ok.readers_waiting);
    auto no = std::get<msg::AppendNo>(
        back(msg::AppendNo{Term{7}, {Term{2}, Index{3}}, Index{4}, 5, msg::Why::no_room}));
    EXPECT_EQ(no.hint, (EntryId{Term{2}, Index{3}}));
    EXPECT_EQ(no.why, msg::Why::no_room);
    auto vote = std::get<msg::Vote>(back(msg::Vote{Term{3}, {Term{2}, Index{1}}, true, false}));
    EXPECT_TRUE(vote.pre);
    EXPECT_FALSE(vote.transfer);
    auto given = std::get<msg::VoteOk>(back(msg::VoteOk{Term{3}, true, false, Index{}}));
    EXPECT_TRUE(given.granted);
    back(msg::ReadIndex{Term{1}, ReadId{2}});
    back(msg::ReadIndexOk{Term{1}, ReadId{2}, Index{3}, true});
    back(msg::TimeoutNow{Term{1}});
    auto offer = std::get<msg::Snapshot>(back(msg::Snapshot{Term{5}, {Term{4}, Index{9}}}));
    EXPECT_EQ(offer.at, (EntryId{Term{4}, Index{9}}));
}

/// The message as an older program sends it: its fixed part ends `less` bytes before.
io::Frame shorter(const Slice& whole, uint32_t less) {
    io::Frame frame = frame_of(whole);
    std::string payload(as_text(frame.bytes.view()));
    payload.resize(payload.size() - less);
    const auto size = static_cast<uint32_t>(payload.size());
    std::memcpy(payload.data(), &size, sizeof size);
    frame.bytes = Slice::copy_of(as_bytes(payload));
    return frame;
}

TEST(PeerCodec, MessagesThatHaveGrownAreTakenFromOlderPrograms) {
    proto::Trailer trailer{1, 2, 3, 4, 5, 6, 0, 7, 8, 9, {10, 11, 12, 1, 0}};
    const auto grown =
        decode_peer(frame_of(encode_peer(msg::AppendOk{Term{7}, Index{8}, 9, true}, 0, 0, trailer)));
    ASSERT_TRUE(grown);
    EXPECT_EQ(grown->trailer->archive_end, 7u);
    EXPECT_EQ(grown->freeze.version, 10u);
    for (const msg::Any& message : {msg::Any(msg::AppendOk{Term{7}, Index{8}, 9, true}),
                                    msg::Any(msg::AppendNo{Term{7}, {}, Index{4}, 5, msg::Why::conflict}),
                                    msg::Any(msg::VoteOk{Term{3}, true, false, Index{}})}) {
        const Slice whole = encode_peer(message, 0, 0, trailer);
        const auto old = decode_peer(shorter(whole, proto::kTrailerGrown));
        ASSERT_TRUE(old) << message.index();
        EXPECT_EQ(old->trailer->disk_free, 5u);
        EXPECT_EQ(old->trailer->archive_end, 0u);
        EXPECT_EQ(old->freeze.version, 0u);
        EXPECT_FALSE(decode_peer(shorter(whole, proto::kTrailerGrown + 8)));
    }
    const Slice append = encode_peer(msg::Append{Term{4}, {}, Index{}, Index{}, 2}, 0, 0, trailer);
    EXPECT_EQ(decode_peer(frame_of(append))->freeze.left_ms, 11u);
    const auto old = decode_peer(shorter(append, sizeof(proto::Freeze)));
    ASSERT_TRUE(old);
    EXPECT_EQ(old->freeze.version, 0u);
}

TEST(PeerCodec, AppendCarriesItsEntries) {
    std::string entries = entries_behind({Index{10}, Term{3}, 77, Lsn{5}, 0}, 3);
    msg::Append append{Term{4}, {Term{3}, Index{10}}, Index{13}, Index{9}, 2};
    auto decoded = decode_peer(frame_of(encode_peer(append, 3, entries.size(), {}), as_bytes(entries)));
    ASSERT_TRUE(decoded);
    ASSERT_EQ(decoded->entries.size(), 3u);
    EXPECT_EQ(decoded->entries[2].id, (EntryId{Term{4}, Index{13}}));
    EXPECT_EQ(as_text(decoded->entry_bytes.view()), entries);
}

// Peers are remote input: whatever the bytes, decoding ends with a message that is consistent, or with
// nothing.
TEST(PeerCodec, HostileBytesNeverPass) {
    std::string entries = entries_behind({Index{10}, Term{3}, 77, Lsn{5}, 0}, 3);
    msg::Append append{Term{4}, {Term{3}, Index{10}}, Index{13}, Index{9}, 2};
    io::Frame good = frame_of(encode_peer(append, 3, entries.size(), {}), as_bytes(entries));
    Random random(1);
    for (int i = 0; i < 20'000; ++i) {
        io::Frame frame = good;
        frame.bytes = Slice::copy_of(good.bytes.view());
        for (uint64_t n = random.between(1, 4); n > 0; --n)
            frame.bytes.data()[random.below(frame.bytes.size())] = static_cast<std::byte>(random.next());
        if (random.chance(0.3))
            frame.bytes = frame.bytes.part(0, static_cast<uint32_t>(random.below(frame.bytes.size())));
        frame.type = static_cast<uint16_t>(random.between(15, 24));
        auto decoded = decode_peer(frame);
        if (!decoded) continue;
        const auto* got = std::get_if<msg::Append>(&decoded->message);
        if (got == nullptr) continue;
        EXPECT_EQ(raw(got->prev.index) + decoded->entries.size(), raw(got->last));
        for (size_t k = 0; k < decoded->entries.size(); ++k) {
            EXPECT_EQ(raw(decoded->entries[k].id.index), raw(got->prev.index) + 1 + k);
            EXPECT_LE(decoded->entries[k].id.term, got->term);
        }
    }
}

}  // namespace
}  // namespace raftd::daemon
