// `raftctl snapshot`: take one on all members and compare them, list what a member has, look at files.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/discover.h"
#include "proto/control.pb.h"

namespace raftd::cli {

struct SnapshotOptions {
    std::vector<std::string> nodes;  // take: empty: all
    std::string node;                // list
    std::vector<std::string> files;  // inspect, verify; empty: those of all local members
};
Exit snapshot_take(const Context& context, const SnapshotOptions& options);
/// Archives that begin at one entry and aren't the same on all of these members (H13), one line each:
/// "n1 has 1-20 35c4…, n2 has 1-20 77aa…".
std::vector<std::string> archive_differences(const std::vector<pb::Snapshots>& members);
Exit snapshot_list(const Context& context, const SnapshotOptions& options);

/// Asks the leader to end the open archive everywhere. The entry that snapshots will then stand at, or later;
/// 0: nothing was appended yet.
Result<uint64_t> begin_snapshot(const Context& context, const Found& found);

// cli/snapshot_save.cpp
struct SaveOptions {
    std::string file;  // `-`: standard output
    std::string node;  // of this member; empty: whoever answers
    bool force = false;
};
Exit snapshot_save(const Context& context, const SaveOptions& options);

// cli/restore.cpp
struct RestoreOptions {
    std::string file, folder;
    uint32_t nodes = 0;  // 0: as many voters as were saved, unless `config` says
    std::string config;  // a cluster.toml
    std::string to;      // LSN or @TIME; empty: all
    uint16_t base_port = 7101;
};
Exit snapshot_restore(const Context& context, const RestoreOptions& options);

// cli/snapshot_files.cpp
Exit snapshot_inspect(const Context& context, const SnapshotOptions& options);
Exit snapshot_verify(const Context& context, const SnapshotOptions& options);

}  // namespace raftd::cli
