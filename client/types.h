// Plain values of the client library: options in, outcomes and records out. No promise of their own; usable
// on any thread. Read next: client/client.h (the face), client/session.h (what runs below it).
#pragma once

#include <array>
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
    /// Registers as a producer before the first append, so that what a lost connection leaves in doubt is
    /// sent again and lands once. Without effect on a cluster whose feature level doesn't have producers yet.
    bool exactly_once = true;
    /// The producer's name: whoever opens it again goes on behind its last batch, and fences this session.
    /// Empty: a producer of this session alone.
    std::string producer = {};
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
    unknown,  // was handed to a leader that didn't answer: may land once, or not; Client::resolve() finds out
};

struct Appended {
    uint64_t ticket = 0;
    Outcome outcome = Outcome::refused;
    uint32_t count = 0;  // records of the batch
    /// committed: LSN of the first record, the others follow; 0 in the rare case that a retry came when the
    /// cluster remembered only that it is committed.
    Lsn first{};
    Term term{};
    uint64_t timestamp_ms = 0;
    bool repeated = false;  // committed: an attempt before had landed already
    uint64_t producer = 0;  // by which it was sent; 0: without
    uint64_t sequence = 0;
    Lsn observed{};                    // refused since its condition failed: the LSN that it would have got
    std::shared_ptr<const Error> why;  // not committed: the reason; shared by batches that met the same end
    Lsn last() const { return first + (count == 0 ? 0 : count - 1); }
};

/// A producer as the cluster has it.
struct ProducerFacts {
    uint64_t id = 0;
    uint32_t epoch = 0;
    uint64_t last = 0;     // committed up to this sequence
    uint64_t records = 0;  // appended by it in all: where an input goes on that is resumed
    std::string name;
};

/// What became of one batch.
struct Resolution {
    enum class Fate : uint8_t {
        committed,  // `first` and `count`, unless forgotten (both 0)
        never,      // isn't in the log and never will be
        open,       // isn't in the log; may come as long as its sender is there
        gone,       // the producer is forgotten: nothing more will land, what did isn't known any more
    };
    Fate fate = Fate::open;
    Lsn first{};
    uint32_t count = 0;
    ProducerFacts producer;
};

/// Appends that were sent and have no outcome: which sequences of a producer are in doubt.
struct Unresolved {
    uint64_t records = 0;
    uint64_t producer = 0;  // 0: sent without
    uint64_t first_sequence = 0, last_sequence = 0;
};

/// Where a tail begins.
enum class From : uint8_t {
    lsn,      // `value`; one beyond the end is waited for when following
    first,    // the first record there is
    end,      // the record after the last
    last_n,   // `value` records before the end
    time_ms,  // the first record stamped at `value` (milliseconds since 1970) or later
    chunks,   // no records, but what chunks of checkpoints carry, from entry `value` on; LSNs are 0
};

struct TailOptions {
    From from = From::first;
    uint64_t value = 0;
    std::optional<Lsn> to = {};  // the last LSN wanted
    bool follow = false;         // wait for more at the end
    bool linearizable = true;    // see all that was acknowledged before; void when following
    /// Not linearizable: only from a member that can show that it lacks nothing that was acknowledged longer
    /// ago than this; refused otherwise (unavailable). 0: whatever it has.
    uint32_t max_lag_ms = 0;
    uint64_t window_bytes = 8u << 20;  // sent and not yet consumed
    std::string node = {};             // ask only the member of this name
};

/// What the cluster keeps of the log by itself; 0: no bound of that kind.
struct RetentionPolicy {
    uint64_t bytes = 0, age_ms = 0, records = 0;
    bool below_checkpoint = false;
};
/// Those parts of it that are to change.
struct RetentionChange {
    std::optional<uint64_t> bytes{}, age_ms{}, records{};
    std::optional<bool> below_checkpoint{};
};
struct RetentionFacts {
    RetentionPolicy policy;
    Lsn first{}, last{};      // records there are: first > last when there is none
    uint64_t kept_bytes = 0;  // of the log, encoded
};
/// What a trim came to.
struct Trimmed {
    Lsn first{};                   // the first record from now on
    std::optional<Lsn> held_at{};  // it was to come further, and this kept it
    std::string held_by;           // a cursor's name; empty: the newest checkpoint, as the policy wants it
};

/// A named position that the cluster keeps.
struct Cursor {
    std::string name;
    Lsn lsn{};                    // next one to be read
    bool hold = false;            // nothing at or above it is trimmed
    uint64_t hold_bytes_max = 0;  // the hold ends where it keeps more; 0: never
    uint64_t set_ms = 0;          // when, by the log's time; given by the cluster
    bool hold_over = false;       // its hold has ended so; given by the cluster
};

/// The application's own state, kept by the cluster, for all records up to `upto`.
struct Checkpoint {
    Lsn upto{};
    uint64_t size = 0;                   // bytes
    std::array<std::byte, 32> sha256{};  // of them, as whoever uploaded it said: check what you read
    uint64_t id = 0;                     // given by the cluster
    uint64_t received = 0;               // less than `size`: an upload goes on
    bool whole = false;
    uint64_t time_ms = 0;
};

/// One record; `data` is valid until the next call of next().
struct Record {
    Lsn lsn{};
    ByteView data;
    Term term{};
    uint64_t timestamp_ms = 0;
};

}  // namespace raftd::client
