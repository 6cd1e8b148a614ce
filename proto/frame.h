// The frame: 16 bytes of header, then a payload that begins with its fixed part, which begins with its own
// size as u32. The checksum covers header and fixed part; bodies of entries carry their own. The full byte
// layout and the order of messages: docs/protocol.md.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"

namespace raftd::proto {

/// Numbers are for good; unknown ones close the connection.
enum class FrameType : uint16_t {
    // both sides of any connection
    hello = 1,
    hello_ok = 2,
    hello_no = 3,
    // between members
    append_entries = 16,
    append_ok = 17,
    append_no = 18,
    vote = 19,
    vote_ok = 20,
    read_index = 21,
    read_index_ok = 22,
    timeout_now = 23,
    snapshot_offer = 24,
    file_ask = 25,   // on a bulk connection
    file_part = 26,  // its answer
    // client and member
    append = 32,
    append_done = 33,
    tail_open = 34,
    tail_data = 35,
    tail_credit = 36,
    tail_end = 37,
    tail_close = 38,
    request = 40,  // protobuf Request
    answer = 41,   // protobuf Answer
};

struct FrameHeader {
    uint32_t length;  // of the whole frame, this header included
    uint16_t type;
    uint16_t flags;     // 0
    uint32_t stream;    // chosen by who asks, echoed by who answers; 0 where there is no need
    uint32_t checksum;  // low half of XXH3-64 over this header (with 0 here) and the fixed part
};
static_assert(sizeof(FrameHeader) == 16);
inline constexpr uint32_t kFrameHeaderBytes = sizeof(FrameHeader);
/// What a frame may hold beside the largest body or group of entries.
inline constexpr uint32_t kFrameSlackBytes = 64u << 10;

/// A finished header for a payload of `payload_bytes` whose fixed part is `fixed` (its first 4 bytes say its
/// size).
FrameHeader make_header(FrameType type, uint32_t stream, ByteView fixed, uint64_t payload_bytes);

enum class FrameFault : uint8_t { none, too_long, too_short, checksum };
const char* text_of(FrameFault fault);
/// Form of a header alone, before anything is allocated for the payload.
FrameFault check_header(const FrameHeader& header, uint32_t length_max);
/// The whole payload: size of the fixed part and checksum.
FrameFault check_payload(const FrameHeader& header, ByteView payload);

/// A whole frame in one slice: header, fixed part, `rest`.
Slice make_frame(FrameType type, uint32_t stream, ByteView fixed, ByteView rest = {});
/// Header and fixed part in one slice, for a frame whose `rest_bytes` follow as other slices.
Slice make_frame_head(FrameType type, uint32_t stream, ByteView fixed, uint64_t rest_bytes);
/// A frame that carries a serialized protobuf message (u32 size, then the message; all of it checksummed).
Slice make_message_frame(FrameType type, uint32_t stream, ByteView message);
/// The message inside such a payload; empty when the size is wrong.
ByteView message_in(ByteView payload);

/// Copies the fixed part out of a payload; false when it is too short. Longer ones (newer senders) are cut.
template <class Fixed>
bool read_fixed(ByteView payload, Fixed& fixed, uint32_t bytes_min = sizeof(Fixed)) {
    uint32_t size = 0;
    if (payload.size() < bytes_min) return false;
    std::memcpy(&size, payload.data(), 4);
    if (size < bytes_min || size > payload.size()) return false;
    if (size < sizeof(Fixed)) fixed = Fixed{};  // it has grown since: what is missing is 0
    std::memcpy(&fixed, payload.data(), std::min<size_t>(size, sizeof(Fixed)));
    return true;
}
/// The bytes behind the fixed part. Requires: read_fixed was true.
inline uint32_t fixed_size(ByteView payload) {
    uint32_t size = 0;
    std::memcpy(&size, payload.data(), 4);
    return size;
}
template <class Fixed>
ByteView fixed_bytes(const Fixed& fixed) {
    return {reinterpret_cast<const std::byte*>(&fixed), sizeof(Fixed)};
}

}  // namespace raftd::proto
