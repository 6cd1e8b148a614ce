// `raftctl init`: makes a cluster: cluster.toml and, for each member, a folder with settings and a whole data
// directory.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "conf/settings.h"

namespace raftd::cli {

struct InitOptions {
    std::string folder;
    uint32_t nodes = 3;  // voters
    uint32_t learners = 0;
    uint32_t base_port = 7101;  // of peers; clients are 100 above
    std::string host = "127.0.0.1";
    std::vector<std::string> members;  // NAME=HOST:PORT; then the four above are void
    uint32_t min_members = 0;          // known before the first election; 0: no such rule
    uint32_t max_members = 0;          // that there may ever be; 0: no such rule
};
/// `nodes` voters and `learners` on this machine, with ids from 1 and ports that are free now. Errors:
/// bad_input, conflict (no port is free).
Result<void> add_local_members(const InitOptions& options, conf::ClusterSpec& spec);
Exit init(const Context& context, const InitOptions& options);

}  // namespace raftd::cli
