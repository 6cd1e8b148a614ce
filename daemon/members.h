// Who belongs to the cluster, with names, addresses and incarnations: what a membership entry carries beside
// the core's part. Follows the log as the core does: a configuration is in force as soon as it is appended,
// and goes with a truncation (thesis 4.1). Pure. Loop thread only.
#pragma once

#include <deque>
#include <vector>

#include "snapshot/configuration.h"

namespace raftd::daemon {

using MemberInfo = snapshot::MemberInfo;
using MemberInfos = snapshot::MemberInfos;
using Configuration = snapshot::Configuration;
using snapshot::configuration_at;
using snapshot::decode_configuration;
using snapshot::encode_configuration;
using snapshot::genesis_configuration;

/// The configurations of the log: the newest is in force.
class Members {
public:
    /// `configs`: the base's first, then each of the log, in order.
    explicit Members(std::vector<Configuration> configs);

    void push(Configuration config);
    /// One that had been damaged in the log; nothing when it is here, or no longer matters.
    void insert(Configuration config);
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
