// `raftctl bench failover`: how long nobody is answered when the leader falls silent, is killed, or hands
// over.
#pragma once

#include "cli/command.h"

namespace raftd::cli {

struct BenchFailoverOptions {
    uint32_t silent = 20, kills = 20, transfers = 20;  // how often each
    uint32_t rate = 500;  // appends a second, sent when due whatever is under way
};
/// Stops, kills and restarts members of this machine, one at a time, while appending; each time waits until
/// all members are back. Times are told in units of T, the leader's election timeout. Errors: degraded (a
/// member is missing), bad_input (the leader isn't on this machine), unavailable (no answer for 30 T).
Exit bench_failover(const Context& context, const BenchFailoverOptions& options);

}  // namespace raftd::cli
