// `raftctl logs`: the daemons' logs of this machine's members, merged by time.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raftd::cli {

struct LogsOptions {
    std::vector<std::string> nodes;
    bool follow = false;
    uint64_t lines = 20;
};
Exit logs(const Context& context, const LogsOptions& options);

}  // namespace raftd::cli
