// A new cluster of one member from what a stopped member holds: what `recover` does to files. Over io::Files,
// so that a test can cut the power at any call. Blocking.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "snapshot/configuration.h"

namespace raftd::cli {

/// A stopped member, read whole and checked.
struct Survivor {
    snapshot::DataDir dir;
    snapshot::Configuration config;  // the newest in its log, committed or not
    LogPoint last;                   // behind the last entry
    Lsn first_lsn{};                 // of the records that are there
    NodeId next_id{};                // above every id that was ever used
    std::vector<std::string> notes;  // survived damage that cost nothing
    const snapshot::MemberInfo& self() const { return config.infos.at(dir.identity.id); }
};
/// Checks every entry of archives and log and changes nothing. `go_on` is asked before each archive. Errors:
/// all that leaves a doubt, with words: not_found, damaged, conflict (half-made, foreign, removed from its
/// cluster, interrupted while a snapshot came), too_new, io; failed (go_on said so).
Result<Survivor> examine_survivor(
    io::Files& files, const std::string& data_dir,
    const std::function<bool(size_t archive)>& go_on = [](size_t) { return true; });

/// Less: who it is, and the newest configuration of its log; no entry is read but those of the members.
Result<Survivor> look_at_members(io::Files& files, const std::string& data_dir);

struct NewCluster {
    ClusterId id;             // not the old one's
    Incarnation incarnation;  // of its only member
    uint64_t salt_seed = 0;
    std::string folder;                     // of cluster.toml and the member's folder; must not exist
    std::string cluster_toml, member_toml;  // the content of cluster.toml and of the member's raftd.toml
    /// Asked now and then, with the last entry that was written: false ends it all (Errc::failed).
    std::function<bool(Index)> go_on = [](Index) { return true; };
    /// Called once the unfinished folder is this call's own: if an error follows, what lies there may go.
    std::function<void()> begun = [] {};
};
/// The name that the folder has until all is there; a crash leaves it behind.
std::string unfinished(const NewCluster& cluster);
/// Makes the folder of a cluster of one member, named as the survivor was, with id survivor.next_id. Its log
/// has all entries of the survivor, at their places and with their LSNs, behind a genesis of the new cluster,
/// and last a configuration of that member alone. Of one with a snapshot the genesis stands at its S, as in a
/// restored cluster: the archives and the state are taken over, and the log begins behind them. The chain is
/// made anew, so nothing of the old cluster fits it. After a crash at any point the folder is there whole, or
/// isn't there. Errors: as above; conflict (the folder exists, or what an interrupted call left).
Result<void> make_new_cluster(io::Files& files, const Survivor& survivor, const NewCluster& cluster);

}  // namespace raftd::cli
