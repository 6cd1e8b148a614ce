#include "sim/describe.h"

#include "proto/client.h"
#include "proto/peer.h"

namespace raftd::sim {
namespace {

std::string at(uint64_t index, uint64_t term) { return std::to_string(index) + "@" + std::to_string(term); }

template <class Fixed, class Text>
std::string with(ByteView payload, Text&& text) {
    Fixed fixed;
    return proto::read_fixed(payload, fixed) ? text(fixed) : std::string("damaged");
}

std::string append_text(const proto::FrameHeader& header, ByteView payload) {
    return with<proto::Append>(payload, [&](const auto& m) {
        return "client-append #" + std::to_string(header.stream) +
               " producer=" + std::to_string(m.draft.producer) + "/" +
               std::to_string(m.draft.producer_epoch) + ":" + std::to_string(m.draft.sequence) + " x" +
               std::to_string(m.draft.record_count) + ((m.flags & proto::kAppendRun) != 0 ? " run" : "");
    });
}

std::string done_text(ByteView payload) {
    return with<proto::AppendDone>(payload, [&](const auto& m) {
        std::string text = "client-done";
        for (uint32_t i = 0; i < m.count; ++i) {
            proto::AppendDoneItem item;
            if (payload.size() < sizeof m + (i + 1) * sizeof item) break;
            std::memcpy(&item, payload.data() + sizeof m + i * sizeof item, sizeof item);
            text += " #" + std::to_string(item.stream) + "=" +
                    std::to_string(static_cast<uint32_t>(item.code)) + "@" + std::to_string(item.lsn_first);
        }
        return text;
    });
}

std::string snapshot_text(const proto::FrameHeader& header, ByteView payload) {
    using proto::FrameType;
    switch (static_cast<FrameType>(header.type)) {
        case FrameType::snapshot_offer:
            return with<proto::SnapshotOffer>(payload, [](const auto& m) {
                return "snapshot-offer term=" + std::to_string(m.term) + " at=" + at(m.at_index, m.at_term);
            });
        case FrameType::file_ask:
            return with<proto::FileAsk>(payload, [](const auto& m) {
                return "file-ask " + std::string(m.name, strnlen(m.name, sizeof m.name)) +
                       " offset=" + std::to_string(m.offset);
            });
        case FrameType::file_part:
            return with<proto::FilePart>(payload, [](const auto& m) {
                return "file-part code=" + std::to_string(m.code) + " offset=" + std::to_string(m.offset) +
                       " of=" + std::to_string(m.file_bytes);
            });
        default: return "?";
    }
}

}  // namespace

std::string describe_frame(const proto::FrameHeader& header, ByteView payload) {
    using proto::FrameType;
    switch (static_cast<FrameType>(header.type)) {
        case FrameType::append_entries:
            return with<proto::AppendEntries>(payload, [](const auto& m) {
                return "append term=" + std::to_string(m.term) + " prev=" + at(m.prev_index, m.prev_term) +
                       " last=" + std::to_string(m.last) + " commit=" + std::to_string(m.commit) +
                       " round=" + std::to_string(m.round);
            });
        case FrameType::append_ok:
            return with<proto::AppendOk>(payload, [](const auto& m) {
                return "append-ok term=" + std::to_string(m.term) + " match=" + std::to_string(m.match) +
                       " round=" + std::to_string(m.round);
            });
        case FrameType::append_no:
            return with<proto::AppendNo>(payload, [](const auto& m) {
                return "append-no term=" + std::to_string(m.term) + " why=" + std::to_string(m.why) +
                       " hint=" + at(m.hint_index, m.hint_term) + " last=" + std::to_string(m.last) +
                       " round=" + std::to_string(m.round);
            });
        case FrameType::vote:
            return with<proto::Vote>(payload, [](const auto& m) {
                return std::string((m.flags & 1) != 0 ? "pre-vote" : "vote") +
                       " term=" + std::to_string(m.term) + " last=" + at(m.last_index, m.last_term);
            });
        case FrameType::vote_ok:
            return with<proto::VoteOk>(payload, [](const auto& m) {
                return std::string((m.flags & 1) != 0 ? "pre-vote-" : "vote-") +
                       ((m.flags & 2) != 0 ? "yes" : "no") + " term=" + std::to_string(m.term);
            });
        case FrameType::read_index: return "read-index";
        case FrameType::read_index_ok: return "read-index-ok";
        case FrameType::timeout_now: return "timeout-now";
        case FrameType::snapshot_offer:
        case FrameType::file_ask:
        case FrameType::file_part: return snapshot_text(header, payload);
        case FrameType::hello: return "hello";
        case FrameType::hello_ok: return "hello-ok";
        case FrameType::hello_no: return "hello-no";
        case FrameType::append: return append_text(header, payload);
        case FrameType::append_done: return done_text(payload);
        case FrameType::tail_open: return "tail-open";
        case FrameType::tail_data:
            return with<proto::TailData>(payload, [](const auto& m) {
                return "tail-data after=" + std::to_string(m.before_index) +
                       " commit=" + std::to_string(m.commit_index);
            });
        case FrameType::tail_credit: return "tail-credit";
        case FrameType::tail_end:
            return with<proto::TailEnd>(payload, [](const auto& m) {
                return "tail-end code=" + std::to_string(static_cast<uint32_t>(m.code)) +
                       " lsn=" + std::to_string(m.lsn);
            });
        case FrameType::tail_close: return "tail-close";
        case FrameType::request: return "request";
        case FrameType::answer: return "answer";
    }
    return "type " + std::to_string(header.type);
}

}  // namespace raftd::sim
