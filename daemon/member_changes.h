// Requests about who belongs: list, change, hand leadership over. A change names the members wanted; who is
// new is asked for its identity at its address first, so that a dead or wrong one costs nothing. Loop thread
// only.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "daemon/clients.h"
#include "daemon/peers.h"
#include "daemon/replica.h"

namespace raftd::pb {
class ChangeMembers;
class MemberList;
class Request;
}  // namespace raftd::pb

namespace raftd::daemon {

class MemberChanges {
public:
    MemberChanges(Context& context, Replica& replica, Peers& peers, Clients& clients);

    /// True when `request` was one of these; it is answered now or later.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request);
    /// Takes the probes that have ended, and looks again at a change that waits: once a turn.
    void turn();
    /// When a turn is needed at the latest.
    Instant deadline() const { return pending_ ? pending_->give_up_at : kNever; }

private:
    struct Pending {
        io::ConnId conn{};
        uint32_t stream = 0;
        Index expected{};
        Membership target;
        MemberInfos infos;
        std::set<uint64_t> probes;  // numbers of those under way
        bool dry_run = false;
        std::set<NodeId> absent;  // of a dry run: new, and not at their addresses
        Instant give_up_at = kNever;
    };
    /// `passing`: it is how members stand just now. A link that comes back is silent for a moment, and a
    /// leader that is new has heard of nobody.
    struct Objection {
        Error why;
        bool passing;
    };

    void change(const ClientConn& conn, uint32_t stream, const pb::ChangeMembers& wanted);
    std::optional<Error> take_target(const pb::ChangeMembers& wanted, Pending& into) const;
    std::optional<Error> too_many(const MemberInfos& wanted) const;
    std::optional<Objection> why_not(const Pending& pending) const;
    void probed(const Peers::Probed& probed);
    void try_to_begin(Pending pending);
    void begin(const Pending& pending);
    void tell_plan(const Pending& pending);
    void transfer(const ClientConn& conn, uint32_t stream, NodeId to);
    NodeId next_id() const;
    void fill(pb::MemberList& list) const;
    void refuse(io::ConnId conn, uint32_t stream, const Error& why);

    Context& context_;
    Replica& replica_;
    Peers& peers_;
    Clients& clients_;
    std::optional<Pending> pending_;  // waits for probes or for what passes; one at a time
};

}  // namespace raftd::daemon
