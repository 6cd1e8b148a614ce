// What tests of `recover` share: the plan of a new cluster, and the power cut at each of its disk calls.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "cli/new_cluster.h"
#include "sim/machine.h"

namespace raftd::cli {

/// From the data directory /old/data to the cluster folder `folder`.
NewCluster recover_plan(ClusterId id, const std::string& folder = "/new");

/// How often the new cluster was there after a cut.
struct PowerCuts {
    uint64_t whole = 0, absent = 0, calls = 0;
};
/// The power goes at the first disk call of a recovery, the second, ... until none is reached, `seeds` times
/// each; then the old directory is as it was, and the new one whole (`taken_over`) or not there.
PowerCuts cut_power_in_recovery(const sim::SimStorage& disk, ClusterId id, uint64_t seeds,
                                const std::function<void(io::Files&, const Survivor&)>& old_is_as_it_was,
                                const std::function<void(io::Files&)>& taken_over);

/// The new log's entries are the old one's in all but their chain, behind `at`. Then the cursor stands behind
/// them.
void expect_chained_anew(ByteView old_entries, EntryCursor& now, LogPoint at);

}  // namespace raftd::cli
