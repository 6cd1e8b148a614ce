#include "daemon/clients.h"

#include "daemon/admin.h"
#include "daemon/append.h"
#include "daemon/handshake.h"
#include "daemon/tail.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {
constexpr Duration kClientGreetsWithin = seconds(5);
}

void Clients::attach(Appends& appends, Tails& tails, Admin& admin) {
    appends_ = &appends;
    tails_ = &tails;
    admin_ = &admin;
}

ClientConn* Clients::find(io::ConnId conn) {
    auto found = conns_.find(conn);
    return found == conns_.end() ? nullptr : found->second.get();
}

void Clients::opened(const io::Opened& opened) {
    if (context_.stopping || conns_.size() >= context_.options.settings.limits.connections_max) {
        Slice no = encode_hello_no(
            context_, {Refusal::Code::busy, context_.stopping ? "is stopping" : "has too many connections",
                       "try another member, or later"});
        context_.world.network.send(opened.conn, {&no, 1});
        context_.world.network.close(opened.conn);
        return;
    }
    auto conn = std::make_unique<ClientConn>();
    conn->id = opened.conn;
    conn->peer = opened.peer;
    conn->greet_by = context_.now + kClientGreetsWithin;
    ungreeted_.emplace_back(conn->greet_by, opened.conn);
    conns_.emplace(opened.conn, std::move(conn));
}

void Clients::closed(io::ConnId conn) {
    auto found = conns_.find(conn);
    if (found == conns_.end()) return;
    tails_->conn_closed(conn);
    conns_.erase(found);
}

void Clients::close(io::ConnId conn) {
    context_.world.network.close(conn);
    closed(conn);
}

void Clients::close_all() {
    while (!conns_.empty()) close(conns_.begin()->first);
}

void Clients::send(io::ConnId conn, const Slice& frame) { context_.world.network.send(conn, {&frame, 1}); }

void Clients::frame(const io::Frame& frame, NodeId leader) {
    ClientConn& conn = *conns_.at(frame.conn);
    if (!conn.greeted) return hello(conn, frame, leader);
    if (conn.verifying) {
        conn.waiting.push_back(frame);
        return;
    }
    route(conn, frame, leader);
}

void Clients::resume(ClientConn& conn, NodeId leader) {
    io::ConnId id = conn.id;
    while (!conn.verifying && !conn.waiting.empty()) {
        io::Frame frame = std::move(conn.waiting.front());
        conn.waiting.pop_front();
        route(conn, frame, leader);
        if (find(id) == nullptr) return;  // the frame was bad and closed the connection
    }
}

void Clients::greet_again(NodeId leader) {
    Slice told = encode_hello_ok(context_, leader, false);
    for (const auto& [id, conn] : conns_)
        if (conn->greeted) send(id, told);
}

void Clients::hello(ClientConn& conn, const io::Frame& frame, NodeId leader) {
    std::optional<Greeting> greeting;
    if (static_cast<proto::FrameType>(frame.type) == proto::FrameType::hello)
        greeting = decode_hello(frame.bytes.view());
    if (!greeting || greeting->id != NodeId{}) return close(conn.id);
    if (auto refusal = judge(context_, *greeting)) {
        send(conn.id, encode_hello_no(context_, *refusal));
        return close(conn.id);
    }
    conn.greeted = true;
    send(conn.id, encode_hello_ok(context_, leader, false));
}

void Clients::route(ClientConn& conn, const io::Frame& frame, NodeId leader) {
    bool good = true;
    switch (static_cast<proto::FrameType>(frame.type)) {
        case proto::FrameType::append: good = appends_->frame(conn, frame); break;
        case proto::FrameType::tail_open: good = tails_->open(conn, frame); break;
        case proto::FrameType::tail_credit: good = tails_->credit(conn, frame); break;
        case proto::FrameType::tail_close: good = tails_->close(conn, frame); break;
        case proto::FrameType::request: good = admin_->request(conn, frame, leader); break;
        default: good = false;
    }
    if (good) return;
    context_.log(LogLevel::warn, "client_frame_bad")("client", conn.peer)("type", frame.type);
    close(conn.id);
}

Instant Clients::deadline() const { return ungreeted_.empty() ? kNever : ungreeted_.front().first; }

void Clients::tick(Instant now) {
    while (!ungreeted_.empty() && ungreeted_.front().first <= now) {
        ClientConn* conn = find(ungreeted_.front().second);
        ungreeted_.pop_front();
        if (conn != nullptr && !conn->greeted) close(conn->id);
    }
}

}  // namespace raftd::daemon
