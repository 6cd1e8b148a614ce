// Connections of clients: handshake, and where each frame goes. What clients may ask is one set of requests
// (append, tail, control); every front end only translates to it. Loop thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "daemon/context.h"
#include "proto/client.h"

namespace raftd::daemon {

class Appends;
class Tails;
class Admin;

struct ClientConn {
    io::ConnId id;
    std::string peer;
    bool greeted = false;
    Instant greet_by{};
    // Appends
    std::vector<proto::AppendDoneItem> done;  // answers of this turn
    uint64_t in_flight_bytes = 0;             // admitted, not yet answered
    bool verifying = false;                   // a large body is being checked; later frames wait in order
    std::deque<io::Frame> waiting;
    bool paused = false;
    bool run_ended = true;  // a refusal ended the run: everything is refused until kAppendRun begins another
    // Tails
    uint32_t tails = 0;
};

class Clients {
public:
    explicit Clients(Context& context) : context_(context) {}
    void attach(Appends& appends, Tails& tails, Admin& admin);

    bool owns(io::ConnId conn) const { return conns_.contains(conn); }
    ClientConn* find(io::ConnId conn);
    void opened(const io::Opened& opened);
    void closed(io::ConnId conn);
    /// `leader`: whom this member believes to lead.
    void frame(const io::Frame& frame, NodeId leader);
    /// Frames that waited for a large body go on.
    void resume(ClientConn& conn, NodeId leader);
    void send(io::ConnId conn, const Slice& frame);
    void close(io::ConnId conn);  // what is queued still goes out
    void close_all();
    /// Other members are in force, or somebody else leads: every client is told, by another HelloOk.
    void greet_again(NodeId leader);
    size_t count() const { return conns_.size(); }

    Instant deadline() const;
    void tick(Instant now);

private:
    void hello(ClientConn& conn, const io::Frame& frame, NodeId leader);
    void route(ClientConn& conn, const io::Frame& frame, NodeId leader);

    Context& context_;
    Appends* appends_ = nullptr;
    Tails* tails_ = nullptr;
    Admin* admin_ = nullptr;
    std::map<io::ConnId, std::unique_ptr<ClientConn>> conns_;
    std::deque<std::pair<Instant, io::ConnId>> ungreeted_;  // in order of their deadlines
};

}  // namespace raftd::daemon
