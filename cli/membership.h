// The cluster's members as its leader has them, and the one way to change them: from the list as it is to the
// members wanted, over leader changes, until the change is settled. What `member ...` commands are made of.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/discover.h"
#include "cli/view.h"
#include "client/member_list.h"

namespace raftd::cli {

using client::members_of;
using client::Wanted;

/// Asks whoever leads; waits for a leader, at most the global time-out. Errors: unavailable, unreachable, and
/// what the leader answers.
Result<pb::Answer> ask_leader(const Context& context, const Found& found, const pb::Request& request);
/// Once no change is under way. Errors as above.
Result<pb::MemberList> settled_members(const Context& context, const Found& found);

/// Makes the cluster's members those that `wanted` makes of the list as it is. Asked again when the list has
/// changed under its hands (by somebody else, or by a request of its own whose answer was lost); an empty
/// change is done at once. A learner that is to be promoted counts as done once it votes. Errors: what
/// `wanted` or the leader says; unavailable after a time-out without progress.
Result<pb::MemberList> change_members(const Context& context, const Found& found,
                                      const std::function<Result<Wanted>(const pb::MemberList&)>& wanted);
/// What a change asks of the cluster: the leader's answer, as ask_leader(), and a look at all members.
struct ClusterAccess {
    std::function<Result<pb::Answer>(const pb::Request&)> ask;
    std::function<ClusterView()> look;
};
/// The same over any cluster.
Result<pb::MemberList> change_members(const Context& context, const ClusterAccess& cluster,
                                      const std::function<Result<Wanted>(const pb::MemberList&)>& wanted);
/// Until the leader says that the member holds (nearly) all of its log. Errors: unavailable.
Result<void> wait_caught_up(const Context& context, const Found& found, uint64_t id, const std::string& name);

/// Brings cluster.toml in step with the list, as text. `data`: folders of members new to the file.
Result<void> update_cluster_file(const Found& found, const pb::MemberList& list,
                                 const std::vector<std::pair<uint64_t, std::string>>& data = {});

/// The list on standard output, as text or one document.
void print_members(const Context& context, const pb::MemberList& list);
/// How a command that changed the members ends: cluster.toml, one line, the list for programs.
Exit finish_change(const Context& context, const Found& found, const pb::MemberList& list,
                   const std::vector<std::pair<uint64_t, std::string>>& data = {});
/// fail(), or 130 after Ctrl-C.
Exit fail_change(const Context& context, const Error& why);
Error no_such_member(const pb::MemberList& list, const std::string& name);

const pb::MemberInfo* find_name(const pb::MemberList& list, const std::string& name);

}  // namespace raftd::cli
