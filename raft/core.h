// The Raft algorithm as a value (thesis chapters 3, 4, 6, 9.6). One thread; no I/O. `step` changes state,
// `collect`, once a turn, says everything owed since the last one, `deadline` says when to call again.
#pragma once

#include <memory>

#include "raft/step.h"

namespace raftd::raft {

enum class Role : uint8_t { follower, pre_candidate, candidate, leader };

/// How a leader stands with one follower (docs: raft/README.md).
enum class FollowerMode : uint8_t { probe, stream, snapshot };

/// State for people, checks and `raftctl debug dump`. A copy; costs one pass over the members.
struct View {
    struct Follower {
        NodeId id;
        FollowerMode mode;
        Index match, next;
        uint64_t in_flight_bytes;
        Instant heard_at;  // last answer of the present term
        bool regressed;    // reported less than it had acknowledged in this reign: its disk lost data (H2)
        bool caught_up;    // answers, and has nearly all of the log: fit to become a voter
    };
    Role role;
    Term term;
    NodeId vote, leader;  // leader 0: not known
    Index commit, durable, last;
    EntryId base;
    bool accepting;     // leads, and takes proposals (not in a transfer, own disk not stalled)
    bool reign_proven;  // an entry of the present term is committed
    Index needed_from;  // log files from here on are still wanted by a follower
    ConfigAt membership;
    std::vector<Follower> followers;  // only while leading
    NodeId transfer_to{};             // of a leader that is handing over
};

class Core {
public:
    /// What became of the entries of a Propose or an Append: the log now keeps its own up to keep_upto and
    /// holds (keep_upto, last] of what came. Nothing taken: last == keep_upto.
    struct Taken {
        Index keep_upto, last;
    };

    Core(const Options& options, NodeId self, const Restart& restart, uint64_t seed, Instant now);
    Core(const Core&);  // a Core is a value: black box and model checker copy it
    Core& operator=(const Core&);
    Core(Core&&) noexcept;
    Core& operator=(Core&&) noexcept;
    ~Core();

    Taken step(const Event& event);
    /// Fills `output` (cleared first; reused, so the steady state does not allocate).
    void collect(Output& output);
    Instant deadline() const;

    /// The id of the next entry to be proposed. Requires: leads.
    EntryId next_id() const;
    /// What step would keep of the present log for this append: nullopt when it would refuse the message
    /// (stale term, no match at prev). The caller checks the chain there first (H15).
    std::optional<Index> keep_upto(const msg::Append& append, std::span<const EntryMeta> entries) const;
    /// Whether a snapshot up to `at` may be put in force now: it goes beyond the commit index, and whether
    /// this log holds `at` is known.
    bool may_install(EntryId at) const;
    /// Whether a change to `target` (not joint; its `next` is empty) may begin now.
    std::optional<Refusal> may_change(const Membership& target) const;
    /// The highest id that a member ever had here: a new one must be above it.
    NodeId ids_used_upto() const;

    Role role() const;
    Term term() const;
    NodeId leader() const;
    Index commit() const;
    Index last() const;
    Term term_at(Index index) const;  // 0 when it isn't known (below the base, behind the end)
    bool accepting() const;
    View view() const;

    /// All invariants after every step, at linear cost (raft/invariants.h). On by itself with RAFTD_DCHECK.
    void check_invariants(bool on);

    struct State;  // raft/state.h: for raft/ itself, its tests and the black box
    explicit Core(std::unique_ptr<State> state);
    const State& state() const { return *state_; }

private:
    std::unique_ptr<State> state_;
};

}  // namespace raftd::raft
