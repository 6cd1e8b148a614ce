// What a restore makes of a save: the data directory of a new cluster's member. It begins with a genesis at
// the saved S whose hash is the chain there (H14), and with a snapshot at S: the archives as they were saved,
// which end with the chain of the former cluster, and its state with the new members. All of it follows from
// the save and the plan alone, so that several machines make the same. With a cut, the log ends earlier:
// whole batches up to there, the last archive made anew, and a state without producers and cursors. Blocking;
// one thread.
#pragma once

#include <functional>
#include <optional>

#include "snapshot/saved.h"

namespace raftd::snapshot {

/// Up to where the log is wanted, both included.
struct RestoreUpto {
    enum class By : uint8_t { lsn, time_ms } by = By::lsn;
    uint64_t value = 0;
};
/// Where it ends then.
struct Cut {
    size_t archives = 0;  // kept whole
    LogPoint at;        // behind the last batch kept; it lies in the next archive, or ends the last one kept
    bool part = false;  // of the next one something is kept
};
/// Errors: not_found (trimmed, beyond the end, or nothing is as old), damaged, io.
Result<Cut> find_cut(const Saved& saved, const RestoreUpto& upto);

/// Above every member id that was ever used in the saved cluster. Errors: damaged, io.
Result<NodeId> next_id(const Saved& saved);

struct RestorePlan {
    ClusterId cluster_id;  // not the saved one's
    std::string cluster_name;
    std::vector<GenesisMember> members;  // by id, from next_id() on
    std::optional<Cut> cut;
    int level = 1;  // of zstd
    /// Asked now and then: false ends it all (Errc::failed).
    std::function<bool()> go_on = [] { return true; };
};
struct Restored {
    Manifest genesis;
    SnapshotManifest snapshot;
};
/// Makes `data_dir` (which must not exist, or be empty) for one member, whole and synced but for the log,
/// which begins behind Restored::snapshot.at in the term there. Requires: saved.verify() returned well.
/// Errors: conflict (not empty), bad_input (the member, or its id), damaged, io, failed.
Result<Restored> make_restored(io::Files& files, const std::string& data_dir, const Saved& saved,
                               const RestorePlan& plan, NodeId self);

}  // namespace raftd::snapshot
