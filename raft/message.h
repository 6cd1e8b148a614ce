// What members say to each other, one struct per message. The entries of an append travel beside it (as
// EntryMeta to the core, as encoded bytes on the wire). Every message but a pre-vote carries the sender's
// own term, and leaves only once that term is durable (Send::after). Numbers in brackets: Raft thesis.
#pragma once

#include <variant>

#include "base/types.h"

namespace raftd::raft::msg {

/// Why an append was not accepted.
enum class Why : uint8_t {
    conflict,    // prev doesn't match; `hint` says where to try
    no_room,     // my disk is full: pause, then try the same again
    repairing,   // below a hole that is being repaired
    stale_term,  // the sender's term is over; mine is in `term`
};

/// Entries, or none: then a heartbeat, a probe, or a commit notice (3.5). `last` is the index of the last
/// entry carried (prev.index when none). `round` rises with each confirmation round of the leader and is
/// echoed, so that a read is confirmed only by answers to messages sent after it began (6.4, B84).
struct Append {
    Term term;
    EntryId prev;
    Index last;
    Index commit;
    uint64_t round;
};
/// All up to `match` is equal to the leader's log *and durable here*.
struct AppendOk {
    Term term;
    Index match;
    uint64_t round;
    bool readers_waiting;  // send me the next commit at once, somebody waits for it
};
/// `hint`: the last entry of mine that can still be equal: last of the greatest term run with term <= prev's
/// that begins at or below prev (back-off by runs, not by entries). `last`: end of my log.
struct AppendNo {
    Term term;
    EntryId hint;
    Index last;
    uint64_t round;
    Why why;
};
/// Asks for a vote (3.4), or whether one would be given (pre: 9.6; then `term` is the term it would campaign
/// in).
struct Vote {
    Term term;
    EntryId last;
    bool pre;
    bool transfer;  // the leader asked for this campaign: stickiness is void (3.10)
};
/// `term`: the voter's own, except that a granted pre-vote echoes the asked one.
struct VoteOk {
    Term term;
    bool granted;
    bool pre;
    Index removed_at;  // 0: not known to be removed
};
struct Snapshot {
    Term term;
    EntryId at;
};
struct TimeoutNow {
    Term term;
};
/// A follower asks the leader for a read index on behalf of its own reader.
struct ReadIndex {
    Term term;
    ReadId id;
};
struct ReadIndexOk {
    Term term;
    ReadId id;
    Index index;
    bool ok;
};

using Any =
    std::variant<Append, AppendOk, AppendNo, Vote, VoteOk, Snapshot, TimeoutNow, ReadIndex, ReadIndexOk>;

}  // namespace raftd::raft::msg
