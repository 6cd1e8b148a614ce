// `raftctl append`: records from arguments, files or standard input, in order; prints their LSNs as they
// commit.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/format.h"

namespace raftd::cli {

struct AppendOptions {
    std::vector<std::string> records;  // arguments; with none: `files`, else standard input
    std::vector<std::string> files;    // --file
    Framing framing = Framing::lines;  // --format
    uint32_t batch = 0;                // --batch: records of one batch at most; 0: what one read returned
    Duration linger{};                 // --linger: how long a batch that isn't full waits for more
    uint32_t in_flight = 1024;         // --in-flight: batches
};
Exit append(const Context& context, const AppendOptions& options);

}  // namespace raftd::cli
