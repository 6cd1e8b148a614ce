// A leader that the test plays to the real member of a Stage, with a log that the test writes.
#pragma once

#include <string>
#include <vector>

#include "daemon/log_buffer.h"
#include "tests/support/stage.h"

namespace raftd::sim {

struct OwnLog {
    daemon::LogBuffer buffer;
    explicit OwnLog(const LogPoint& base) : buffer(base) {}
    void append(const std::string& text, Term term) {
        Draft draft = Draft::of({text});
        buffer.append(draft.header, draft.body, term, 1'700'000'000'000);
    }
    Index last() const { return buffer.last(); }
    EntryId id(Index index) const { return buffer.point_at(index)->id(); }
    std::vector<std::byte> bytes(Index first, Index upto) const {
        std::vector<Slice> slices;
        buffer.slices(first, upto, slices);
        std::vector<std::byte> all;
        for (const Slice& slice : slices) all.insert(all.end(), slice.view().begin(), slice.view().end());
        return all;
    }
};

/// Member 2, leader of its term; nobody votes for n1.
struct PlayedLeader {
    Stage& stage;
    Term term{5};
    OwnLog log{snapshot::genesis_point(stage.manifest)};
    uint64_t round = 0;
    std::vector<raft::msg::Any> answers;    // to what was sent last
    std::optional<proto::Trailer> trailer;  // of the newest of them

    explicit PlayedLeader(Stage& the_stage) : stage(the_stage) {
        stage.peer(2).grants = stage.peer(3).grants = false;
        stage.peer(2).instead = [this](Stage::Peer&, const Stage::Sent&, const daemon::PeerMessage& message) {
            answers.push_back(message.message);
            if (message.trailer) trailer = message.trailer;
            return std::holds_alternative<raft::msg::Append>(message.message);
        };
    }
    /// Entries of `from`; `upto` = first - 1: a heartbeat that names that entry.
    void send(const OwnLog& from, Index first, Index upto) {
        std::vector<std::byte> bytes;
        if (upto >= first) bytes = from.bytes(first, upto);
        send_bytes(from.id(first - 1), upto, bytes);
    }
    void send(Index first, Index upto) { send(log, first, upto); }
    void send_bytes(EntryId prev, Index upto, ByteView bytes) {
        answers.clear();
        trailer.reset();
        auto count = static_cast<uint32_t>(upto - prev.index);
        stage.say_append(stage.peer(2), {term, prev, upto, Index{}, ++round}, count, bytes);
        stage.run_for(milliseconds(20));
    }
    template <class Message>
    const Message* answer() const {
        for (auto at = answers.rbegin(); at != answers.rend(); ++at)
            if (auto* found = std::get_if<Message>(&*at)) return found;
        return nullptr;
    }
    bool acknowledged(Index upto) const {
        auto* ok = answer<raft::msg::AppendOk>();
        return ok != nullptr && ok->match >= upto;
    }
};

}  // namespace raftd::sim
