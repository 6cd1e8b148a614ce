// A snapshot at S (always an archive's end) and the directory `snapshot/` that holds it: the archives of the
// log up to S, the replicated state at S, and a manifest that names them. The rename of CURRENT is the commit
// point: before it the older snapshot (or the genesis) is in force, behind it the new one; whatever CURRENT
// doesn't lead to is a leftover (H11). Byte formats: docs/formats.md. Blocking: at a start, or in jobs.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/seam.h"
#include "snapshot/archive.h"
#include "snapshot/manifest.h"
#include "snapshot/state_file.h"

namespace raftd::snapshot {

/// A configuration as the log had it: both halves while it was joint, and who its members are.
struct SnapshotConfig {
    Index index{};
    Membership membership;
    std::vector<GenesisMember> infos;  // by id
};

/// Format 2 of a manifest; format 1 is a genesis (data_dir.h), which stays beside it for good.
struct SnapshotManifest {
    ClusterId cluster_id;
    std::string cluster_name;
    std::string genesis_name;  // file of the genesis' manifest, and the hash of its bytes
    uint64_t genesis_hash = 0;
    std::vector<Seam> seams;              // oldest first; the last one is this cluster's own
    LogPoint at;                          // the log behind S
    uint64_t revision = 0;                // of the snapshot at this S: fewer archives after a trim
    uint32_t feature_level = 1;           // at S
    std::vector<SnapshotConfig> configs;  // the newest ones up to S, all committed; at least one
    std::set<NodeId> used_ids;
    StateFileInfo state;
    std::vector<ArchiveInfo>
        archives;  // in order, each going on where the one before ends; the last ends at S

    /// `manifest-S.json`, or with the revision behind.
    std::string name() const;
    /// Where the log goes on behind an archive that ends at `end`: there, over a seam where one is.
    LogPoint behind(const LogPoint& end) const { return over(seams, end); }
    /// The log before the first entry that archives hold.
    const LogPoint& begin() const { return archives.front().before; }
};
/// The last seam of a cluster with this genesis; nothing: it wasn't restored.
std::optional<Seam> seam_of(const Manifest& genesis);
std::string encode_snapshot(const SnapshotManifest& manifest);
/// Errors: damaged (not what encode_snapshot writes, or parts that contradict each other), too_new.
Result<SnapshotManifest> parse_snapshot(std::string_view text);

/// What CURRENT leads to.
struct Current {
    std::string name;  // of the manifest in force
    Manifest genesis;
    std::string genesis_name;
    std::optional<SnapshotManifest> snapshot;
    std::string meant{};  // what CURRENT should say: one byte of it is wrong; empty: it says that
    /// Where the log above begins.
    LogPoint base() const { return snapshot ? snapshot->at : empty_base(genesis); }
};
/// `snapshots`: the directory. Errors: damaged, too_new, io.
Result<Current> read_current(io::Files& files, const std::string& snapshots);
/// The same of a member's own directory, where one wrong byte of CURRENT can be put right: `meant` says it.
Result<Current> read_current_as_meant(io::Files& files, const std::string& snapshots);
/// Writes CURRENT anew if a byte of it is wrong, synced. Errors: io.
Result<void> mend_current(io::Files& files, const std::string& snapshots, const Current& current);

/// Puts `manifest` in force. Its archives and state file must be there under their names, synced; their names
/// needn't be. Kept when this returns well; an error leaves what was in force. Errors: io.
Result<void> put_in_force(io::Files& files, const std::string& snapshots, const SnapshotManifest& manifest);

/// Names of our files that `current` doesn't lead to, but for `keep`. Errors: io.
Result<std::vector<std::string>> find_leftovers(io::Files& files, const std::string& snapshots,
                                                const Current& current,
                                                const std::set<std::string>& keep = {});
/// Removes them. Returns how many files went. Errors: io.
Result<uint32_t> remove_leftovers(io::Files& files, const std::string& snapshots, const Current& current,
                                  const std::set<std::string>& keep = {});

}  // namespace raftd::snapshot
