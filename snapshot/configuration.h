// A configuration as its entry in the log carries it: the core's part, and names, addresses and incarnations
// beside it. Pure. Byte diagram of the body: docs/formats.md.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/membership.h"
#include "snapshot/data_dir.h"

namespace raftd::snapshot {

/// A member as the configuration names it. Its (id, incarnation) never changes; the rest may.
using MemberInfo = GenesisMember;
using MemberInfos = std::map<NodeId, MemberInfo>;

struct Configuration {
    Index index{};  // of its entry; 0: the genesis
    Membership membership;
    MemberInfos infos;  // of exactly the members of `membership`, both halves
};

std::vector<std::byte> encode_configuration(const Membership& membership, const MemberInfos& infos);
/// Nothing when it isn't whole, breaks a bound, or lacks somebody's info. The index is the entry's.
std::optional<Configuration> decode_configuration(Index index, ByteView body);
Configuration genesis_configuration(const Manifest& manifest);
/// In force where the log begins: the newest at or below `base` that a start knows of.
Configuration configuration_at(const Current& current, Index base);
/// Role and priority live in the core's part; the info repeats them for those who show members.
void take_roles(const std::vector<Member>& half, MemberInfos& infos);
/// Whether exactly the members of both halves have an info.
bool names_all(const Membership& membership, const MemberInfos& infos);

}  // namespace raftd::snapshot
