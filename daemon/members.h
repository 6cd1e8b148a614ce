// Who belongs to the cluster, with names, addresses and incarnations: what a membership entry carries beside
// the core's part. Follows the log as the core does: a configuration is in force as soon as it is appended,
// and goes with a truncation (thesis 4.1). Pure. Loop thread only. Byte diagram of the body: docs/formats.md.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/membership.h"
#include "snapshot/data_dir.h"

namespace raftd::daemon {

/// A member as the configuration names it. Its (id, incarnation) never changes; the rest may.
using MemberInfo = snapshot::GenesisMember;
using MemberInfos = std::map<NodeId, MemberInfo>;

struct Configuration {
    Index index{};  // of its entry; 0: the genesis
    Membership membership;
    MemberInfos infos;  // of exactly the members of `membership`, both halves
};

std::vector<std::byte> encode_configuration(const Membership& membership, const MemberInfos& infos);
/// Nothing when it isn't whole, breaks a bound, or lacks somebody's info. The index is the entry's.
std::optional<Configuration> decode_configuration(Index index, ByteView body);
Configuration genesis_configuration(const snapshot::Manifest& manifest);
/// In force where the log begins: the newest at or below `base` that a start knows of.
Configuration configuration_at(const snapshot::Current& current, Index base);

/// The configurations of the log: the newest is in force.
class Members {
public:
    /// `configs`: the base's first, then each of the log, in order.
    explicit Members(std::vector<Configuration> configs);

    void push(Configuration config);
    void cut_after(Index index);
    /// The log was replaced by a snapshot, which has this one.
    void replace(Configuration config);
    /// What lies below the newest configuration at or below `upto` can't come back.
    void committed(Index upto);
    const Configuration& in_force() const { return configs_.back(); }
    /// The newest configuration that is committed.
    const Configuration& settled() const { return configs_.front(); }
    /// Rises whenever another one comes into force.
    uint64_t version() const { return version_; }

    /// Infos of members that a proposed change would bring in.
    void propose(MemberInfos infos) { proposed_ = std::move(infos); }
    /// Of the members of a configuration to be appended: as proposed, else as in force.
    MemberInfos infos_for(const Membership& membership) const;

private:
    std::deque<Configuration> configs_;
    MemberInfos proposed_;
    uint64_t version_ = 1;
};

}  // namespace raftd::daemon
