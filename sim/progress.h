// While faults go on: where a majority has stood whole and connected for 10 election timeouts (its members
// up, not paused, their disks good, the links among them and to some client uncut both ways), there must have
// been progress: something was committed in that time, or there is a leader with nothing left to commit.
// Looks four times per election timeout.
#pragma once

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
    bool whole(uint32_t member) const;
    void look();
    bool majority_stands(Instant before) const;
    bool stand_together(uint32_t set, Instant before) const;
    Since& link(size_t a, size_t b) { return links_[a * hosts_ + b]; }
    const Since& link(size_t a, size_t b) const { return links_[a * hosts_ + b]; }

    Kernel& kernel_;
    uint32_t actor_;
    const SimNetwork& network_;
    Cluster& cluster_;
    const std::vector<std::unique_ptr<SimClient>>& clients_;
    Reached& reached_;
    Duration long_enough_;
    std::vector<Member> members_;  // [0] unused
    size_t hosts_;                 // members, then clients; [0] unused
    std::vector<Since> links_;     // both ways
    Instant checked_{};
    bool members_judged_ = false;
};

}  // namespace raftd::sim
