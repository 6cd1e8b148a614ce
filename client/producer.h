// The producer of a session: registers it with the cluster, numbers its batches, and opens it again when the
// numbers are in doubt: the answer to that says which of them are in the log, for good. Numbers are given in
// the order of the batches, and one goes to another batch only when no frame or log can still bring the
// first one back under the present epoch. Single-threaded, sans-io. Read next: client/appender.h.
#pragma once

#include "client/leader_call.h"

namespace raftd::client {

/// One error for all appends of a group that end the same way.
std::shared_ptr<const Error> shared_error(Errc code, std::string what, std::string hint = {});

class Producer {
public:
    enum class State : uint8_t {
        none,     // not registered, or in doubt: must be opened (again) before the next batch
        opening,  // asked for
        open,
        fenced,   // somebody else opened it: nothing more can be sent by this session
        gone,     // not found when it was to be opened again: expire() decides
        expired,  // forgotten by the cluster, and it had a name
        refused,  // a name that the cluster doesn't take
    };

    Producer(io::Network& network, Links& links, const SessionOptions& options, uint32_t& streams)
        : options_(options), call_(network, links, options, streams) {}

    State state() const { return state_; }
    bool open() const { return state_ == State::open; }
    const ProducerFacts& facts() const { return facts_; }  // as of the last time that it was opened
    uint64_t id() const { return facts_.id; }
    uint32_t epoch() const { return facts_.epoch; }
    /// Somebody else may have held it between two epochs of this session: an answer which says only that a
    /// number is in the log may speak of another's batch.
    bool disputed() const { return disputed_; }
    bool named() const { return !options_.producer.empty(); }
    const std::shared_ptr<const Error>& why() const {
        return why_;
    }  // fenced, expired, refused; or not opened yet

    /// Asks for it unless that was done; state() is open in a later turn.
    void want(Instant now);
    /// The next number.
    uint64_t assign() { return next_++; }
    /// The number of a batch that isn't in the log, and those behind it, are given anew.
    void give_back(uint64_t sequence) { next_ = std::min(next_, sequence); }
    /// A frame or a log may still hold this number.
    void let_go(uint64_t sequence) { loose_max_ = std::max(loose_max_, sequence); }
    bool loose(uint64_t sequence) const { return loose_max_ >= sequence; }
    /// Which numbers are in the log isn't known any more.
    void doubt();
    /// A member says that the epoch is now `epoch_now`. It may have been this session itself, by an attempt
    /// whose answer was lost: then it is opened once more; else it is fenced.
    void fence(uint64_t epoch_now);
    /// The cluster has forgotten it. One without name is registered anew.
    void expire();

    /// True once each time it was opened: what was numbered before is to be judged by facts().last.
    bool take_opened() { return std::exchange(opened_, false); }
    bool receive(const io::Frame& frame, Instant now);
    void run(Instant now) { call_.run(now); }
    void add_wants(Wants& wants) const { call_.add_wants(wants); }
    Instant deadline() const { return call_.deadline(); }
    /// want() does nothing before that; kNever: it may at any time.
    Instant want_at() const {
        bool waits = state_ == State::none && not_before_ != Instant{INT64_MIN};
        return waits ? not_before_ : kNever;
    }
    /// Why it isn't open yet; nullptr when no attempt has failed.
    const std::shared_ptr<const Error>& trouble() const { return call_.why(); }

private:
    void take_answer(const LeaderAnswer& answer, Instant now);

    const SessionOptions& options_;
    LeaderCall call_;
    State state_ = State::none;
    ProducerFacts facts_;
    uint64_t next_ = 1;
    uint64_t loose_max_ = 0;  // under the present epoch
    uint64_t zombies_ = 0;    // openings of ours that may still happen, or have happened unseen
    bool disputed_ = false;
    bool opened_ = false;
    Instant not_before_{INT64_MIN};  // after an answer that makes no sense
    std::shared_ptr<const Error> why_;
};

}  // namespace raftd::client
