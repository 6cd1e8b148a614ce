// One member: owns everything, and everything enters by handle(). The same object code runs over io/asio and
// in the simulator. Loop thread only. Read next: daemon/pump.h, docs/tour.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/reload.h"
#include "conf/settings.h"
#include "daemon/state.h"
#include "io/world.h"
#include "raft/core.h"
#include "snapshot/snapshot_dir.h"

namespace raftd::daemon {

class Faults;

struct NodeOptions {
    conf::NodeSettings settings;          // data_dir is the member's data directory
    std::optional<ClusterId> cluster_id;  // of cluster.toml: the directory must belong to it
    std::string peer, client;             // this member's addresses there, until a configuration names it
    NodeId listed{};                      // the id that stands there with this member's name; 0: none
    std::string version;                  // of the program, for status
    uint64_t pid = 0;
    bool simulated = false;  // small segments, no unix socket
    uint64_t first_segment_bytes = 4u << 20;
    snapshot::StoreMaker* store = nullptr;    // of the replicated state; nothing: kept in memory only
    StateLimits state_limits{};               // equal on all members
    bool archives_first = false;              // simulated: reads archives where segments would do as well
    uint32_t transfer_part_bytes = 1u << 20;  // of a snapshot's files, asked for at once
    bool black_box = true;  // keep the last events of the core; a seed repeats a simulation anyway
};

class Members;

class Node : public io::Handler {
public:
    /// Reads the data directory and recovers the log (blocking). Errors: damaged, conflict, not_found,
    /// too_new, io; the text says what, where and what to do.
    static Result<std::unique_ptr<Node>> open(io::World& world, const NodeOptions& options);
    ~Node() override;

    /// Listens and dials. Errors: io (address in use).
    Result<void> start();
    /// Takes over what a changed settings file may change in a running member; returns what it did.
    conf::Reloaded reload(const conf::NodeSettings& fresh);
    const conf::NodeSettings& settings() const;
    void handle(io::Event& event) override;
    void end_turn(Instant now) override;
    /// A graceful stop (io::Stop) has finished: everything answered, closing marker written.
    bool stopped() const;

    /// Memory that grows with load, in bytes; settings bound each.
    struct Use {
        uint64_t admitted;     // of clients' appends, not yet answered
        uint64_t buffer;       // of recent entries; those not on disk yet are kept whatever their bound
        uint64_t not_durable;  // of those
        uint64_t run_max;      // what the buffer frees at once, at most
        uint64_t in_flight;    // sent to the follower that has most and not answered
    };
    Use use() const;

    /// For checkers and the black box.
    const raft::Core& core() const;
    LogPoint log_end() const;                           // behind the last entry of the log as the core has it
    std::optional<LogPoint> log_at(Index index) const;  // behind that entry, while it is in memory
    const State& state() const;                         // the replicated state, as far as it is applied
    const Members& members() const;                     // the configurations of the log
    const snapshot::SnapshotManifest* snapshot() const;  // in force; nothing: the genesis
    bool says_members_differ() const;                    // and has frozen everything since
    bool holed() const;                                  // a stretch of its log is damaged
    struct Repaired {
        uint64_t holes = 0, files = 0;  // of its log; of its snapshot
    };
    Repaired repaired() const;  // since the start
    std::string dump() const;   // `raftctl debug dump`
    std::vector<std::byte> black_box() const;
    Faults& faults();  // of its links, whatever the settings allow; for simulations

private:
    struct Parts;
    explicit Node(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace raftd::daemon
