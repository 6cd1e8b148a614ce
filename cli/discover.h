// Finds the cluster that a command means. First hit wins and nothing else is ever tried: --endpoint,
// --cluster, $RAFTCTL_ENDPOINTS, $RAFTCTL_CLUSTER, then cluster.toml in the working folder and its parents.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "conf/settings.h"

namespace raftd::cli {

struct Found {
    std::vector<std::string> endpoints;     // HOST:PORT of members' client listeners
    std::string origin;                     // "--endpoint", "./cluster.toml", ... for -v
    std::optional<conf::ClusterSpec> spec;  // when a cluster.toml was found
    std::string folder;                     // of that cluster.toml
    std::string file;
};
/// Says with -v which source won. Errors: not_found (with how to name a cluster), bad_input.
Result<Found> find_cluster(const Context& context);
/// The same, for commands on local members: needs a cluster.toml.
Result<Found> find_local_cluster(const Context& context);
/// The path of that cluster.toml alone, which may be unreadable or wrong.
Result<std::string> find_cluster_file(const Context& context);

}  // namespace raftd::cli
