// What goes wrong in a run: draws faults of each group that is on, at its rate, and undoes them. At the end
// heals a core of members and leaves the others broken for good.
#pragma once

#include <map>
#include <set>
#include <string>

#include "sim/damage.h"
#include "sim/knobs.h"

namespace raftd::sim {

class Faults : public Actor {
public:
    Faults(Kernel& kernel, SimNetwork& network, Cluster& cluster,
           std::vector<std::unique_ptr<SimClient>>& clients, Trace& trace, Reached& reached,
           const Knobs& knobs);
    ~Faults() override { kernel_.remove(actor_); }

    void begin();
    /// This member goes down, in one of the ways that there are, and comes back.
    void strike(uint32_t member);
    /// No more faults. A random majority is whole again and connected; the others stay broken. Returns the
    /// core.
    std::set<uint32_t> heal_core();
    /// Everything is whole again.
    void heal_all();
    void fire(uint32_t kind, uint64_t data) override;
    const std::map<std::string, uint64_t>& totals() const { return totals_; }

private:
    enum Kind : uint32_t {
        topology,
        process,
        disk,
        time,
        client_move,
        audit,
        go_on,
        relieve,
        client_back,
        damage
    };
    void next(Kind kind, Duration mean);
    void note(std::string_view what, uint32_t member);
    Duration some_time();
    uint32_t any_member();
    void change_topology();
    void split(const std::set<uint32_t>& side);
    void hit_process();
    void bring_down(uint32_t member);
    void spoil_store(uint32_t member);
    void plant_bomb(uint32_t member);
    void hit_disk();
    void relieve_disk(uint32_t member);
    void hit_time();
    void hit_client();
    void damage_disk();
    std::set<uint32_t> draw_core();
    void leave_broken(uint32_t member, const std::set<uint32_t>& core);
    void make_whole(uint32_t member);

    Kernel& kernel_;
    uint32_t actor_;
    SimNetwork& network_;
    Cluster& cluster_;
    std::vector<std::unique_ptr<SimClient>>& clients_;
    Trace& trace_;
    Reached& reached_;
    const Knobs& knobs_;
    Random random_;
    Damage damage_;
    bool over_ = false;
    DiskModel good_disk_;
    std::map<std::string, uint64_t> totals_;
};

}  // namespace raftd::sim
