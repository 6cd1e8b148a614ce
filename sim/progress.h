// While faults go on: where a majority has stood whole and connected for 10 election timeouts (its members
// up, not paused, their disks good, the links among them and to some client uncut both ways), there must have
// been progress: something was committed in that time, or there is a leader with nothing left to commit. A
// majority is one of each configuration that some log holds and that isn't overtaken by a committed one.
// Looks four times per election timeout.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "sim/client.h"
#include "sim/cluster.h"

namespace raftd::sim {

class Progress : public Actor {
public:
    /// `spread`: the clocks of members run at 1 - spread at the slowest.
    Progress(Kernel& kernel, const SimNetwork& network, Cluster& cluster,
             const std::vector<std::unique_ptr<SimClient>>& clients, Reached& reached, double spread);
    ~Progress() override { kernel_.remove(actor_); }

    /// `members`: their progress is judged too, until end(); clients always are.
    void begin(bool members);
    void end() { members_judged_ = false; }
    void fire(uint32_t kind, uint64_t data) override;

private:
    /// Since when something is good; kNever: it isn't.
    using Since = Instant;
    struct Member {
        Since whole = kNever;
        uint64_t life = 0;
    };
    /// Bit i - 1: machine i.
    using Set = uint64_t;
    bool whole(uint32_t member) const;
    void look();
    bool majority_stands(Instant before) const;
    bool grow(Set standing, Set candidates, Instant before) const;
    bool decides(Set standing) const;
    bool client_reaches(Set standing, Instant before) const;
    bool connected(uint32_t a, uint32_t b, Instant before) const;

    Kernel& kernel_;
    uint32_t actor_;
    const SimNetwork& network_;
    Cluster& cluster_;
    const std::vector<std::unique_ptr<SimClient>>& clients_;
    Reached& reached_;
    Duration long_enough_;
    std::map<uint32_t, Member> members_;
    std::map<std::pair<uint32_t, uint32_t>, Since> links_;  // both ways, by hosts: the lower one first
    std::vector<const Membership*> configs_;                // that a majority has to decide under, at present
    Instant checked_{};
    bool members_judged_ = false;
};

}  // namespace raftd::sim
