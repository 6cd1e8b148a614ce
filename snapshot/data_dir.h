// A member's data directory: identity, genesis, boot numbers. `raftd` never creates one; only init, member
// add, restore and recover do. Layout and byte formats: docs/formats.md.
//   LOCK  identity.toml  boots  freeze  snapshot/ (snapshot_dir.h)  wal/  state/  admin.sock
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/files.h"
#include "snapshot/snapshot_dir.h"

namespace raftd::snapshot {

/// Who this directory belongs to; written once, never changed.
struct Identity {
    ClusterId cluster_id;
    std::string cluster_name;
    NodeId id{};
    std::string name;
    Incarnation incarnation;
};
/// Starts of a member seen: the newest number and its nonce.
struct Boot {
    uint64_t number = 0, nonce = 0;
    auto operator<=>(const Boot&) const = default;
};
/// My own boots and the newest seen of each peer (file `boots`: snapshot/boots.h).
struct Boots {
    static constexpr size_t kBeforeMax = 512;
    Boot mine;
    std::vector<uint64_t> before;  // nonces of my starts before this one, newest first, at most kBeforeMax
    std::map<NodeId, Boot> peers;
};

struct DataDir {
    std::string path;
    Identity identity;
    Manifest manifest;  // the genesis
    Current current;    // the snapshot in force
    LogPoint base;      // of it: what isn't in archives lies in the log behind this
    Boots boots;
    std::vector<std::string> notes;  // what was survived, for the log
};

/// Makes a whole new directory (which must not exist, or be empty) for one member: identity, genesis, boots.
/// The WAL's first segment is made by wal::create_first. Ends with everything synced; a crash leaves a
/// directory that open() calls half-made. Errors: conflict (not empty), io.
Result<void> create(io::Files& files, std::string_view path, const Manifest& manifest, NodeId self);
/// The same for a member that joins later and so isn't in the manifest.
Result<void> create(io::Files& files, std::string_view path, const Manifest& manifest,
                    const Identity& identity);
/// The steps of create(), in this order, for a directory that begins with more than a genesis: what CURRENT
/// leads to is put there between the last two.
Result<void> make_folders(io::Files& files, std::string_view path);
Result<void> write_genesis(io::Files& files, const std::string& snapshots, const Manifest& manifest);
Result<void> finish_folders(io::Files& files, std::string_view path, const Identity& identity);
/// Reads and checks all of it but archives and the state, and changes nothing. Errors: not_found (no such
/// directory), damaged, conflict (half-made).
Result<DataDir> inspect(io::Files& files, std::string_view path);
/// The same, then removes leftovers of snapshots and raises the boot number (new nonce from `nonce`), synced.
Result<DataDir> open(io::Files& files, std::string_view path, uint64_t nonce);
/// Replaces what `boots` holds, synced; takes no room but the first time, or when it has outgrown its file.
/// Blocking: runs in a job.
Result<void> write_boots(io::Files& files, std::string_view path, const Boots& boots);

}  // namespace raftd::snapshot
