// Plain values of the client library: options in, outcomes and records out. No promise of their own; usable
// on any thread. Read next: client/client.h (the face), client/session.h (what runs below it).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/instant.h"
#include "base/result.h"
#include "base/types.h"

namespace raftd::client {

struct SessionOptions {
    std::vector<std::string> endpoints;  // `host:port` or `unix:PATH`; any member answers
    std::optional<ClusterId> cluster;    // another cluster is refused; empty: the first found is kept to
    Duration timeout = seconds(10);      // without progress; then an append ends, see Outcome
    uint64_t window_bytes = 16u << 20;   // appends not yet answered, waiting ones included
    uint32_t window_batches = 4096;
    Duration dial_stagger = milliseconds(100);  // between attempts at one member and at the next
    Duration dial_timeout = seconds(3);         // connect and handshake together
    Duration backoff_min = milliseconds(10);
    Duration backoff_max = milliseconds(200);  // bounds what it adds to a change of leader
    /// Give up before `timeout` when each endpoint has refused the connection several times: nobody is there.
    bool fail_fast = false;
    /// After an append that wasn't committed, refuse those behind it that were never sent: for a stream that
    /// must not have a hole in it.
    bool stop_at_failure = false;
    uint64_t seed = 1;  // of the jitter
};

/// What a member allows; learned in the handshake.
struct Limits {
    uint64_t record_bytes_max = 1u << 20;
    uint64_t batch_bytes_max = 1u << 20;  // of a batch's body; a batch of one record may be larger
};

enum class Outcome : uint8_t {
    committed,  // durable on a majority, at the LSNs given
    refused,    // nothing happened and nothing will
    unknown,    // was handed to a leader that didn't answer: may land once, or not
};

struct Appended {
    uint64_t ticket = 0;
    Outcome outcome = Outcome::refused;
    uint32_t count = 0;  // records of the batch
    Lsn first{};         // committed: LSN of the first record; the others follow
    Term term{};
    uint64_t timestamp_ms = 0;
    std::shared_ptr<const Error> why;  // not committed: the reason; shared by batches that met the same end
    Lsn last() const { return first + (count == 0 ? 0 : count - 1); }
};

/// Where a tail begins.
enum class From : uint8_t {
    lsn,      // `value`; one beyond the end is waited for when following
    first,    // the first record there is
    end,      // the record after the last
    last_n,   // `value` records before the end
    time_ms,  // the first record stamped at `value` (milliseconds since 1970) or later
};

struct TailOptions {
    From from = From::first;
    uint64_t value = 0;
    std::optional<Lsn> to = {};        // the last LSN wanted
    bool follow = false;               // wait for more at the end
    bool linearizable = true;          // see all that was acknowledged before; void when following
    uint64_t window_bytes = 8u << 20;  // sent and not yet consumed
    std::string node = {};             // ask only the member of this name
};

/// One record; `data` is valid until the next call of next().
struct Record {
    Lsn lsn{};
    ByteView data;
    Term term{};
    uint64_t timestamp_ms = 0;
};

}  // namespace raftd::client
