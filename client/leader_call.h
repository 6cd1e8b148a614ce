// One control request to whoever leads, asked again until it is answered: follows redirects, and goes
// elsewhere when the connection is lost. Single-threaded, sans-io.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/links.h"

namespace raftd::pb {
class Retained;
}

namespace raftd::client {

/// What a member remembers of one batch.
struct SequenceFacts {
    Lsn first{};
    uint32_t count = 0;
    Term term{};
    uint64_t timestamp_ms = 0, body_checksum = 0;
};
/// A leader's answer: an error that no retry changes, or what was asked for.
struct LeaderAnswer {
    ProducerFacts producer;  // id 0: there is none
    std::optional<Error> error;
    std::optional<SequenceFacts> sequence;         // of a query, when it is remembered
    bool fenced = false;                           // of an opening: not done, its epoch is another one
    std::shared_ptr<const pb::Retained> retained;  // of requests about what stays of the log
};

/// Serialized requests (proto/control.proto).
std::string open_producer_request(std::string_view name, uint64_t id, uint32_t epoch);
std::string close_producer_request(uint64_t id, uint32_t epoch);
std::string query_producer_request(std::string_view name, uint64_t id, uint64_t sequence);
Slice request_frame(uint32_t stream, std::string_view request);

class LeaderCall {
public:
    LeaderCall(io::Network& network, Links& links, const SessionOptions& options, uint32_t& streams)
        : network_(network), links_(links), options_(options), streams_(streams) {}

    /// Asks from the next turn on; what was asked before is dropped.
    void ask(std::string request);
    void drop();
    bool asking() const { return !request_.empty(); }
    /// The answer, once it is there; it is then no longer asking.
    std::optional<LeaderAnswer> take();
    /// Attempts since the last call of this that were sent and not answered: each may have been carried out,
    /// or may still be.
    uint32_t take_lost() { return std::exchange(lost_, 0); }
    /// Why the last attempt failed; nullptr: it is under way, or the first one.
    const std::shared_ptr<const Error>& why() const { return why_; }

    /// False when the frame isn't its answer.
    bool receive(const io::Frame& frame, Instant now);
    void run(Instant now);
    void add_wants(Wants& wants) const { wants.leader |= asking() && !answer_; }
    Instant deadline() const;

private:
    void read(Links::Link& link, ByteView payload, Instant now);
    void back_off(Instant now);

    io::Network& network_;
    Links& links_;
    const SessionOptions& options_;
    uint32_t& streams_;
    std::string request_;
    std::optional<LeaderAnswer> answer_;
    io::ConnId conn_ = io::kNoConn;  // where an attempt is under way
    uint32_t stream_ = 0, lost_ = 0;
    Instant asked_at_{};
    Instant retry_at_{INT64_MIN};
    Duration backoff_{};
    uint32_t redirects_ = 0;
    std::shared_ptr<const Error> why_;
};

}  // namespace raftd::client
