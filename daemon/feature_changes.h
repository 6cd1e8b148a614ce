// Requests about the cluster's feature level: show it, raise it. A level is raised by an entry, and only when
// every member is connected and takes part in it; it is used once it is applied (H17). Loop thread only.
#pragma once

#include <string>
#include <vector>

#include "daemon/clients.h"
#include "daemon/peers.h"
#include "daemon/replica.h"

namespace raftd::pb {
class Features;
class Request;
}  // namespace raftd::pb

namespace raftd::daemon {

class FeatureChanges {
public:
    FeatureChanges(Context& context, Replica& replica, Peers& peers, Clients& clients);

    /// True when `request` was one of these; it is answered now, or once the level is applied.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request);
    /// Once a turn: answers whose level is applied by now, or whose leader isn't any more.
    void turn();

private:
    struct Waiter {
        io::ConnId conn;
        uint32_t stream;
        uint32_t level;
        Term term;
    };

    void raise(const ClientConn& conn, uint32_t stream, uint32_t wanted);
    uint32_t highest_of_all() const;
    uint32_t newest_of_any() const;
    std::string who_lacks(uint32_t level) const;
    void propose(uint32_t level);
    void fill(pb::Features& features, bool raised) const;
    void refuse(io::ConnId conn, uint32_t stream, const Error& why);

    Context& context_;
    Replica& replica_;
    Peers& peers_;
    Clients& clients_;
    std::vector<Waiter> waiters_;
    EntryId proposed_{};  // the newest entry that raises, and to what; its term tells whose
    uint32_t proposed_level_ = 0;
};

}  // namespace raftd::daemon
