#include "client/member_list.h"

#include <algorithm>

namespace raftd::client {
namespace {

bool same(const pb::MemberInfo& a, const pb::MemberInfo& b) {
    return a.id() == b.id() && a.name() == b.name() && a.peer() == b.peer() && a.client() == b.client() &&
           a.voter() == b.voter() && a.priority() == b.priority() && a.promote() == b.promote();
}

}  // namespace

Wanted members_of(const pb::MemberList& list) { return {list.members().begin(), list.members().end()}; }

bool equal(const pb::MemberList& list, const Wanted& wanted) {
    return static_cast<size_t>(list.members_size()) == wanted.size() &&
           std::all_of(wanted.begin(), wanted.end(), [&](const pb::MemberInfo& member) {
               return std::any_of(list.members().begin(), list.members().end(),
                                  [&](const pb::MemberInfo& other) { return same(member, other); });
           });
}

bool reached(const pb::MemberList& list, Wanted wanted) {
    for (pb::MemberInfo& member : wanted)
        if (member.promote()) member.set_voter(true), member.set_promote(false);
    return list.settled() && equal(list, wanted);
}

}  // namespace raftd::client
