// Membership churn in a run: operators that ask for one change after the other, crashes at the steps of a
// change, machines of removed members that go away some time later; and, once all has healed, the proof that
// the members can still be changed (L4, L5).
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "sim/faults.h"
#include "sim/operator.h"

namespace raftd::sim {

class Churn : public Actor {
public:
    Churn(Kernel& kernel, SimNetwork& network, Cluster& cluster,
          std::vector<std::unique_ptr<SimClient>>& clients, Faults& faults, Trace& trace, Reached& reached,
          const Knobs& knobs);
    ~Churn() override;

    void begin();
    /// No more changes are asked for.
    void end();
    /// A change that no fault is in the way of, with a majority of `core` members: takes away some that are
    /// not in it, takes in a new one, or gives somebody another priority. Ends in change_done().
    void change_afresh(const std::set<uint32_t>& core);
    void transfer_afresh(uint32_t to);
    bool afresh_done() const { return !operators_[0]->busy() && operators_[0]->ended() == End::completed; }
    /// Asked again when it ended otherwise: a leader may be new, a follower not yet caught up.
    bool afresh_pending() const { return operators_[0]->busy(); }
    ChangeTotals totals() const;

    void fire(uint32_t kind, uint64_t data) override;

private:
    using End = ChangeTotals::End;
    enum Kind : uint32_t { change, strike, retire, restart_operator };
    void settled(const ConfigEntry& entry);
    void made(const ConfigEntry& entry);
    void next(uint64_t which);

    Kernel& kernel_;
    uint32_t actor_;
    Cluster& cluster_;
    std::vector<std::unique_ptr<SimClient>>& clients_;
    Faults& faults_;
    Reached& reached_;
    const Knobs& knobs_;
    Random random_;
    std::vector<std::unique_ptr<Operator>> operators_;
    std::set<uint32_t> leaving_;  // machines that will go
    bool over_ = true;
};

}  // namespace raftd::sim
