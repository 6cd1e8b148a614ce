// What must hold of a state, and of two states with one event between them. Costs linear time; run after
// every step and collect while Core::check_invariants(true) is in force (tests, simulator, RAFTD_DCHECK).
#pragma once

#include "raft/core.h"

namespace raftd::raft {

/// What a later state is compared with.
struct Milestone {
    HardState hard;
    Index commit;
    EntryId last, committed;
    Role role;
};

Milestone milestone(const Core::State& state);
/// CHECKs the invariants of one state.
void check_invariants(const Core::State& state);
/// CHECKs what one event may change.
void check_transition(const Milestone& before, const Core::State& after);

}  // namespace raftd::raft
