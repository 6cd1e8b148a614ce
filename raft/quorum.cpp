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

}  // namespace raftd::raft
