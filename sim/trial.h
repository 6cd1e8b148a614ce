// One run of the simulator: a cluster with clients under the faults of a seed, then healed and made to
// converge. The same seed, profile and options give the same run, event by event (`hash`).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "sim/change.h"
#include "sim/knobs.h"

namespace raftd::sim {

struct TrialOptions {
    uint64_t seed = 1;
    Profile profile = Profile::swarm;
    uint32_t members = 0;            // 0: drawn
    std::optional<Duration> length;  // of the phase with faults; else drawn
    bool trace = false;
};

struct TrialResult {
    Ending ending = Ending::pass;
    std::string text;  // why it failed
    std::string knobs, dumps;
    uint64_t hash = 0, events = 0, elections = 0, committed = 0, acked = 0, restarts = 0;
    Duration virtual_time{};
    Reached reached;
    NetTotals net;
    std::map<std::string, uint64_t> faults;
    ChangeTotals changes;
};

/// Never throws: what goes wrong is in the result.
TrialResult run_trial(const TrialOptions& options);

}  // namespace raftd::sim
