// Stable one-line texts of events, messages, outputs and views: one vocabulary for golden scripts, simulator
// traces, the black box and `raftctl debug`. An entry is written index@term, a member n1, a write #3.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raft/core.h"

namespace raftd::raft {

std::string text(NodeId id);
std::string text(EntryId id);
std::string text(Role role);
std::string text(FollowerMode mode);
std::string text(Refusal refusal);
/// `{1 2 3}`, `{1 2 3}->{3 4 5}` while joint; a learner is `4?`.
std::string text(const Membership& membership);
/// Runs of one term: `[2..4@1 5@3]`.
std::string text(std::span<const EntryMeta> entries);
std::string text(const msg::Any& message);
std::string text(const Event& event);
/// One line a part, in the order the caller performs them; commit and durable last.
std::vector<std::string> text(const Output& output);
std::string text(const View& view);

}  // namespace raftd::raft
