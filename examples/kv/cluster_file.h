// Where a cluster is: what `raftctl init` wrote into its folder.
#pragma once

#include <string>

#include "client/types.h"

namespace kv {

/// `path`: the cluster's folder, or its cluster.toml. Gives the members' addresses and the cluster's id.
/// Errors: bad_input.
raftd::Result<raftd::client::SessionOptions> read_cluster(const std::string& path);

}  // namespace kv
