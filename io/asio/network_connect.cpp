// RealNetwork: how connections come to be and end. Dialling, listening, limits, draining.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/check.h"
#include "io/asio/network.h"

namespace raftd::io::asio {
namespace {

constexpr int kAcceptsAtOnce = 32;
constexpr int kRefusalsAtOnce = 8;
constexpr Duration kPauseAtLimit = milliseconds(50);
constexpr Duration kPauseMin = milliseconds(50), kPauseMax = seconds(1);
constexpr size_t kClosingMax = 256;  // closed connections that may drain at a time

bool is_peer(ConnClass kind) { return kind == ConnClass::peer_control || kind == ConnClass::peer_bulk; }

/// Clients get what the descriptor limit leaves when files, peers and the next segment have theirs.
uint32_t clients_max(const LoopOptions& options) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return options.connections_max;
    uint64_t all = limit.rlim_cur;
    uint64_t reserve = std::min<uint64_t>(options.descriptors_reserve, all / 2);
    return static_cast<uint32_t>(std::min<uint64_t>(options.connections_max, all - reserve));
}

CloseReason reason_of_connect(int error) {
    if (error == ECONNREFUSED || error == ENOENT) return CloseReason::refused;
    return error == ETIMEDOUT ? CloseReason::timed_out : CloseReason::unreachable;
}

auto chrono_of(Duration duration) { return std::chrono::nanoseconds(duration.ns); }

}  // namespace

RealNetwork::RealNetwork(boost::asio::io_context& context, const LoopOptions& options, LogSink& log,
                         LoopCounters& counters)
    : context_(context),
      options_(options),
      log_(log),
      counters_(counters),
      resolver_(context),
      clients_max_(clients_max(options)) {}

RealNetwork::~RealNetwork() {
    for (const auto& listener : listeners_)
        if (!listener->unix_path.empty()) ::unlink(listener->unix_path.c_str());
}

Connection& RealNetwork::add(ConnClass kind, bool accepted) {
    ConnId id{++last_id_};
    FrameReader::Options reader{options_.frame_bytes_max, is_peer(kind)};
    auto made = std::make_unique<Connection>(context_, pool_, id, kind, reader);
    made->accepted = accepted;
    if (accepted) ++(is_peer(kind) ? accepted_peers_ : accepted_clients_);
    return *connections_.emplace(last_id_, std::move(made)).first->second;
}

ConnId RealNetwork::connect(ConnClass kind, std::string_view text) {
    Connection& conn = add(kind, false);
    set_timer(conn, options_.connect_timeout);
    Address address;
    conn.connect_error = EADDRNOTAVAIL;
    if (!parse_address(text, address)) {
        try_next_address(conn);
    } else if (address.local) {
        int socket = begin_connect_local(address.host, conn.connect_error);
        if (socket < 0) {
            try_next_address(conn);
        } else if (attach(conn, socket)) {
            wait_writable(conn);
        } else {
            try_next_address(conn);
        }
    } else {
        conn.untried = look_up(address, false);
        if (conn.untried.empty())
            resolve(conn, address);
        else
            try_next_address(conn);
    }
    return conn.id;
}

/// Gives the socket to the connection and the reactor; closes it when the system refuses.
bool RealNetwork::attach(Connection& conn, int socket) {
    boost::system::error_code error;
    conn.socket.assign(socket, error);
    if (!error) return true;
    conn.connect_error = error.value();
    ::close(socket);
    return false;
}

void RealNetwork::resolve(Connection& conn, const Address& address) {
    resolver_.async_resolve(address.host, address.service, boost::asio::ip::resolver_base::numeric_service,
                            [this, id = conn.id](boost::system::error_code error,
                                                 const boost::asio::ip::tcp::resolver::results_type& found) {
                                Connection* asked = find(id);
                                if (asked == nullptr || asked->state != Connection::State::connecting) return;
                                if (!error)
                                    for (const auto& each : found) {
                                        SocketAddress one;
                                        one.bytes = static_cast<socklen_t>(each.endpoint().size());
                                        std::memcpy(&one.storage, each.endpoint().data(), one.bytes);
                                        asked->untried.push_back(one);
                                    }
                                try_next_address(*asked);
                            });
}

void RealNetwork::try_next_address(Connection& conn) {
    while (!conn.untried.empty()) {
        SocketAddress address = conn.untried.front();
        conn.untried.erase(conn.untried.begin());
        int socket = begin_connect(address, conn.connect_error);
        if (socket < 0 || !attach(conn, socket)) continue;
        wait_writable(conn);
        return;
    }
    end(conn, reason_of_connect(conn.connect_error));
}

void RealNetwork::on_connected(Connection& conn) {
    conn.connect_error = connect_outcome(conn.socket.native_handle());
    if (conn.connect_error != 0) {
        conn.socket.close();
        try_next_address(conn);
        return;
    }
    conn.timer.cancel();
    opened(conn, text_of(remote_address(conn.socket.native_handle())));
}

void RealNetwork::opened(Connection& conn, std::string peer) {
    set_options(conn.socket.native_handle(), conn.kind, options_.peer_user_timeout);
    conn.state = Connection::State::open;
    notices_.push_back(Opened{conn.id, conn.kind, conn.accepted, std::move(peer)});
    wait_readable(conn);
    if (!conn.queue.empty()) touch(conn);
}

int RealNetwork::listen(ConnClass kind, std::string_view text) {
    Address address;
    if (!parse_address(text, address)) return EINVAL;
    int error = 0;
    int socket = listen_on(address, error);
    if (socket < 0) return error;
    auto listener = std::make_unique<Listener>(context_);
    listener->kind = kind;
    boost::system::error_code refused;
    listener->socket.assign(socket, refused);
    if (refused) {
        ::close(socket);
        return refused.value();
    }
    if (address.local) listener->unix_path = address.host;
    listener->address = address.local ? std::string(text) : text_of(local_address(socket));
    listeners_.push_back(std::move(listener));
    wait_for_connections(*listeners_.back());
    return 0;
}

std::vector<std::string> RealNetwork::listening() const {
    std::vector<std::string> all;
    for (const auto& listener : listeners_) all.push_back(listener->address);
    return all;
}

void RealNetwork::wait_for_connections(Listener& listener) {
    listener.waiting = true;
    listener.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                               [this, &listener](boost::system::error_code error) {
                                   if (error) return;
                                   listener.waiting = false;  // asked for again at the end of the turn
                                   accept_some(listener);
                               });
}

bool RealNetwork::room_for(ConnClass kind) const {
    return is_peer(kind) ? accepted_peers_ < options_.peer_connections_max : accepted_clients_ < clients_max_;
}

/// Out of descriptors or room, it takes a pause by the timer: an acceptor that tries again at once spins, one
/// that gives up is deaf for good.
void RealNetwork::accept_some(Listener& listener) {
    int refused = 0;
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
        int socket =
            ::accept4(listener.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) break;
            if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
            Duration pause = std::clamp(listener.pause * 2, kPauseMin, kPauseMax);
            pause_accepting(listener, pause, std::generic_category().message(errno));
            return;
        }
        if (room_for(listener.kind)) {
            adopt(socket, listener);
            continue;
        }
        ::close(socket);
        if (++refused == kRefusalsAtOnce) {
            pause_accepting(listener, kPauseAtLimit, "limit of connections");
            return;
        }
    }
    listener.pause = {};
}

void RealNetwork::pause_accepting(Listener& listener, Duration pause, const std::string& why) {
    if (listener.pause == Duration{})
        LogLine(log_, LogLevel::warn, "accept_paused")("address", listener.address)("why", why)(
            "clients", accepted_clients_);
    listener.pause = pause;
    listener.waiting = true;
    listener.timer.expires_after(chrono_of(pause));
    listener.timer.async_wait([&listener](boost::system::error_code cancelled) {
        if (!cancelled) listener.waiting = false;
    });
}

void RealNetwork::adopt(int socket, const Listener& listener) {
    Connection& conn = add(listener.kind, true);
    if (!attach(conn, socket)) {
        let_go(conn);
        return;
    }
    opened(conn, listener.unix_path.empty() ? text_of(remote_address(socket)) : listener.address);
}

void RealNetwork::set_timer(Connection& conn, Duration after) {
    conn.timer.expires_after(chrono_of(after));
    conn.timer.async_wait([this, id = conn.id](boost::system::error_code cancelled) {
        Connection* late = cancelled ? nullptr : find(id);
        if (late == nullptr) return;
        if (late->state == Connection::State::connecting) end(*late, CloseReason::timed_out);
        if (late->state == Connection::State::draining || late->state == Connection::State::emptied)
            let_go(*late);
    });
}

/// The node will hear of it in a later turn, once; until then the connection keeps its id.
void RealNetwork::end(Connection& conn, CloseReason why) {
    if (conn.state == Connection::State::ended || conn.state == Connection::State::gone) return;
    conn.state = Connection::State::ended;
    conn.timer.cancel();
    if (conn.socket.is_open()) conn.socket.close();
    conn.queue.clear();
    notices_.push_back(Closed{conn.id, why});
}

void RealNetwork::close(ConnId id) {
    Connection* conn = find(id);
    if (conn == nullptr) return;
    if (conn->state != Connection::State::open || conn->send_error != 0) {
        if (conn->state != Connection::State::draining && conn->state != Connection::State::emptied)
            let_go(*conn);
        return;
    }
    conn->state = Connection::State::draining;
    conn->paused = false;
    set_timer(*conn, options_.linger);
    touch(*conn);
}

/// All that was queued is sent. Says so to the other end, and waits for it to close.
void RealNetwork::drained(Connection& conn) {
    size_t closing =
        static_cast<size_t>(std::count_if(connections_.begin(), connections_.end(), [](const auto& each) {
            return each.second->state == Connection::State::emptied;
        }));
    ::shutdown(conn.socket.native_handle(), SHUT_WR);
    conn.state = Connection::State::emptied;
    if (closing >= kClosingMax)
        let_go(conn);
    else
        discard_input(conn);
}

void RealNetwork::let_go(Connection& conn) {
    if (conn.state == Connection::State::gone) return;
    conn.state = Connection::State::gone;
    conn.timer.cancel();
    if (conn.socket.is_open()) conn.socket.close();
    if (conn.accepted) --(is_peer(conn.kind) ? accepted_peers_ : accepted_clients_);
    auto node = connections_.extract(static_cast<uint64_t>(conn.id));
    gone_.push_back(std::move(node.mapped()));
}

}  // namespace raftd::io::asio
