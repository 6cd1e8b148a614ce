#include "daemon/membership_plan.h"

#include <algorithm>

#include "raft/quorum.h"

namespace raftd::daemon {
namespace {

bool holds(const std::vector<Member>& members, NodeId id) {
    return std::any_of(members.begin(), members.end(), [&](const Member& member) { return member.id == id; });
}

PlanStep step_to(PlanStep::Kind kind, Membership after) {
    PlanStep step{kind, std::move(after), {}, 0};
    for (const auto* half : {&step.after.now, &step.after.next}) {
        const size_t voters = raft::voters_of(*half).size();
        if (!half->empty()) step.halves.push_back({voters, voters / 2 + 1});
    }
    step.any_failures = SIZE_MAX;
    for (const PlanStep::Half& half : step.halves)
        step.any_failures = std::min(step.any_failures, half.voters - half.majority);
    return step;
}

/// The present members, and whoever of the wanted is new, as a learner. A learner that is there stays what it
/// is.
std::vector<Member> with_learners(const Membership& from, const Membership& to) {
    std::vector<Member> members = from.now;
    for (Member member : to.now) {
        if (holds(from.now, member.id)) continue;
        member.learner = true;
        member.promote = false;  // the joint step makes it a voter
        members.push_back(member);
    }
    std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) { return a.id < b.id; });
    return members;
}

/// The voters of the first half in which too few are up.
std::vector<NodeId> missing_voters(const Membership& members, const std::set<NodeId>& up) {
    for (const auto* half : {&members.now, &members.next}) {
        const std::vector<NodeId> voters = raft::voters_of(*half);
        std::vector<NodeId> missing;
        for (NodeId id : voters)
            if (up.count(id) == 0) missing.push_back(id);
        if (!voters.empty() && voters.size() - missing.size() < voters.size() / 2 + 1) return missing;
    }
    return {};
}

std::optional<Plan::Refused> wrong_from_the_start(const Membership& from, const Membership& to,
                                                  const PlanGiven& given) {
    if (from.joint()) return Plan::Refused{0, raft::Refusal::in_progress, {}};
    if (to.joint() || !raft::well_formed(to)) return Plan::Refused{0, raft::Refusal::malformed, {}};
    const size_t voters = raft::voters_of(to).size();
    if ((voters > given.voters_max && voters > raft::voters_of(from).size()) ||
        (to.now.size() > given.members_max && to.now.size() > from.now.size()))
        return Plan::Refused{0, raft::Refusal::too_many, {}};
    std::vector<NodeId> used;
    for (const Member& member : to.now)
        if (!holds(from.now, member.id) && member.id <= given.ids_used_upto) used.push_back(member.id);
    if (!used.empty()) return Plan::Refused{0, raft::Refusal::id_used, used};
    return std::nullopt;
}

/// Why the step can't be taken, as things are.
std::optional<Plan::Refused> refusal(const PlanStep& step, size_t number, const Membership& before,
                                     const PlanGiven& given) {
    if (step.kind == PlanStep::Kind::joint) {
        std::vector<NodeId> absent;  // a voter that never catches up would hold up every decision
        for (NodeId id : raft::voters_of(step.after.next))
            if (!raft::is_voter(before, id) && given.up.count(id) == 0) absent.push_back(id);
        if (!absent.empty()) return Plan::Refused{number, raft::Refusal::not_caught_up, absent};
    }
    for (const Membership* members : {&before, &step.after}) {
        const std::vector<NodeId> missing = missing_voters(*members, given.up);
        if (!missing.empty()) return Plan::Refused{number, raft::Refusal::would_lose_quorum, missing};
    }
    return std::nullopt;
}

}  // namespace

Plan plan(const Membership& from, const Membership& to, const PlanGiven& given) {
    using Kind = PlanStep::Kind;
    Plan result;
    result.refused = wrong_from_the_start(from, to, given);
    if (result.refused || from.now == to.now) return result;
    std::vector<PlanStep> steps;
    if (raft::voters_of(from.now) == raft::voters_of(to.now)) {
        steps.push_back(step_to(Kind::settle, {to.now, {}, false}));
    } else {
        std::vector<Member> all = with_learners(from, to);
        if (all != from.now) steps.push_back(step_to(Kind::add_learners, {all, {}, false}));
        steps.push_back(step_to(Kind::joint, {all, to.now, true}));
        steps.push_back(step_to(Kind::leave_joint, {to.now, {}, false}));
    }
    const Membership* before = &from;
    for (PlanStep& step : steps) {
        result.refused = refusal(step, result.steps.size(), *before, given);
        result.steps.push_back(step);
        if (result.refused) break;
        before = &step.after;
    }
    return result;
}

bool survives(const Membership& members, std::span<const NodeId> lost) {
    return raft::quorum_reaches(members, [&](NodeId id) -> uint64_t {
               return std::find(lost.begin(), lost.end(), id) == lost.end() ? 1 : 0;
           }) == 1;
}

std::vector<std::vector<NodeId>> greatest_losses(const Membership& members) {
    const std::vector<NodeId> voters = raft::voters_of(members);
    auto chosen = [&](uint32_t mask) {
        std::vector<NodeId> out;
        for (size_t at = 0; at < voters.size(); ++at)
            if ((mask >> at & 1) != 0) out.push_back(voters[at]);
        return out;
    };
    std::vector<std::vector<NodeId>> greatest;
    for (uint32_t mask = 0; mask < (1u << voters.size()); ++mask) {
        if (!survives(members, chosen(mask))) continue;
        bool more = false;  // whether one more could be lost
        for (size_t at = 0; at < voters.size() && !more; ++at)
            more = (mask >> at & 1) == 0 && survives(members, chosen(mask | 1u << at));
        if (!more) greatest.push_back(chosen(mask));
    }
    std::sort(greatest.begin(), greatest.end());
    return greatest;
}

}  // namespace raftd::daemon
