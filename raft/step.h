// The whole interface of the core on one screen: what goes in (Event), what comes out (Output).
// The core is a value: no I/O, threads, clock, logging, globals or payload bytes. It knows term runs and the
// sizes of in-flight entries only; what is older it asks for (Output::fetch -> ev::Fetched).
// What the caller owes, in order: raft/README.md. Who performs outputs: daemon/pump.cpp.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "base/entry.h"
#include "base/instant.h"
#include "base/membership.h"
#include "raft/message.h"
#include "raft/options.h"

namespace raftd::raft {

/// What the core needs to know of an entry. `membership` is set only for entries of that kind and must
/// live until step returns.
struct EntryMeta {
    EntryId id;
    uint32_t bytes = 0;  // encoded: header and body
    const Membership* membership = nullptr;
};
/// What this member's own disk allows it to do. hole_first 0: no hole. The terms of the entries from there on
/// and before known_from aren't known; 0: all are.
struct Health {
    bool may_vote = true, may_lead = true, may_ack = true;
    Index hole_first{};
    Index known_from{};
    bool operator==(const Health&) const = default;
};
/// What a member finds on its disk at a start, all of it durable. `base` is the entry before the log's first
/// (genesis or snapshot); `configs` has the base's configuration, then each in the log, in order.
struct Restart {
    HardState hard;
    EntryId base;
    std::span<const TermRun> runs;
    Index last;
    std::span<const ConfigAt> configs;
    Health health;
    uint64_t boot = 0;  // this start's number: makes read ids unique over restarts
    /// The highest id that any member ever had, as far as the snapshot and the replicated state know: ids
    /// never return (B79). The configurations of the log are counted by the core itself.
    NodeId ids_used_upto{};
    /// Up to here the log is known to be committed: what a snapshot covers. Below it `base` says so by
    /// itself.
    Index commit{};
};

namespace ev {
/// Time has come (deadline()) or may have; harmless otherwise.
struct Tick {};
/// Entries made by this leader; ids are consecutive from next_id(). Refused (Taken) when it doesn't lead.
struct Propose {
    std::span<const EntryMeta> entries;
};
/// Ask may_change() first; answered by Output::want.
struct ProposeMembership {
    Membership target;
};
struct Message {
    NodeId from;
    msg::Any message;
    std::span<const EntryMeta> entries;  // of an Append: from prev.index + 1 on, consecutive
};
/// The write `id` and all before it are synced.
struct Durable {
    WriteId id;
};
enum class Got : uint8_t { ok, gone, damaged };
/// Answer to Output::Fetch: entries [first, last] of `bytes` together are at hand to be sent to `to`.
struct Fetched {
    uint64_t id;
    NodeId to;
    Index first, last;
    uint64_t bytes;
    Got got;
};
struct SnapshotEnded {
    NodeId to;
    EntryId at;
    bool ok;
};
/// Bulk bytes of an install came in: counts as hearing from the leader of that term.
struct Heard {
    NodeId from;
    Term term;
};
/// A snapshot was installed: CURRENT is renamed and synced. Ask Core::may_install before.
struct Installed {
    EntryId at;
    Membership members;
    NodeId ids_used_upto{};  // as in Restart
};
/// The log's files up to here are about to go.
struct Compacted {
    EntryId upto;
};
/// The connection to a peer came up or ended. The leader's closed one is a hint to pre-vote soon.
struct Link {
    NodeId peer;
    bool up;
};
/// From the peer's answer trailers: whole, has room, disk moves.
struct Peer {
    NodeId id;
    bool may_lead;
};
using raft::Health;  // mine has changed
/// Damaged entries [first, last] are there again: their terms, and the configurations among them. Both may
/// have been unknown until now. Live until step returns.
struct Mended {
    Index first, last;
    std::span<const TermRun> runs;
    std::span<const ConfigAt> configs;
};
struct Transfer {
    NodeId to;
};
/// To a leader: `from` holds other bytes at `at` than this member's log, by chain and in a good frame (H15).
/// Once a majority says so, the leader steps down and Output::diverged names the entry.
struct Contradicted {
    NodeId from;
    Index at;
};
/// A linearizable read begins; ends in Output::reads or reads_failed.
struct Read {
    ReadId id;
};
/// Whether somebody here waits for the commit index to move (a tail at the end): then the leader is asked to
/// say so at once instead of with its next message.
struct Readers {
    bool waiting;
};
}  // namespace ev

struct Event {
    Instant now;
    std::variant<ev::Tick, ev::Propose, ev::ProposeMembership, ev::Message, ev::Durable, ev::Fetched,
                 ev::SnapshotEnded, ev::Heard, ev::Installed, ev::Compacted, ev::Link, ev::Peer, ev::Health,
                 ev::Transfer, ev::Read, ev::Readers, ev::Contradicted, ev::Mended>
        what;
};

/// A message to be sent once write `after` is durable (0: at once).
/// An Append's entries are [prev.index + 1, last] of the log as it is when collect returns, or what Fetched
/// named.
struct Send {
    NodeId to;
    msg::Any message;
    WriteId after;
};

/// All that is owed since the last collect. The caller performs it in the order of daemon/pump.cpp.
struct Output {
    /// Make durable: `hard`, and the entries (keep_upto, last] in place of all behind keep_upto. At most one
    /// a collect; write ids rise by one. keep_upto < the end of an earlier write: a truncation.
    struct Write {
        WriteId id;
        HardState hard;
        Index keep_upto;
        Index last;
        bool sync_needed;
    };
    /// Build this entry and Propose it within the same turn.
    struct Want {
        Term term;
        EntryKind kind;  // noop or membership
        Membership membership;
    };
    /// Have entries from `first` on, at most bytes_max of them (at least one), ready for a send to `to`.
    struct Fetch {
        uint64_t id;
        NodeId to;
        Index first;
        uint64_t bytes_max;
    };
    struct Install {
        NodeId from;
        EntryId at;
    };
    struct RoleChange {
        Term term;
        NodeId leader;  // 0: not known
        bool leading;
    };
    enum class TransferEnd : uint8_t { done, timed_out, unfit, lost_office };

    std::optional<EntryId> reset;  // before write: the log was replaced and begins after this
    std::optional<Write> write;
    std::optional<Want> want;
    std::vector<Send> send;
    std::vector<Fetch> fetch;
    std::optional<Install> install;
    Index commit{};   // always set
    Index durable{};  // always set; of the log as it is now. Apply only up to min(commit, durable)
    std::optional<Index> lost_after;  // leadership went: own proposals behind this have an unknown outcome
    std::vector<std::pair<ReadId, Index>> reads;  // answer once this much is committed and delivered here
    std::vector<ReadId> reads_failed;             // nothing was read: try again
    std::optional<ConfigAt> membership;           // in force has changed: appended, rolled back, installed
    std::optional<RoleChange> role;
    std::optional<TransferEnd> transfer;
    std::optional<Index> diverged;  // the leader contradicts this entry, which is committed here (H6), or, to
                                    // a leader, a majority does (H15); nothing was changed: stop (exit 22)

    void clear() {
        reset.reset(), write.reset(), want.reset(), install.reset(), lost_after.reset();
        membership.reset(), role.reset(), transfer.reset(), diverged.reset();
        send.clear(), fetch.clear(), reads.clear(), reads_failed.clear();
    }
};

/// Why a change of membership can't begin now.
enum class Refusal : uint8_t {
    not_leading,
    no_own_commit,      // nothing of the present term is committed yet
    in_progress,        // another change, or a transfer of leadership
    would_lose_quorum,  // too few voters answer, of the present configuration or of the asked one
    not_caught_up,      // a new voter lags, or doesn't answer
    id_used,            // a new member's id isn't above all that were ever used
    too_many,           // grows beyond voters_max or members_max
    malformed,          // not in order of id, no voter, a voter to be promoted, already joint
};

}  // namespace raftd::raft
