// Fixed parts of the hot messages between a client and a member; control messages are protobuf
// (control.proto). Layout rules as in proto/peer.h; the order of messages: docs/protocol.md.
#pragma once

#include <cstdint>

#include "base/entry.h"

namespace raftd::proto {

/// Outcome of one append. `unknown` may concern a batch that reached a leader's log, `committed`, `repeated`
/// and `repeated_forgotten` one that is committed; every other code means that this request did nothing and
/// never will. (An earlier one with the same producer sequence may have: see `fenced` and `expired`.)
enum class AppendCode : uint32_t {
    committed = 0,
    unknown = 1,     // in a log whose leader lost office: may or may not become committed
    not_leader = 2,  // AppendDone::leader says who is believed to lead
    busy = 3,        // a bound is reached: try again later
    disk_full = 4,
    bad_batch = 5,  // checksum, count, lengths, kind or codec wrong
    too_large = 6,
    retry = 7,    // refused for now; nothing happened
    refused = 8,  // was in a log, and another entry is committed at its place: will never be
    // Refusals that rest on the log: given only once that is committed and the reign is confirmed.
    fenced = 9,              // the producer was opened again; lsn_first: its epoch now
    expired = 10,            // no producer of that id: closed, or forgotten to make room for others
    out_of_order = 11,       // not the next sequence; lsn_first: the last one there is
    sequence_reused = 12,    // the sequence stands for other bytes
    condition_failed = 13,   // expect_lsn isn't the next LSN; lsn_first: what the first record would have got
    repeated = 14,           // was committed before: the first answer once more
    repeated_forgotten = 15  // was committed before; its LSNs are no longer remembered
};

/// Appends of one producer that may be under way at once: so many answers of each are remembered.
inline constexpr uint32_t kProducerInFlightMax = 1024;

/// Set on the first append of a connection and on the first one after a refusal. A member that refused an
/// append answers `retry` to every further one of that connection until one carries this flag: otherwise a
/// batch sent behind a refused one could land before it, when the reason has gone meanwhile. (Only bad_batch
/// and too_large of an append without producer don't end the run.)
inline constexpr uint32_t kAppendRun = 1;

/// One batch; `stream` names the request. The frame goes on with the body, so that header and body lie
/// together and the leader finishes the entry in place. The draft has kind, codec, counts, producer fields
/// (id, epoch, sequence; all zero without one) and checksum of the body set (see draft_batch); the rest is
/// zero.
struct Append {
    uint32_t size;        // this struct
    uint32_t flags;       // kAppendRun
    uint64_t expect_lsn;  // the LSN that the first record is to get; 0: whichever
    EntryHeader draft;
};
static_assert(sizeof(Append) == 112);

/// Answers of one turn; `size` covers the items. In the order of the requests, but for refusals that had to
/// wait.
struct AppendDone {
    uint32_t size;
    uint32_t count;
    uint64_t leader;  // node id believed to lead; 0: not known
    uint64_t reserved;
};
struct AppendDoneItem {
    uint32_t stream;
    AppendCode code;
    uint64_t lsn_first;  // committed, repeated: the first record's; see the codes
    uint64_t term;
    uint64_t timestamp_ms;
};
static_assert(sizeof(AppendDone) == 24 && sizeof(AppendDoneItem) == 32);

/// Where a tail begins.
enum class TailFrom : uint32_t {
    lsn = 0,      // value: the LSN; beyond the end waits when following
    first = 1,    // the first record there is
    end = 2,      // the record after the last
    last_n = 3,   // value: how many before the end
    index = 4,    // value: index of the entry; to go on where another stream broke off
    time_ms = 5,  // value: first record with a timestamp at or after it
};
inline constexpr uint32_t kTailFollow = 1;
inline constexpr uint32_t kTailLinearizable = 2;  // see all that was acknowledged before (ReadIndex first)

/// `stream` names the tail on this connection. Data flows while the credit lasts.
struct TailOpen {
    uint32_t size;
    uint32_t flags;
    TailFrom from;
    uint32_t max_lag_ms;  // of one that neither follows nor is linearizable; 0: whatever is there
    uint64_t value;
    uint64_t to_lsn;  // last LSN wanted; 0: no end
    uint64_t credit;  // bytes of entries that may be sent; the frame that uses it up may exceed it
};
struct TailCredit {
    uint32_t size;
    uint32_t reserved;
    uint64_t bytes;  // more
};
struct TailClose {
    uint32_t size;
    uint32_t reserved;
};
inline constexpr uint32_t kTailCaughtUp = 1;  // all that is committed here has been sent

/// Whole entries as they stand in the log, end to end, internal ones too: the receiver can recompute the
/// chain from `before_chain` on. A batch that begins before the asked LSN is sent whole. The first one of a
/// stream comes as soon as its place is known, without entries if there are none yet: it says where the
/// stream stands, so that one that began at `end` or `last_n` goes on from there on another member. Its
/// `commit_lsn` is the one that `end`, `last_n` and the end of a stream that doesn't follow were reckoned
/// from.
struct TailData {
    uint32_t size;
    uint32_t flags;
    uint64_t before_index, before_term, before_chain;  // of the entry before the first one here
    uint64_t before_lsn_next;
    uint64_t commit_lsn;  // last committed LSN known to the sender
    uint64_t commit_index;
};
/// What a member sends since there are trims; `size` tells which of both it is.
struct TailDataSince {
    TailData data;
    uint64_t
        first_lsn;  // of the first record that there is: of a batch that begins before it, the rest is gone
};
enum class TailCode : uint32_t {
    end = 0,          // not following: all was sent
    trimmed = 1,      // `lsn` is the first there is
    beyond = 2,       // not following, and the LSN isn't there yet; `lsn` is the last there is
    unavailable = 3,  // no leader could confirm the read
    busy = 4,
    bad_request = 5,
    damaged = 6,
    lagging = 7,  // max_lag_ms: the member can't show that it is fresh enough
};
struct TailEnd {
    uint32_t size;
    TailCode code;
    uint64_t lsn;
};
static_assert(sizeof(TailOpen) == 40 && sizeof(TailData) == 56 && sizeof(TailDataSince) == 64 &&
              sizeof(TailEnd) == 16);

}  // namespace raftd::proto
