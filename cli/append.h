// `raftctl append`: records from arguments, files or standard input, in order; prints their LSNs as they
// commit. By a producer, so that what a lost connection leaves in doubt lands once; `--resolve` asks what
// became of a batch when even that couldn't be found out.
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
    std::string producer;              // --producer: by name; empty: one of this run alone
    bool resume = false;               // --resume: passes over the records that the producer has appended
    bool no_producer = false;          // --no-producer
    uint64_t expect_lsn = 0;           // --expect-lsn: of the first record
    std::string resolve;               // --resolve PRODUCER:SEQUENCE: nothing is appended
};
Exit append(const Context& context, const AppendOptions& options);
/// `append --resolve`: done when it is committed, not_found when it never will be, unknown while nobody can
/// tell.
Exit resolve(const Context& context, const std::string& what);

}  // namespace raftd::cli
