// What a run does to its cluster, drawn from its seed: which groups of faults are on (each with probability
// 1/2 in the swarm profile), and their numbers. Printed before the run, so that a failure can be read.
#pragma once

#include <optional>
#include <string>

#include "sim/client.h"
#include "sim/cluster.h"

namespace raftd::sim {

struct Knobs {
    bool network = false, topology = false, process = false, disk = false, time = false, clients_move = false,
         damage = false, churn = false;
    NetModel net;
    ClusterOptions cluster;
    // Mean times between faults of a group; one that is off has none.
    Duration topology_every = seconds(5), process_every = seconds(5), disk_every = seconds(5),
             time_every = seconds(20), clients_every = seconds(20), damage_every = seconds(5);
    bool keeping = false;  // somebody trims, holds, puts checkpoints and saves
    Duration keeping_every = seconds(2);
    uint32_t former_members = 0;  // of the cluster whose save this one begins with; 0: it begins with nothing
    uint32_t operators = 1;       // who change the members, one change each per one to three times this
    Duration change_every_min = milliseconds(1700);
    double strike_chance = 0.15;  // that a step of a change is followed by a crash
    double power_share = 0.5;     // of the ends of processes: power cut rather than kill
    double rate_spread = 0;       // clocks run at 1 - spread to 1 + spread
    uint32_t clients = 2;
    // No more producers than clients, so that old ones must be forgotten; the first client has none then,
    // since it is to go on whatever the log's time does.
    bool few_producers = false;
    uint32_t shared_names = 0, own_names = 0;  // so many clients have one name together, and one each
    ClientLoad load;
    Duration audit_every = seconds(10);
    Duration length = seconds(60);  // of the phase with faults

    static Knobs draw(uint64_t seed, Profile profile, uint32_t members, std::optional<Duration> length);
    std::string text() const;
};

}  // namespace raftd::sim
