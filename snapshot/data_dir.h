// A member's data directory: identity, genesis, boot numbers. `raftd` never creates one; only init, member
// add, restore and recover do. Layout and byte formats: docs/formats.md.
//   LOCK  identity.toml  boots  snapshot/CURRENT  snapshot/<manifest>  wal/  state/  admin.sock
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/entry.h"
#include "base/membership.h"
#include "base/result.h"
#include "io/files.h"

namespace raftd::snapshot {

/// Who this directory belongs to; written once, never changed.
struct Identity {
    ClusterId cluster_id;
    std::string cluster_name;
    NodeId id{};
    std::string name;
    Incarnation incarnation;
};
struct GenesisMember {
    NodeId id{};
    std::string name, peer, client;
    Incarnation incarnation;
    bool learner = false;
    uint8_t priority = 0;
};
/// What everything begins from: at S = 0 the genesis. Byte-equal on every machine: no clock, no randomness.
struct Manifest {
    ClusterId cluster_id;
    std::string cluster_name;
    std::vector<GenesisMember> members;  // by id
    EntryId at;                          // S and its term; 0 at a genesis
    Lsn lsn_next{1};
    uint64_t chain_before = 0;   // chain at S before hashing, 0 at init
    uint32_t feature_level = 1;  // at S; written only where it is above 1, as older ones don't have it
    /// How many members must be known before the first election, and how many there may be; 0: no such rule,
    /// and then not written. Here, since they must be the same for all members, for good.
    uint32_t min_members = 0, max_members = 0;
};
/// The incarnation of a genesis member: first 128 bits of SHA-256 of cluster id and member id.
Incarnation genesis_incarnation(ClusterId cluster, NodeId member);
/// Canonical JSON, and back. The hash of these bytes is the chain at a genesis.
std::string encode_manifest(const Manifest& manifest);
Result<Manifest> parse_manifest(std::string_view text);
LogPoint genesis_point(const Manifest& manifest);  // base of the log: index, term, chain, next LSN
Membership membership_of(const Manifest& manifest);

/// Starts of a member seen: the newest number and its nonce.
struct Boot {
    uint64_t number = 0, nonce = 0;
    auto operator<=>(const Boot&) const = default;
};
/// My own boots and the newest seen of each peer (file `boots`, replaced atomically, checksummed).
struct Boots {
    static constexpr size_t kBeforeMax = 512;
    Boot mine;
    std::vector<uint64_t> before;  // nonces of my starts before this one, newest first, at most kBeforeMax
    std::map<NodeId, Boot> peers;
};

struct DataDir {
    std::string path;
    Identity identity;
    Manifest manifest;
    LogPoint base;  // the log begins behind this
    Boots boots;
};

/// Makes a whole new directory (which must not exist, or be empty) for one member: identity, genesis, boots.
/// The WAL's first segment is made by wal::create_first. Ends with everything synced; a crash leaves a
/// directory that open() calls half-made. Errors: conflict (not empty), io.
Result<void> create(io::Files& files, std::string_view path, const Manifest& manifest, NodeId self);
/// The same for a member that joins later and so isn't in the manifest.
Result<void> create(io::Files& files, std::string_view path, const Manifest& manifest,
                    const Identity& identity);
/// Reads and checks all of it and changes nothing. Errors: not_found (no such directory), damaged, conflict
/// (half-made).
Result<DataDir> inspect(io::Files& files, std::string_view path);
/// The same, then raises the boot number (new nonce from `nonce`), synced.
Result<DataDir> open(io::Files& files, std::string_view path, uint64_t nonce);
/// Replaces `boots`, synced. Blocking: runs in a job.
Result<void> write_boots(io::Files& files, std::string_view path, const Boots& boots);

}  // namespace raftd::snapshot
