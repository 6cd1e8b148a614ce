// Somebody at the command line: changes the members one after the other as raftctl does (list, ask with the
// index expected, look again until it is settled), over leader changes, and goes on with what was begun
// before its own end. What a leader calls settled is compared with Truth.
#pragma once

#include <memory>
#include <optional>

#include "sim/change.h"
#include "sim/cluster.h"
#include "sim/control_call.h"

namespace raftd::sim {

class Operator : public Actor {
public:
    Operator(Kernel& kernel, SimNetwork& network, Cluster& cluster, Trace& trace, Reached& reached,
             uint32_t host);
    ~Operator() override { kernel_.remove(actor_); }

    struct Order {
        std::optional<ChangeKind> kind{};  // nothing: drawn from the list as it is
        MakeWanted wanted{};               // instead of a kind
        Duration patience = seconds(20);   // without anything moving
        bool hasty = false;                // asks although another change is under way
        uint32_t transfer_to = 0;          // instead of a kind
    };
    /// Requires: not busy.
    void begin(const Order& order);
    bool busy() const { return phase_ != Phase::idle; }
    ChangeTotals::End ended() const { return ended_; }
    void drop();
    /// Its process ends; another one goes on with the same.
    void restart();
    /// A new member's machine is made and started.
    std::optional<pb::MemberInfo> fresh(const pb::MemberList& list, size_t place, const std::string& name);
    ChangeTotals totals;

    void fire(uint32_t kind, uint64_t data) override;

private:
    enum class Phase : uint8_t { idle, genesis, list, change, status, transfer, handing_over };
    void step();
    void ask(Phase phase);
    void took_list(const pb::MemberList& list);
    bool has_plan(const pb::MemberList& list);
    void run_stage(const pb::MemberList& list);
    void took_status(const pb::Status& status);
    void took_refusal(const Error& why);
    void took_transfer(const pb::Answer& answer);
    void completed(const pb::MemberList& list);
    void check_settled(const pb::MemberList& list) const;
    void end(ChangeTotals::End how);
    void pause(Duration time) { next_at_ = kernel_.now() + time; }
    std::string text() const;
    void trace(const std::string& text);

    Kernel& kernel_;
    uint32_t actor_;
    Cluster& cluster_;
    Trace& trace_;
    Reached& reached_;
    uint32_t host_;
    Random random_;
    ControlCall call_;
    std::optional<snapshot::Manifest> genesis_;

    Order order_;
    Phase phase_ = Phase::idle;
    std::optional<ChangePlan> plan_;
    size_t stage_ = 0;
    std::vector<uint64_t> behind_;  // who must catch up before the stage
    uint64_t moved_ = 0;            // what moved last: index of the configuration, progress of who joins
    NodeId asked_of_{};             // who led when it was asked first
    bool other_leader_ = false;
    Instant next_at_{}, give_up_at_{}, transfer_by_{};
    ChangeTotals::End ended_{};
    bool ticking_ = false;
};

}  // namespace raftd::sim
