// How a leader stands with one follower. Lives and dies with the reign.
//   probe: one message at a time looks for the last entry that both have;
//   stream: entries go out ahead of the answers, as far as the byte window allows;
//   snapshot: what it needs is no longer in the log.
// Diagram: raft/README.md.
#pragma once

#include "raft/core.h"
#include "raft/ring.h"

namespace raftd::raft {

/// Append messages sent and not yet answered, by their last entry.
class Window {
public:
    static constexpr size_t kMessagesMax = 1024;

    void push(Index last, uint64_t bytes) {
        sent_.push_back({last, bytes});
        bytes_ += bytes;
    }
    void answered(Index match) {
        while (!sent_.empty() && sent_.front().last <= match) {
            bytes_ -= sent_.front().bytes;
            sent_.pop_front();
        }
    }
    void clear() {
        sent_.clear();
        bytes_ = 0;
    }
    bool empty() const { return sent_.empty(); }
    bool full() const { return sent_.size() >= kMessagesMax; }
    uint64_t bytes() const { return bytes_; }

    template <class Archive>
    void fields(Archive& archive) {
        archive(bytes_, sent_);
    }

private:
    struct Sent {
        Index last;
        uint64_t bytes;
        template <class Archive>
        void fields(Archive& archive) {
            archive(last, bytes);
        }
    };
    uint64_t bytes_ = 0;
    Ring<Sent> sent_;
};

struct Progress {
    /// Entries that were read for this follower and wait to be sent.
    struct Ready {
        Index first{}, last{};
        uint64_t bytes = 0;
        template <class Archive>
        void fields(Archive& archive) {
            archive(first, last, bytes);
        }
    };

    NodeId id{};
    FollowerMode mode = FollowerMode::probe;
    Index match{};  // durable there and equal to mine
    Index next{};   // next to be sent. Invariant: match < next <= last + 1
    Window window;
    Instant heard_at;            // last answer in this term
    Instant owes_since;          // meaningful while `owes`
    Instant paused_until;        // no entries before (no room there, nothing to send here)
    Instant leaves_at = kNever;  // isn't in the configuration any more: is told about it until then
    uint64_t round = 0;          // newest confirmation round it echoed
    uint64_t match_round = 0;    // my round when match last moved
    uint64_t fetch = 0;          // id of the fetch under way; 0: none
    Ready ready;                 // first 0: none
    Index commit_sent{};
    Index blocked_at{};      // it refused to take this entry: stay in probe until it did
    bool owes = false;       // entries were sent that it hasn't acknowledged
    bool due = true;         // a message is owed even if it is empty
    bool probe_out = false;  // a probe is on its way
    bool readers_waiting = false;
    bool regressed = false;    // reported less than it had acknowledged in this reign (H2)
    bool contradicts = false;  // holds other bytes than my log (H15)
    uint32_t near_rounds = 0;  // heartbeats in a row at which it answered and had nearly all

    void to_probe(Index next_to_try);
    void to_stream();
    void to_snapshot();
    /// Takes an acknowledgement up to `durable_there`. True when match moved.
    bool acknowledged(Index durable_there, uint64_t my_round, Instant now);
    /// Entries up to `last` were handed out.
    void sent(Index last, uint64_t bytes, Instant now);

    template <class Archive>
    void fields(Archive& archive) {
        archive(id, mode, match, next, window, heard_at, owes_since, paused_until, leaves_at, round,
                match_round, fetch, ready, commit_sent, blocked_at, owes, due, probe_out, readers_waiting,
                regressed, contradicts, near_rounds);
    }
};

}  // namespace raftd::raft
