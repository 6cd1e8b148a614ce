#include "cli/replacement.h"

#include <algorithm>

namespace raftd::cli {

bool voter_before(const pb::MemberList& list, const std::string& name, uint64_t fresh) {
    return std::any_of(list.members().begin(), list.members().end(), [&](const pb::MemberInfo& member) {
        return member.name() == name && member.id() != fresh && member.voter();
    });
}

Wanted with_learner(const pb::MemberList& list, const pb::MemberInfo& fresh) {
    Wanted target = members_of(list);
    auto is_fresh = [&](const pb::MemberInfo& member) { return member.id() == fresh.id(); };
    if (std::any_of(target.begin(), target.end(), is_fresh)) return target;
    std::erase_if(target, [&](const pb::MemberInfo& member) {
        return member.name() == fresh.name() && !member.voter();
    });
    target.push_back(fresh);
    return target;
}

Wanted in_its_place(const pb::MemberList& list, const std::string& name, uint64_t fresh, bool votes) {
    Wanted target = members_of(list);
    std::erase_if(
        target, [&](const pb::MemberInfo& member) { return member.name() == name && member.id() != fresh; });
    for (pb::MemberInfo& member : target)
        if (member.id() == fresh && votes) member.set_voter(true);
    return target;
}

bool made_before(const pb::MemberList& list, const conf::MemberSpec& known) {
    if (raw(known.id) >= list.next_id()) return true;
    bool learns = false;
    for (const pb::MemberInfo& member : list.members())
        learns |= member.id() == raw(known.id) && !member.voter();
    return learns && voter_before(list, known.name, raw(known.id));
}

}  // namespace raftd::cli
