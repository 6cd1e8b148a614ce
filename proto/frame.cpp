#include "proto/frame.h"

#include "base/check.h"
#include "base/checksum.h"

namespace raftd::proto {
namespace {

uint32_t frame_checksum(FrameHeader header, ByteView fixed) {
    header.checksum = 0;
    uint64_t head = checksum({reinterpret_cast<const std::byte*>(&header), sizeof header});
    return static_cast<uint32_t>(checksum(fixed, head));
}

}  // namespace

FrameHeader make_header(FrameType type, uint32_t stream, ByteView fixed, uint64_t payload_bytes) {
    CHECK_GE(fixed.size(), 4u);
    CHECK_LE(payload_bytes, UINT32_MAX - kFrameHeaderBytes);
    FrameHeader header{};
    header.length = kFrameHeaderBytes + static_cast<uint32_t>(payload_bytes);
    header.type = static_cast<uint16_t>(type);
    header.stream = stream;
    header.checksum = frame_checksum(header, fixed);
    return header;
}

const char* text_of(FrameFault fault) {
    switch (fault) {
        case FrameFault::none: return "none";
        case FrameFault::too_long: return "longer than the limit";
        case FrameFault::too_short: return "too short";
        case FrameFault::checksum: return "checksum doesn't match";
    }
    return "?";
}

FrameFault check_header(const FrameHeader& header, uint32_t length_max) {
    if (header.length > length_max) return FrameFault::too_long;
    if (header.length < kFrameHeaderBytes + 4) return FrameFault::too_short;
    return FrameFault::none;
}

FrameFault check_payload(const FrameHeader& header, ByteView payload) {
    if (payload.size() < 4) return FrameFault::too_short;
    uint32_t size = fixed_size(payload);
    if (size < 4 || size > payload.size()) return FrameFault::too_short;
    return frame_checksum(header, payload.first(size)) == header.checksum ? FrameFault::none
                                                                          : FrameFault::checksum;
}

Slice make_frame_head(FrameType type, uint32_t stream, ByteView fixed, uint64_t rest_bytes) {
    FrameHeader header = make_header(type, stream, fixed, fixed.size() + rest_bytes);
    Slice made = Chunk::make(static_cast<uint32_t>(sizeof header + fixed.size()));
    std::memcpy(made.data(), &header, sizeof header);
    std::memcpy(made.data() + sizeof header, fixed.data(), fixed.size());
    return made;
}

Slice make_frame(FrameType type, uint32_t stream, ByteView fixed, ByteView rest) {
    FrameHeader header = make_header(type, stream, fixed, fixed.size() + rest.size());
    Slice made = Chunk::make(header.length);
    std::memcpy(made.data(), &header, sizeof header);
    std::memcpy(made.data() + sizeof header, fixed.data(), fixed.size());
    if (!rest.empty()) std::memcpy(made.data() + sizeof header + fixed.size(), rest.data(), rest.size());
    return made;
}

Slice make_message_frame(FrameType type, uint32_t stream, ByteView message) {
    auto size = static_cast<uint32_t>(message.size() + 4);
    Slice made = Chunk::make(kFrameHeaderBytes + size);
    std::byte* payload = made.data() + kFrameHeaderBytes;
    std::memcpy(payload, &size, 4);
    if (!message.empty()) std::memcpy(payload + 4, message.data(), message.size());
    FrameHeader header = make_header(type, stream, {payload, size}, size);
    std::memcpy(made.data(), &header, sizeof header);
    return made;
}

ByteView message_in(ByteView payload) {
    if (payload.size() < 4) return {};
    uint32_t size = fixed_size(payload);
    if (size < 4 || size > payload.size()) return {};
    return payload.subspan(4, size - 4);
}

}  // namespace raftd::proto
