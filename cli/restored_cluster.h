// The folder of a cluster that begins with what was saved: what `snapshot restore` does to files. Over
// io::Files, so that a test can cut the power at any call. Blocking.
#pragma once

#include "conf/settings.h"
#include "snapshot/restore.h"

namespace raftd::cli {

struct RestoredCluster {
    std::string folder;        // of cluster.toml and the members' folders; must not exist, or be empty
    conf::ClusterSpec spec;    // its id is not the saved one's; members with `data` are made here
    std::string cluster_toml;  // the content of the file
    std::optional<snapshot::Cut> cut;
    int level = 1;           // of zstd, where an archive is cut
    uint64_t salt_seed = 0;  // of the logs
    std::function<bool()> go_on = [] { return true; };
    /// Called once the unfinished folder is this call's own: if an error follows, what lies there may go.
    std::function<void()> begun = [] {};
};
/// What the members of `spec` are in the genesis.
std::vector<snapshot::GenesisMember> genesis_members(const conf::ClusterSpec& spec);
/// Moves ids that the saved cluster used behind them, all by the same number; true when any was.
bool raise_ids(conf::ClusterSpec& spec, NodeId next_id);
/// After a crash at any point the folder is there whole, or isn't there. Requires: saved.verify() returned
/// well. Errors: conflict (the folder has something in it, or another call makes it or left a part),
/// bad_input (a member's folder isn't one in it, or no member is on this machine), damaged, io, failed (go_on
/// said so).
Result<snapshot::Restored> make_restored_cluster(io::Files& files, const snapshot::Saved& saved,
                                                 const RestoredCluster& cluster);

}  // namespace raftd::cli
