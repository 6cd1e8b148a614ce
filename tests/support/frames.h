// Frames as a client makes them, for tests that speak the protocol by hand.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proto/client.h"
#include "proto/control.pb.h"
#include "proto/frame.h"

namespace raftd::sim {

template <class Message>
Slice message_frame(proto::FrameType type, uint32_t stream, const Message& message) {
    std::string text = message.SerializeAsString();
    return proto::make_message_frame(type, stream, as_bytes(text));
}
template <class Message>
Message message_of(ByteView payload) {
    Message message;
    ByteView bytes = proto::message_in(payload);
    message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return message;
}

inline pb::Hello client_hello() {
    pb::Hello hello;
    hello.set_magic(0x52414654);
    hello.set_version_min(1);
    hello.set_version_max(1);
    return hello;
}

/// A batch to be appended, with all that a client may get wrong.
struct Draft {
    EntryHeader header;
    std::vector<std::byte> body;
    uint64_t expect_lsn = 0;
    uint32_t flags = proto::kAppendRun;

    static Draft of(const std::vector<std::string>& records) {
        std::vector<ByteView> views;
        size_t payload = 0;
        for (const std::string& record : records) views.push_back(as_bytes(record)), payload += record.size();
        Draft draft;
        draft.body.resize(body_bytes_for(views.size(), payload));
        encode_body(views, draft.body);
        draft.header = draft_batch(static_cast<uint32_t>(views.size()), draft.body);
        return draft;
    }
    Draft& numbered(uint64_t producer, uint32_t epoch, uint64_t sequence) {
        header.producer = producer, header.producer_epoch = epoch, header.sequence = sequence;
        return *this;
    }
    Draft& expecting(uint64_t lsn) {
        expect_lsn = lsn;
        return *this;
    }
    Slice frame(uint32_t stream) const {
        proto::Append fixed{sizeof fixed, flags, expect_lsn, header};
        return proto::make_frame(proto::FrameType::append, stream, proto::fixed_bytes(fixed), body);
    }
};

/// What a client was answered, by stream.
struct Heard {
    std::map<uint32_t, pb::Answer> answers;
    std::map<uint32_t, proto::AppendDoneItem> done;
    std::map<uint32_t, uint64_t> leader;  // named beside the item
    std::vector<uint32_t> order;          // streams of `done`, as they came

    /// False when the frame is none of these.
    bool take(uint16_t type, uint32_t stream, ByteView payload) {
        if (type == static_cast<uint16_t>(proto::FrameType::answer)) {
            answers[stream] = message_of<pb::Answer>(payload);
            return true;
        }
        if (type != static_cast<uint16_t>(proto::FrameType::append_done)) return false;
        proto::AppendDone fixed;
        if (!proto::read_fixed(payload, fixed)) return false;
        for (uint32_t i = 0; i < fixed.count; ++i) {
            proto::AppendDoneItem item;
            std::memcpy(&item, payload.data() + sizeof fixed + i * sizeof item, sizeof item);
            done[item.stream] = item;
            leader[item.stream] = fixed.leader;
            order.push_back(item.stream);
        }
        return true;
    }
};

}  // namespace raftd::sim
