#include "daemon/peer_codec.h"

#include "base/codec.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

using proto::FrameType;
namespace msg = raft::msg;

template <class Fixed>
Slice finish(FrameType type, Fixed& fixed) {
    fixed.size = sizeof fixed;
    return proto::make_frame(type, 0, proto::fixed_bytes(fixed));
}

bool decode_append(const io::Frame& frame, PeerMessage& result) {
    proto::AppendEntries fixed;
    if (!proto::read_fixed(frame.bytes.view(), fixed, proto::kAppendEntriesBytesMin)) return false;
    result.freeze = fixed.freeze;
    result.message = msg::Append{Term{fixed.term},
                                 {Term{fixed.prev_term}, Index{fixed.prev_index}},
                                 Index{fixed.last},
                                 Index{fixed.commit},
                                 fixed.round};
    result.entry_bytes = frame.bytes.from(proto::fixed_size(frame.bytes.view()));
    // Every entry is at least a header long: a count that lies can't make us reserve more than we were sent.
    if (fixed.entry_count > result.entry_bytes.size() / kEntryHeaderBytes) return false;
    result.entries.reserve(fixed.entry_count);
    EntryCursor cursor(result.entry_bytes.view());
    uint64_t index = fixed.prev_index;
    uint64_t term = fixed.prev_term;
    while (const EntryHeader* header = cursor.next()) {
        if (check_form(*header) != EntryFault::none) return false;
        if (header->index != ++index || header->term < term || header->term > fixed.term) return false;
        term = header->term;
        const Membership* membership = nullptr;
        if (header->kind == EntryKind::membership) {
            if (result.configurations.empty()) result.configurations.reserve(fixed.entry_count);
            auto decoded = decode_configuration(Index{header->index}, cursor.body());
            if (!decoded || result.configurations.size() == fixed.entry_count) return false;
            membership = &result.configurations.emplace_back(std::move(*decoded)).membership;
        }
        result.entries.push_back({id_of(*header), static_cast<uint32_t>(encoded_bytes(*header)), membership});
    }
    return cursor.remaining() == 0 && result.entries.size() == fixed.entry_count && index == fixed.last;
}

template <class Fixed, class Make>
bool decode_answer(const io::Frame& frame, PeerMessage& result, Make make) {
    Fixed fixed;
    uint32_t bytes_min = sizeof fixed;
    if constexpr (requires { fixed.trailer; }) bytes_min -= proto::kTrailerGrown;
    if (!proto::read_fixed(frame.bytes.view(), fixed, bytes_min)) return false;
    result.message = make(fixed);
    if constexpr (requires { fixed.trailer; }) {
        result.trailer = fixed.trailer;
        result.freeze = fixed.trailer.freeze;
    }
    return true;
}

}  // namespace

std::optional<PeerMessage> decode_peer(const io::Frame& frame) {
    PeerMessage result;
    bool good = false;
    switch (static_cast<FrameType>(frame.type)) {
        case FrameType::append_entries: good = decode_append(frame, result); break;
        case FrameType::append_ok:
            good = decode_answer<proto::AppendOk>(frame, result, [](const proto::AppendOk& m) {
                return msg::AppendOk{Term{m.term}, Index{m.match}, m.round, m.readers_waiting != 0};
            });
            break;
        case FrameType::append_no:
            good = decode_answer<proto::AppendNo>(frame, result, [](const proto::AppendNo& m) {
                auto why = m.why <= 3 ? static_cast<msg::Why>(m.why) : msg::Why::conflict;
                return msg::AppendNo{
                    Term{m.term}, {Term{m.hint_term}, Index{m.hint_index}}, Index{m.last}, m.round, why};
            });
            break;
        case FrameType::vote:
            good = decode_answer<proto::Vote>(frame, result, [](const proto::Vote& m) {
                return msg::Vote{Term{m.term},
                                 {Term{m.last_term}, Index{m.last_index}},
                                 (m.flags & 1) != 0,
                                 (m.flags & 2) != 0};
            });
            break;
        case FrameType::vote_ok:
            good = decode_answer<proto::VoteOk>(frame, result, [](const proto::VoteOk& m) {
                return msg::VoteOk{Term{m.term}, (m.flags & 2) != 0, (m.flags & 1) != 0, Index{m.removed_at}};
            });
            break;
        case FrameType::read_index:
            good = decode_answer<proto::ReadIndex>(frame, result, [](const proto::ReadIndex& m) {
                return msg::ReadIndex{Term{m.term}, ReadId{m.id}};
            });
            break;
        case FrameType::read_index_ok:
            good = decode_answer<proto::ReadIndexOk>(frame, result, [](const proto::ReadIndexOk& m) {
                return msg::ReadIndexOk{Term{m.term}, ReadId{m.id}, Index{m.index}, m.ok != 0};
            });
            break;
        case FrameType::timeout_now:
            good = decode_answer<proto::TimeoutNow>(
                frame, result, [](const proto::TimeoutNow& m) { return msg::TimeoutNow{Term{m.term}}; });
            break;
        case FrameType::snapshot_offer:
            good = decode_answer<proto::SnapshotOffer>(frame, result, [](const proto::SnapshotOffer& m) {
                return msg::Snapshot{Term{m.term}, {Term{m.at_term}, Index{m.at_index}}};
            });
            break;
        default: break;
    }
    if (!good) return std::nullopt;
    return result;
}

namespace {

struct Encoder {
    uint32_t entry_count;
    uint64_t entry_bytes;
    const proto::Trailer& trailer;

    Slice operator()(const msg::Append& m) const {
        proto::AppendEntries fixed{sizeof fixed,     entry_count,       raw(m.term),
                                   raw(m.prev.term), raw(m.prev.index), raw(m.last),
                                   raw(m.commit),    m.round,           trailer.freeze};
        return proto::make_frame_head(FrameType::append_entries, 0, proto::fixed_bytes(fixed), entry_bytes);
    }
    Slice operator()(const msg::AppendOk& m) const {
        proto::AppendOk fixed{0, m.readers_waiting ? 1u : 0u, raw(m.term), raw(m.match), m.round, trailer};
        return finish(FrameType::append_ok, fixed);
    }
    Slice operator()(const msg::AppendNo& m) const {
        proto::AppendNo fixed{0,
                              static_cast<uint32_t>(m.why),
                              raw(m.term),
                              raw(m.hint.term),
                              raw(m.hint.index),
                              raw(m.last),
                              m.round,
                              trailer};
        return finish(FrameType::append_no, fixed);
    }
    Slice operator()(const msg::Vote& m) const {
        proto::Vote fixed{0, (m.pre ? 1u : 0u) | (m.transfer ? 2u : 0u), raw(m.term), raw(m.last.term),
                          raw(m.last.index)};
        return finish(FrameType::vote, fixed);
    }
    Slice operator()(const msg::VoteOk& m) const {
        proto::VoteOk fixed{0, (m.pre ? 1u : 0u) | (m.granted ? 2u : 0u), raw(m.term), raw(m.removed_at),
                            trailer};
        return finish(FrameType::vote_ok, fixed);
    }
    Slice operator()(const msg::ReadIndex& m) const {
        proto::ReadIndex fixed{0, 0, raw(m.term), raw(m.id)};
        return finish(FrameType::read_index, fixed);
    }
    Slice operator()(const msg::ReadIndexOk& m) const {
        proto::ReadIndexOk fixed{0, m.ok ? 1u : 0u, raw(m.term), raw(m.id), raw(m.index)};
        return finish(FrameType::read_index_ok, fixed);
    }
    Slice operator()(const msg::TimeoutNow& m) const {
        proto::TimeoutNow fixed{0, 0, raw(m.term)};
        return finish(FrameType::timeout_now, fixed);
    }
    Slice operator()(const msg::Snapshot& m) const {
        proto::SnapshotOffer fixed{0, 0, raw(m.term), raw(m.at.term), raw(m.at.index)};
        return finish(FrameType::snapshot_offer, fixed);
    }
};

}  // namespace

Slice encode_peer(const raft::msg::Any& message, uint32_t entry_count, uint64_t entry_bytes,
                  const proto::Trailer& trailer) {
    return std::visit(Encoder{entry_count, entry_bytes, trailer}, message);
}

}  // namespace raftd::daemon
