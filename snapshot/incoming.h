// A snapshot that is being brought here: its manifest, noted beside the files, so that a start between two
// parts of it knows them from leftovers. Gone once it is in force. Blocking: at a start, or in jobs.
#pragma once

#include <set>

#include "snapshot/snapshot_dir.h"

namespace raftd::snapshot {

inline constexpr const char* kIncoming = "incoming";

/// Replaces what was noted before. Errors: io.
Result<void> note_incoming(io::Files& files, const std::string& snapshots, const SnapshotManifest& manifest);
Result<void> forget_incoming(io::Files& files, const std::string& snapshots);
/// Names of the files that were fetched for it, or are to be, parts of them besides. Nothing noted, or
/// nothing that can be read: none.
std::set<std::string> incoming_files(io::Files& files, const std::string& snapshots);

}  // namespace raftd::snapshot
