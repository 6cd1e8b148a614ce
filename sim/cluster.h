// The members of a simulated cluster: machines with their disks and clocks, and the real Node on each,
// started, killed, stopped, cut from power, paused. A member that goes down on purpose comes back when asked;
// one that ends itself comes back by itself when that was to be expected (an injected failed sync), else the
// run has failed. More machines can be made while it runs, as `member add` makes a new member's directory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/node.h"
#include "sim/store.h"
#include "sim/truth.h"
#include "snapshot/data_dir.h"
#include "wal/wal.h"

namespace raftd::sim {

struct ClusterOptions {
    uint32_t members = 3;               // at first
    std::vector<uint8_t> priorities{};  // of the first members, in order; 0 where none is given
    Duration heartbeat = milliseconds(100), election_timeout = seconds(1);
    uint64_t segment_bytes = 64u << 10;
    uint64_t buffer_bytes = 256u << 10;
    uint64_t wal_keep_bytes = 64u << 20;
    uint64_t scrub_rate = 0;
    bool archives_first = false;
    uint32_t transfer_part_bytes = 4096;
    uint64_t batch_bytes_max = 64u << 10, in_flight_bytes_max = 256u << 10;
    uint64_t append_queue_bytes_max = 64u << 20;
    daemon::StateLimits state{.producers_max = 64,
                              .answers_each_max = 128,
                              .answers_all_max = 1024,
                              .producer_idle_ms = 5000,
                              .archive = {.bytes = 64u << 10, .entries = 256}};
};

/// Lines of a run, for --trace and failures; costs nothing when nobody wants them.
class Trace {
public:
    bool on = false;
    void line(Instant at, std::string_view who, std::string_view text);
};

class Cluster : public Actor {
public:
    Cluster(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached,
            const ClusterOptions& options);
    /// Restored from a save of a cluster of members 1 to `former`: its own have the numbers behind them.
    Cluster(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached,
            const ClusterOptions& options, const std::string& save, uint32_t former);
    ~Cluster() override;

    static constexpr const char* kDataDir = "/data";
    uint32_t count() const { return static_cast<uint32_t>(members_.size()) - 1; }
    /// Of the machine: what its addresses begin with. Its member has another name when it replaced one.
    static std::string name_of(uint32_t member) { return "n" + std::to_string(member); }
    std::vector<std::string> names() const;
    /// The number of the next machine; a member's id is its machine's number.
    uint32_t next_number() const { return count() + 1; }
    /// A machine for a member that is to join, not started: its directory is made from the cluster's genesis.
    uint32_t add(const snapshot::Manifest& genesis, const std::string& member_name);
    const std::string& member_name(uint32_t member) const { return members_[member]->name; }
    Incarnation incarnation(uint32_t member) const { return members_[member]->incarnation; }
    /// Where it listens, or will after its next start.
    const std::string& peer_address(uint32_t member) const { return members_[member]->peer; }
    std::string client_address(uint32_t member) const { return name_of(member) + ":7002"; }
    /// From its next start on it listens there, as its settings say from now on.
    void move_to(uint32_t member, const std::string& peer);
    /// It listens where the configurations that count say.
    bool reachable(uint32_t member) const;
    /// What decisions may have to be made under: the newest committed configuration, and what stands behind
    /// it in any log that may still count.
    std::vector<const Membership*> configs_in_play() const;
    /// Where clients find its members by the newest configuration that is committed for good: what its file
    /// says, which is kept in step with each change.
    std::vector<std::string> settled_addresses() const;
    /// Those that may still be used for something.
    std::vector<uint32_t> machines() const;
    Truth& truth() { return truth_; }
    Duration election_timeout() const { return options_.election_timeout; }

    // Members are numbered from 1.
    void start(uint32_t member);
    void start_in(uint32_t member, Duration wait);
    void kill(uint32_t member);                                  // SIGKILL: the page cache survives
    void cut_power(uint32_t member, const CrashPolicy& policy);  // it doesn't
    void stop(uint32_t member);                                  // SIGTERM; down when it has finished
    void pause(uint32_t member, bool paused);
    bool up(uint32_t member) const { return members_[member]->process != nullptr; }
    bool paused(uint32_t member) const;
    bool stopping(uint32_t member) const { return up(member) && members_[member]->stopping; }
    /// Never comes back (damage that can't be repaired here).
    bool lost(uint32_t member) const { return members_[member]->lost; }
    const daemon::Node* node(uint32_t member) const;
    /// What it is started with, but for its store.
    daemon::NodeOptions node_options(uint32_t member) const;
    daemon::Faults& faults(uint32_t member);  // of the links of one that is up

    SimStorage& storage(uint32_t member) { return members_[member]->storage; }
    SimStoreDisk& store(uint32_t member) { return members_[member]->store; }
    DiskModel& disk(uint32_t member) { return members_[member]->disk; }
    ClockModel& clock(uint32_t member) { return members_[member]->clock; }
    /// A failed sync of this member is expected from now on: it ends with 20 and comes back.
    void expect_sync_failure(uint32_t member) { members_[member]->sync_failure_expected = true; }
    /// What the last process that ended itself, or refused to start, said.
    const std::string& last_end(uint32_t member) const { return members_[member]->last_end; }
    /// Its bits are rotten from now on: it may end with damage, now or at a later start.
    void expect_damage(uint32_t member) { members_[member]->damage_expected = true; }
    /// The power goes and an old image of its disk is there when it comes back. It may start as often as it
    /// likes: the others must refuse it each time.
    void put_back(uint32_t member, const SimStorage& image);
    /// Its disk isn't what it should be: it takes no part in a healed core.
    bool hit(uint32_t member) const { return members_[member]->damage_expected || members_[member]->stale; }
    /// It ends and never comes back.
    void give_up(uint32_t member);
    /// How many starts it has made.
    uint64_t life(uint32_t member) const { return members_[member]->life; }
    /// While off, members that end stay down (the liveness phase, where faults are permanent).
    bool comes_back = true;

    /// What a start would find on this member's disk if its power were cut now, against what it promised.
    void audit(uint32_t member);
    /// The same with this chance, the more rarely the more segments there are: that is what a look costs.
    void audit_perhaps(uint32_t member, double chance);
    uint64_t restarts() const { return restarts_; }
    std::string dump(uint32_t member) const;

    void fire(uint32_t kind, uint64_t data) override;

private:
    enum Kind : uint32_t { start_member, clean_up };
    struct Process;
    struct Member {
        SimStorage storage;
        SimStoreDisk store;  // of the replicated state
        DiskModel disk;
        ClockModel clock;
        std::unique_ptr<Process> process;
        std::string name, peer;  // of the member; where it listens
        std::string last_end{};  // why a process of it ended itself, or didn't start
        Incarnation incarnation;
        uint64_t life = 0;
        daemon::Node::Repaired repaired;  // by this process
        bool lost = false, sync_failure_expected = false, damage_expected = false, stopping = false;
        bool moved = false;     // listens elsewhere than it was made to
        bool stale = false;     // runs on an old image of its disk
        uint32_t refusals = 0;  // of those runs
    };

    Cluster(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached,
            const ClusterOptions& options, const snapshot::Manifest& genesis, uint32_t former);
    void make_data_dir(uint32_t number, const snapshot::Manifest& genesis, Incarnation incarnation);
    void make_restored_dir(uint32_t number, const std::string& save);
    void add_machine(const std::string& member_name, Incarnation incarnation);
    wal::Options wal_options(uint32_t member) const;
    void open_node(uint32_t number, Process& process);
    void note_address(uint32_t number, const daemon::Node& node);
    void take_down(uint32_t number);
    void ended(uint32_t number);
    bool end_expected(const Member& member, const ProcessEnded& why,
                      const std::optional<Error>& refused) const;
    void note_end(uint32_t number, Member& member, ExitCode code);
    void check_use(uint32_t number, const daemon::Node& node) const;
    void trace(uint32_t number, std::string_view text);

    Kernel& kernel_;
    uint32_t actor_;
    SimNetwork& network_;
    Trace& trace_;
    Reached& reached_;
    ClusterOptions options_;
    Random random_;
    snapshot::Manifest manifest_;
    uint32_t former_;  // numbers of the cluster before: none of these machines is there
    std::vector<std::unique_ptr<Member>> members_;  // [0] unused
    Truth truth_;
    uint64_t restarts_ = 0;
};

}  // namespace raftd::sim
