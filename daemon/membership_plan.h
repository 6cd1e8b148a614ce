// What a change of members goes through, worked out before anything is done: the configurations one after the
// other, what each needs for a decision, and which failures it survives. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/membership.h"
#include "raft/step.h"

namespace raftd::daemon {

struct PlanStep {
    enum class Kind : uint8_t {
        add_learners,  // who is new receives the log first, and counts nowhere
        joint,         // C_old,new: both halves decide
        leave_joint,   // C_new
        settle,        // the voters stay as they are: one entry
    } kind;
    Membership after;  // in force once the step is done
    struct Half {
        size_t voters, majority;
    };
    std::vector<Half> halves;  // one, or two while joint
    size_t any_failures;       // of voters that may be lost, whoever they are
};

struct Plan {
    std::vector<PlanStep> steps;  // none: nothing is to be done
    struct Refused {
        size_t step;  // from 0; of `steps`, which ends with it
        raft::Refusal why;
        std::vector<NodeId> missing;  // the voters whose absence it is, or the ids that are wrong
    };
    std::optional<Refused> refused;
};

/// What is known of the members now.
struct PlanGiven {
    std::set<NodeId> up;     // answered within T, the leader among them; a new one: at its address
    NodeId ids_used_upto{};  // raft::Core::ids_used_upto()
    size_t voters_max = 9, members_max = 16;
};

/// From the configuration in force to the members wanted. Neither may be joint: a change that is under way
/// has to end first (Refusal::in_progress, malformed).
Plan plan(const Membership& from, const Membership& to, const PlanGiven& given);

/// Whether the rest can still decide when these are lost.
bool survives(const Membership& members, std::span<const NodeId> lost);
/// The largest sets of voters that may be lost together, each in order of id.
std::vector<std::vector<NodeId>> greatest_losses(const Membership& members);

}  // namespace raftd::daemon
