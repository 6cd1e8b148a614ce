// `raftctl checkpoint put|get|list`: the application's state for a prefix of the log.
#pragma once

#include <string>

#include "cli/command.h"

namespace raftd::cli {

struct CheckpointOptions {
    std::string file;  // get: empty, standard output
    uint64_t upto = 0;
    bool trim = false;  // put: then the records up to there go
};
Exit checkpoint_put(const Context& context, const CheckpointOptions& options);
Exit checkpoint_get(const Context& context, const CheckpointOptions& options);
Exit checkpoint_list(const Context& context);

}  // namespace raftd::cli
