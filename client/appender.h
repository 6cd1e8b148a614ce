// The append half of a session: a window of batches, sent in order to whoever leads.
// Promises (H10): `committed` only when a leader said so; `refused` only when no leader can have the batch in
// its log; all else is `unknown`. A batch that a leader may have is never sent again. No batch is committed
// behind one that was submitted after it. Single-threaded, sans-io. Read next: proto/client.h (Append,
// kAppendRun).
#pragma once

#include <deque>
#include <span>

#include "client/links.h"
#include "proto/client.h"
#include "proto/frame.h"

namespace raftd::client {

/// A batch in its final encoding; what its head needs beside is filled in when it is sent.
struct Batch {
    Slice frame;  // room for the head, then the body
    uint32_t count = 0;
    uint64_t record_bytes_max = 0;  // of its largest record

    static constexpr uint32_t kHeadBytes = proto::kFrameHeaderBytes + sizeof(proto::Append);
    uint64_t body_bytes() const { return frame.size() - kHeadBytes; }
    /// Encodes the records, once. Requires: at least one, together below 4 GiB.
    static Batch of(std::span<const ByteView> records);
    static Batch of(ByteView record) { return of({&record, 1}); }
};

class Appender {
public:
    Appender(io::Network& network, Links& links, const SessionOptions& options)
        : network_(network), links_(links), options_(options) {}

    /// Takes a batch for the next turn; its ticket, or 0 when the window is full (nothing was taken then).
    uint64_t submit(Batch&& batch, Instant now);
    /// The next outcome, in the order of the tickets; false when the oldest batch isn't decided yet.
    bool take(Appended& into);
    /// Refuses what was never sent.
    void cancel_unsent(const Error& why);

    void receive(io::ConnId conn, ByteView payload, Instant now);
    /// Once a turn: notices lost connections and time-outs, sends what may be sent.
    void run(Instant now);
    void add_wants(Wants& wants) const { wants.leader |= unsent() || in_flight_ > 0; }
    Instant deadline() const;

    bool empty() const { return window_.empty(); }
    size_t size() const { return window_.size(); }
    uint64_t bytes() const { return bytes_; }
    uint64_t sent_records() const;
    uint32_t in_flight() const { return in_flight_; }
    /// Batches that were put off by a member and went back into the queue.
    uint64_t resent() const { return resent_; }

private:
    enum class State : uint8_t { queued, sent, put_off, done };
    struct Pending {
        Batch batch;
        State state = State::queued;
        Appended result;
    };

    bool unsent() const { return next_ < window_.size(); }
    Pending* find(uint32_t stream);
    void finish(Pending& pending, Outcome outcome, Instant now);
    void lose(std::shared_ptr<const Error> why, Instant now);
    void refuse_unsent(const std::shared_ptr<const Error>& why, Instant now);
    void put_off(Pending& pending, proto::AppendCode code, NodeId leader, Instant now);
    void go_back(Instant now);
    void time_out(Instant now);
    bool choose();
    void send(Links::Link& link, Instant now);
    bool fits(Pending& pending, Instant now);
    void back_off(Instant now, Duration least);

    io::Network& network_;
    Links& links_;
    const SessionOptions& options_;
    std::deque<Pending> window_;  // window_[i] has ticket first_ticket_ + i
    uint64_t first_ticket_ = 1;
    size_t next_ = 0;  // Invariant: all before are sent, put off or done; all from here on queued
    uint64_t bytes_ = 0;
    uint32_t in_flight_ = 0;  // sent on conn_ and not answered
    io::ConnId conn_ = io::kNoConn;
    bool sure_ = false;     // conn_ leads as far as known: more than one batch may go at once
    bool new_run_ = true;   // the next append on conn_ carries kAppendRun
    bool stalled_ = false;  // put off: nothing is sent before the run is answered to its end
    bool change_conn_ = false;
    bool halted_ = false;  // stop_at_failure
    Instant progress_{};   // since when nothing was decided
    Instant retry_at_{INT64_MIN};
    Duration backoff_{};
    uint32_t redirects_ = 0;  // in a row
    uint64_t resent_ = 0;
    std::shared_ptr<const Error> put_off_why_, halt_why_;
    std::vector<Slice> parts_;
};

}  // namespace raftd::client
