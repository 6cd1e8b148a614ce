// Requests of `raftctl fault`: what they may ask of this member, and how its links are then. Loop thread
// only.
#pragma once

#include "base/result.h"
#include "daemon/peers.h"
#include "daemon/replica.h"

namespace raftd::pb {
class Answer;
class FaultRequest;
class Faults;
}  // namespace raftd::pb

namespace raftd::daemon {

class FaultRequests {
public:
    FaultRequests(Context& context, Replica& replica, Peers& peers)
        : context_(context), replica_(replica), peers_(peers) {}

    void answer(const pb::FaultRequest& request, pb::Answer& answer);

private:
    /// The ways that a request names; peer 0: all.
    using Ways = std::vector<std::pair<NodeId, Direction>>;

    Result<void> carry_out(const pb::FaultRequest& request);
    Result<void> set(FaultKind kind, const pb::FaultRequest& request, const Ways& ways);
    Result<void> campaign();
    Result<Ways> ways_of(const pb::FaultRequest& request) const;
    void fill(pb::Faults& faults) const;

    Context& context_;
    Replica& replica_;
    Peers& peers_;
};

}  // namespace raftd::daemon
