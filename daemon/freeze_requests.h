// Requests to freeze and thaw (`raftctl freeze`, `thaw`): any member takes them, whoever leads, and answers
// once its own disk has it. Loop thread only.
#pragma once

#include <vector>

#include "daemon/clients.h"
#include "daemon/freeze.h"

namespace raftd::pb {
class Request;
class Status;
}  // namespace raftd::pb

namespace raftd::daemon {

class FreezeRequests {
public:
    FreezeRequests(Context& context, Clients& clients, Freeze& freeze)
        : context_(context), clients_(clients), freeze_(freeze) {}

    /// True when `request` was one of these.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request);
    /// Once a turn: answers what is on the disk by now.
    void turn();
    void fill(pb::Status& status) const;

private:
    struct Asker {
        io::ConnId conn;
        uint32_t stream;
    };
    void tell(const Asker& asker);

    Context& context_;
    Clients& clients_;
    Freeze& freeze_;
    std::vector<Asker> waiting_;
};

}  // namespace raftd::daemon
