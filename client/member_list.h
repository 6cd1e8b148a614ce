// Members as somebody wants them, held against the list that the leader has.
#pragma once

#include <vector>

#include "proto/control.pb.h"

namespace raftd::client {

using Wanted = std::vector<pb::MemberInfo>;

Wanted members_of(const pb::MemberList& list);
/// The same members with the same addresses, votes and priorities, in any order.
bool equal(const pb::MemberList& list, const Wanted& wanted);
/// Settled, and as wanted; who is to be promoted votes.
bool reached(const pb::MemberList& list, Wanted wanted);

}  // namespace raftd::client
