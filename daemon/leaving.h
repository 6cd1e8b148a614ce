// A graceful stop, from the signal to the moment when nobody needs this member any more. A leader hands over
// first (H27): for one heartbeat it leads on, to hear whether the others are stopping too; then it gives the
// office to a member that is linked, fit and has the whole log, within one election timeout. It answers what
// was sent to it meanwhile, with the new leader's name. Loop thread only.
#pragma once

#include <optional>
#include <vector>

#include "daemon/append.h"
#include "daemon/peers.h"
#include "daemon/pump.h"
#include "daemon/replica.h"

namespace raftd::daemon {

class Leaving {
public:
    Leaving(Context& context, Replica& replica, Peers& peers, Pump& pump, Appends& appends)
        : context_(context), replica_(replica), peers_(peers), pump_(pump), appends_(appends) {}

    /// The first io::Stop.
    void begin();
    bool begun() const { return stage_ != Stage::none; }
    /// Once a turn, at its end: true once connections may be closed, at the latest stop_by().
    bool advance();
    Instant deadline() const { return at_; }
    /// Appends may go on until the office is given away; nobody is kept waiting beyond this.
    Instant stop_by() const { return stop_by_; }

private:
    enum class Stage : uint8_t {
        none,
        listening,     // leads on for a heartbeat
        handing_over,  // a transfer is under way, or about to be
        draining,      // takes no appends; answers those that it has
    };

    bool leads() const { return replica_.core().role() == raft::Role::leader; }
    void hand_over();
    NodeId next_successor() const;
    void drain();
    bool drained();

    Context& context_;
    Replica& replica_;
    Peers& peers_;
    Pump& pump_;
    Appends& appends_;
    Stage stage_ = Stage::none;
    Instant at_ = kNever;  // when the stage is to be looked at again, whatever else happens
    Instant stop_by_ = kNever, hand_over_by_ = kNever;
    NodeId asked_{};             // the transfer under way is to this one
    std::vector<NodeId> tried_;  // it ended without a new leader
    bool gave_away_ = false;     // clients may not know the new leader yet
    uint64_t frames_seen_ = 0;   // append frames, when last looked at
    Instant quiet_from_{};       // when the last one came
};

}  // namespace raftd::daemon
