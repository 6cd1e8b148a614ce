// Majorities, as pure arithmetic. While a configuration is joint both halves must agree (thesis 4.3),
// learners never count, and somebody who isn't in a set doesn't count there.
#pragma once

#include <cstdint>
#include <span>

#include "base/membership.h"

namespace raftd::raft {

inline constexpr size_t kVotersMax = 64;  // far above what may_change admits; bounds the work space

/// The greatest value that a majority of `values` reaches; UINT64_MAX of none. Reorders them.
uint64_t majority_reaches(std::span<uint64_t> values);

/// The greatest value that a majority of the voters of each half reaches. `value_of(NodeId) -> uint64_t`.
template <class ValueOf>
uint64_t quorum_reaches(const Membership& membership, ValueOf value_of) {
    uint64_t values[kVotersMax];
    uint64_t reached = UINT64_MAX;
    for (const auto* half : {&membership.now, &membership.next}) {
        size_t count = 0;
        for (const Member& member : *half)
            if (!member.learner && count < kVotersMax) values[count++] = value_of(member.id);
        const uint64_t here = majority_reaches({values, count});
        if (here < reached) reached = here;
    }
    return reached == UINT64_MAX ? 0 : reached;  // a configuration without voters decides nothing
}

enum class Tally : uint8_t { open, won, lost };

/// `answer_of(NodeId) -> int`: 1 granted, -1 refused, 0 not heard.
template <class AnswerOf>
Tally tally(const Membership& membership, AnswerOf answer_of) {
    auto value = [&](int sign) {
        return quorum_reaches(membership,
                              [&](NodeId id) -> uint64_t { return answer_of(id) == sign ? 0 : 1; });
    };
    if (quorum_reaches(membership, [&](NodeId id) -> uint64_t { return answer_of(id) == 1 ? 1 : 0; }) == 1)
        return Tally::won;
    // Lost when a majority can't be reached any more in one half: those not refusing are too few there.
    return value(-1) == 0 ? Tally::lost : Tally::open;
}

/// In the configuration, in either half, as anything.
bool is_member(const Membership& membership, NodeId id);
/// Votes in either half.
bool is_voter(const Membership& membership, NodeId id);
/// What both halves say of it; `next` wins.
const Member* member_of(const Membership& membership, NodeId id);

/// The voters alone, in order.
std::vector<NodeId> voters_of(const std::vector<Member>& members);
/// Those of both halves, each once.
std::vector<NodeId> voters_of(const Membership& membership);
/// Ids rise and aren't 0, each half has a voter and at most kVotersMax members, only learners wait to be
/// promoted.
bool well_formed(const Membership& membership);
/// Whether `after` may come directly behind `before`: C_old to a joint one, a joint one to its C_new, or a
/// change that leaves the voters as they are (thesis 4.3).
bool may_follow(const Membership& before, const Membership& after);

}  // namespace raftd::raft
