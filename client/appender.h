// The append half of a session: a window of batches, sent in order to whoever leads.
// Promises (H8, H10): `committed` only when a leader said so; `refused` only when no leader can have the
// batch in its log, now or later; all else is `unknown`. With a producer (client/producer.h) a batch that a
// leader may have is sent again under the same number until its fate is known or the time-out ends, and lands
// once; without, it is never sent again. No batch is committed behind one that was submitted after it.
// Single-threaded, sans-io. Read next: proto/client.h (Append, kAppendRun).
#pragma once

#include <deque>

#include "client/batch.h"
#include "client/links.h"
#include "client/producer.h"

namespace raftd::client {

class Appender {
public:
    Appender(io::Network& network, Links& links, const SessionOptions& options, uint32_t& streams)
        : network_(network),
          links_(links),
          options_(options),
          producer_(network, links, options, streams),
          query_(network, links, options, streams) {}

    /// Takes a batch for the next turn; its ticket, or 0 when the window is full (nothing was taken then).
    uint64_t submit(Batch&& batch, Instant now);
    /// The next outcome, in the order of the tickets; false when the oldest batch isn't decided yet.
    bool take(Appended& into);
    /// Refuses what was never sent.
    void cancel_unsent(const Error& why);
    /// Registers although nothing is to be sent yet.
    void want_producer() { producer_wanted_ = true; }
    const Producer& producer() const { return producer_; }
    /// The frame that closes the producer, when it has no name and nothing of it is in doubt; else empty.
    Slice farewell() const;

    void receive(io::ConnId conn, ByteView payload, Instant now);
    bool answer(const io::Frame& frame, Instant now);  // false: of nobody here
    /// Once a turn: notices lost connections and time-outs, sends what may be sent.
    void run(Instant now);
    void add_wants(Wants& wants) const;
    Instant deadline() const;

    bool empty() const { return window_.empty(); }
    size_t size() const { return window_.size(); }
    uint64_t bytes() const { return bytes_; }
    Unresolved unresolved() const;
    uint32_t in_flight() const { return in_flight_; }
    /// Batches that were put off by a member and went back into the queue.
    uint64_t resent() const { return resent_; }

private:
    enum class State : uint8_t { queued, sent, put_off, done };
    struct Pending {
        Batch batch;
        State state = State::queued;
        bool maybe = false;                      // an attempt before may be in a log
        std::shared_ptr<const Error> otherwise;  // numbered: why it is refused, should it not be in the log
        Appended result;
        uint64_t sequence() const { return result.sequence; }
    };

    bool unsent() const { return next_ < window_.size(); }
    bool numbers() const { return options_.exactly_once && links_.feature_level() >= kProducersFrom; }
    Pending* find(uint32_t stream);
    void finish(Pending& pending, Outcome outcome, Instant now);
    void refuse(Pending& pending, std::shared_ptr<const Error> why, Instant now);
    void lose(std::shared_ptr<const Error> why, Instant now);
    void refuse_unsent(const std::shared_ptr<const Error>& why, Instant now);
    void skip_done();

    // Answers
    void take_item(Pending& pending, const proto::AppendDoneItem& item, NodeId leader, Instant now);
    void take_unnumbered(Pending& pending, const proto::AppendDoneItem& item, NodeId leader, Instant now);
    void take_numbered(Pending& pending, const proto::AppendDoneItem& item, NodeId leader, Instant now);
    void commit(Pending& pending, const proto::AppendDoneItem& item, Instant now);
    void refuse_for_good(Pending& pending, const proto::AppendDoneItem& item, Instant now);
    void put_off(Pending& pending, proto::AppendCode code, NodeId leader, Instant now);
    void stall(Pending& pending);
    void go_back(Instant now);
    void renumber();

    // The producer
    bool may_number(Instant now);
    void settle(Instant now);
    void end_expired(Instant now);
    void resolve_fenced(Instant now);
    void take_resolution(Pending& pending, const LeaderAnswer& answer, Instant now);

    void time_out(Instant now);
    bool choose();
    void follow_leader(Instant now);
    bool doubts(const Links::Link& link) const { return link.pinged && in_flight_ > 0 && numbers(); }
    void send(Links::Link& link, Instant now);
    void add_frame(Pending& pending);
    bool fits(Pending& pending, Instant now);
    void back_off(Instant now, Duration least);

    static constexpr uint32_t kProducersFrom = 2;  // feature level

    io::Network& network_;
    Links& links_;
    const SessionOptions& options_;
    Producer producer_;
    LeaderCall query_;  // of a fenced producer, batch by batch
    bool producer_wanted_ = false;
    bool had_unknown_ = false;
    std::deque<Pending> window_;  // window_[i] has ticket first_ticket_ + i
    uint64_t first_ticket_ = 1;
    size_t next_ = 0;  // Invariant: all before are sent, put off or done; from here on queued or done
    uint64_t bytes_ = 0;
    uint32_t in_flight_ = 0;  // sent on conn_ and not answered
    io::ConnId conn_ = io::kNoConn;
    uint64_t conn_term_ = 0;  // the newest that was known when conn_ was chosen
    uint64_t seen_term_ = 0;  // of a leader
    bool sure_ = false;       // conn_ leads as far as known: more than one batch may go at once
    bool new_run_ = true;     // the next append on conn_ carries kAppendRun
    bool stalled_ = false;    // put off: nothing is sent before the run is answered to its end
    bool change_conn_ = false;
    bool expired_ = false;        // the producer is; as soon as the run is answered its batches end
    bool halted_ = false;         // stop_at_failure
    uint64_t renumber_from_ = 0;  // this number is free again; 0: none is
    Instant progress_{};          // since when nothing was decided
    Instant retry_at_{INT64_MIN};
    Duration backoff_{};
    uint32_t redirects_ = 0;  // in a row
    uint64_t resent_ = 0;
    std::shared_ptr<const Error> put_off_why_, halt_why_;
    std::vector<Slice> parts_;
};

}  // namespace raftd::client
