// Settings of one member (NODE/raftd.toml) and the wanted members of a cluster (cluster.toml), as plain
// values. The table of all settings, with units, ranges and comments, is conf/table.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/types.h"

namespace raftd::conf {

struct RaftSettings {
    Duration heartbeat_interval = milliseconds(100);
    Duration election_timeout = seconds(1);
    uint64_t batch_bytes_max = 1u << 20;
    uint64_t in_flight_bytes_max = 16u << 20;
    Duration clock_skew_max = seconds(10);
};
struct LogSettings {
    uint64_t record_bytes_max = 1u << 20;
    uint64_t segment_bytes = 64u << 20;
    uint64_t buffer_bytes = 32u << 20;
    uint64_t disk_free_min = 256u << 20;
    uint64_t disk_free_reserve = 128u << 20;
    uint64_t scrub_rate = 8u << 20;  // bytes a second; 0: never
};
struct SnapshotSettings {
    uint64_t wal_keep_bytes = 256u << 20;  // of segments, below the newest snapshot
    uint32_t compression = 1;
    uint64_t transfer_rate = 256u << 20;               // bytes a second
    uint64_t transfer_keep_bytes = uint64_t{1} << 30;  // of segments, while a member fetches a snapshot here
};
struct LimitSettings {
    uint32_t connections_max = 4096;
    uint32_t tails_max = 1024;
    uint64_t append_queue_bytes_max = 64u << 20;  // admitted and not yet committed, all clients together
};
struct LoggingSettings {
    std::string level = "info";
    std::string format = "text";  // or json
    uint64_t file_bytes_max = 16u << 20;
};

struct DebugSettings {
    bool faults = false;  // `raftctl fault` may worsen this member's links
};

struct NodeSettings {
    std::string cluster;   // path of cluster.toml, as written (relative to the file's folder)
    std::string name;      // this member
    std::string data_dir;  // absolute once loaded
    std::string listen_peer, listen_client;    // empty: the member's addresses
    std::string listen_exposure = "loopback";  // or "unencrypted": other addresses too, in the clear
    RaftSettings raft;
    LogSettings log;
    SnapshotSettings snapshot;
    LimitSettings limits;
    LoggingSettings logging;
    DebugSettings debug;
};

struct MemberSpec {
    NodeId id{};
    std::string name, peer, client;
    std::string http;
    bool learner = false;
    uint8_t priority = 0;
    std::string data;  // folder of a member on this machine, relative to cluster.toml; empty: elsewhere
};
struct ClusterSpec {
    std::string name;
    ClusterId id;
    uint64_t config_index = 1;
    std::vector<MemberSpec> members;
};

}  // namespace raftd::conf
