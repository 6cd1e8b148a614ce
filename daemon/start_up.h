// What a start makes of the settings, the data directory and the log it finds, before there is a node.
#pragma once

#include <vector>

#include "base/result.h"
#include "daemon/context.h"
#include "raft/options.h"
#include "wal/wal.h"

namespace raftd::daemon {

/// Of the log buffer.
uint32_t chunk_bytes_for(const conf::NodeSettings& settings);
std::vector<Seam> seams_in(const snapshot::DataDir& dir);
raft::Options core_options(const conf::NodeSettings& settings, const snapshot::Manifest& manifest);
/// The configuration where the log begins, then each in the log. Where that lies below the snapshot, the
/// snapshot's older configurations say: the oldest it has, if none is as old. What counts is decided by those
/// behind it: up to the snapshot's end (committed_in) all is committed, and all of them are in the log.
Result<std::vector<Configuration>> configs_of(const snapshot::Current& current, const wal::Recovered& found);
std::vector<ConfigAt> for_core(const std::vector<Configuration>& configs);
/// Up to where the log is known to be committed before anybody said so: the end of the newest snapshot.
Index committed_in(const snapshot::Current& current, Index last);
/// The settings name a member of a cluster; the directory must be that one's. Errors: conflict.
Result<void> check_owner(const snapshot::DataDir& dir, const NodeOptions& options);
/// Where this member is to be reached: as the configuration in force says, and one that no configuration
/// names yet as cluster.toml says. Errors: conflict (neither knows it).
Result<MemberInfo> own_place(const Context& context);

}  // namespace raftd::daemon
