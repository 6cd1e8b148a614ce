#include "raft/quorum.h"

#include <algorithm>

namespace raftd::raft {

uint64_t majority_reaches(std::span<uint64_t> values) {
    if (values.empty()) return UINT64_MAX;
    // Descending, position n/2 (from 0) is the smallest of the n/2 + 1 best.
    std::sort(values.begin(), values.end(), [](uint64_t a, uint64_t b) { return a > b; });
    return values[values.size() / 2];
}

bool is_member(const Membership& membership, NodeId id) {
    auto named = [&](const Member& member) { return member.id == id; };
    return std::any_of(membership.now.begin(), membership.now.end(), named) ||
           std::any_of(membership.next.begin(), membership.next.end(), named);
}

bool is_voter(const Membership& membership, NodeId id) {
    auto votes = [&](const Member& member) { return member.id == id && !member.learner; };
    return std::any_of(membership.now.begin(), membership.now.end(), votes) ||
           std::any_of(membership.next.begin(), membership.next.end(), votes);
}

const Member* member_of(const Membership& membership, NodeId id) {
    for (const auto* half : {&membership.next, &membership.now})
        for (const Member& member : *half)
            if (member.id == id) return &member;
    return nullptr;
}

std::vector<NodeId> voters_of(const std::vector<Member>& members) {
    std::vector<NodeId> voters;
    for (const Member& member : members)
        if (!member.learner) voters.push_back(member.id);
    return voters;
}

std::vector<NodeId> voters_of(const Membership& membership) {
    std::vector<NodeId> voters = voters_of(membership.now);
    for (NodeId id : voters_of(membership.next))
        if (std::find(voters.begin(), voters.end(), id) == voters.end()) voters.push_back(id);
    std::sort(voters.begin(), voters.end());
    return voters;
}

bool well_formed(const Membership& membership) {
    auto good = [](const std::vector<Member>& half) {
        NodeId before{};
        bool voter = false;
        for (const Member& member : half) {
            if (member.id <= before || (member.promote && !member.learner)) return false;
            before = member.id;
            voter = voter || !member.learner;
        }
        return voter && half.size() <= kVotersMax;
    };
    return good(membership.now) && (!membership.joint() || good(membership.next));
}

bool may_follow(const Membership& before, const Membership& after) {
    if (before.joint()) return !after.joint() && after.now == before.next;
    if (after.joint()) return after.now == before.now;
    return voters_of(after.now) == voters_of(before.now);
}

}  // namespace raftd::raft
