// What `member replace` asks the cluster for, step by step: the new one beside the old one as a learner, then
// in its place. A call that was cut short is gone on with by the next one, whatever it had come to. Pure.
#pragma once

#include <string>

#include "cli/membership.h"
#include "conf/load.h"

namespace raftd::cli {

/// Whether somebody of this name votes, as far as it isn't `fresh`.
bool voter_before(const pb::MemberList& list, const std::string& name, uint64_t fresh);
/// The list with `fresh` as a learner. Learners of its name go: one that is to be replaced, or that an
/// earlier call made and that isn't there any more.
Wanted with_learner(const pb::MemberList& list, const pb::MemberInfo& fresh);
/// Nobody else of its name is left; it votes if `votes`.
Wanted in_its_place(const pb::MemberList& list, const std::string& name, uint64_t fresh, bool votes);
/// The member of this name in the file was made by an earlier call: it isn't in the cluster yet, or beside
/// who it is to replace.
bool made_before(const pb::MemberList& list, const conf::MemberSpec& known);

}  // namespace raftd::cli
