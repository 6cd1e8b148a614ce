// Requests about snapshots: take one now (an entry of kind `cut` ends the archive on every member), and what
// there is on this one. Loop thread only. Read next: daemon/compaction.h.
#pragma once

#include <vector>

#include "daemon/clients.h"
#include "daemon/compaction.h"

namespace raftd::pb {
class Request;
class Snapshots;
}  // namespace raftd::pb

namespace raftd::daemon {

class SnapshotRequests {
public:
    SnapshotRequests(Context& context, Replica& replica, Clients& clients, const LogReader& reader,
                     const Applier& applier, const Compaction& compaction);

    /// True when `request` was one of these; it is answered now, or once the cut is applied.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request);
    /// Once a turn: answers whose cut is applied by now, or whose leader isn't any more.
    void turn();

private:
    struct Waiter {
        io::ConnId conn;
        uint32_t stream;
        EntryId cut;
    };
    void take(const ClientConn& conn, uint32_t stream);
    void fill(pb::Snapshots& snapshots) const;
    bool settle(const Waiter& waiter);

    Context& context_;
    Replica& replica_;
    Clients& clients_;
    const LogReader& reader_;
    const Applier& applier_;
    const Compaction& compaction_;
    std::vector<Waiter> waiters_;
};

}  // namespace raftd::daemon
