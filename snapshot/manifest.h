// What everything of a cluster begins from: its genesis, as a file of canonical JSON (format 1). A snapshot's
// manifest is another one (format 2): snapshot/snapshot_dir.h. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"
#include "base/membership.h"
#include "base/result.h"
#include "snapshot/archive.h"

namespace raftd::snapshot {

struct GenesisMember {
    NodeId id{};
    std::string name, peer, client;
    Incarnation incarnation;
    bool learner = false;
    uint8_t priority = 0;
};
/// What everything begins from: the genesis, at S = 0, or where a saved cluster ended that this one was
/// restored from. Byte-equal on every machine: no clock, no randomness.
struct Manifest {
    ClusterId cluster_id;
    std::string cluster_name;
    std::vector<GenesisMember> members;  // by id
    EntryId at;                          // S and its term; 0 at a genesis
    Lsn lsn_next{1};
    uint64_t chain_before = 0;   // chain of the former cluster at S, 0 at init
    uint32_t feature_level = 1;  // at S; written only where it is above 1, as older ones don't have it
    /// How many members must be known before the first election, and how many there may be; 0: no such rule,
    /// and then not written. Here, since they must be the same for all members, for good.
    uint32_t min_members = 0, max_members = 0;
    /// Of a restored cluster alone: the time of the entry at S, and the SHA-256 over the archives and the
    /// state that it begins with (snapshot/restore.h).
    uint64_t timestamp_ms = 0;
    ContentHash content{};
    bool restored() const { return at.index != Index{}; }
};
/// The incarnation of a genesis member: first 128 bits of SHA-256 of cluster id and member id.
Incarnation genesis_incarnation(ClusterId cluster, NodeId member);
/// `manifest-S.json`.
std::string manifest_name(const Manifest& genesis);
/// Canonical JSON, and back. The hash of these bytes is the chain at a genesis.
std::string encode_manifest(const Manifest& manifest);
Result<Manifest> parse_manifest(std::string_view text);
/// The log as it stands at the genesis: index, term, chain, next LSN, time.
LogPoint genesis_point(const Manifest& manifest);
/// Where the log of a member begins that has the genesis and nothing else: there, or, in a restored cluster,
/// before everything. What such a one begins with comes to it as a snapshot.
LogPoint empty_base(const Manifest& manifest);
Membership membership_of(const Manifest& manifest);

}  // namespace raftd::snapshot
