// Any bytes as a stream of frames: nothing but a refusal may come of them, and no more memory than they have.
#include "base/entry.h"
#include "proto/client.h"
#include "proto/frame.h"
#include "proto/peer.h"

using namespace raftd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ByteView left(reinterpret_cast<const std::byte*>(data), size);
    proto::FrameHeader header;
    while (left.size() >= sizeof(header)) {
        std::memcpy(&header, left.data(), sizeof(header));
        if (proto::check_header(header, 1u << 20) != proto::FrameFault::none) return 0;
        if (header.length > left.size()) return 0;
        const ByteView payload = left.subspan(sizeof(header), header.length - sizeof(header));
        left = left.subspan(header.length);
        // A wrong checksum ends the connection; go on here, or the fuzzer would never see what is behind it.
        proto::check_payload(header, payload);
        proto::message_in(payload);
        proto::Append append;
        if (!proto::read_fixed(payload, append)) continue;
        const ByteView body = payload.subspan(proto::fixed_size(payload));
        if (append.draft.body_bytes != body.size() || check_form(append.draft) != EntryFault::none) continue;
        if (check_body(append.draft, body) != EntryFault::none) continue;
        RecordReader records(append.draft, body);
        while (records.next()) {
        }
    }
    return 0;
}
