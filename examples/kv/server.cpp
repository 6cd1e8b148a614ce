#include "kv/server.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace kv {
namespace {

using raftd::Errc;
using raftd::error;
using raftd::Result;

constexpr size_t kConnectionsMax = 256;
constexpr int kTickMs = 100;                // the client library's time-outs need a look that often
constexpr std::chrono::seconds kGrace{10};  // until a client that is still there is left behind at the end

std::string port_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    char port[NI_MAXSERV] = "?";
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0)
        ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, nullptr, 0, port, sizeof port,
                      NI_NUMERICSERV);
    return port;
}

}  // namespace

Result<Server> Server::listen(const std::string& host_port) {
    const size_t colon = host_port.rfind(':');
    if (colon == std::string::npos) return error(Errc::bad_input, host_port + ": not HOST:PORT");
    const std::string host = host_port.substr(0, colon), port = host_port.substr(colon + 1);
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    if (const int why = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); why != 0)
        return error(Errc::bad_input, host_port + ": " + ::gai_strerror(why));
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    const bool ready = fd >= 0 && ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                       ::bind(fd, found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd, SOMAXCONN) == 0;
    const int why = errno;
    ::freeaddrinfo(found);
    if (ready) return Server(fd, host + ":" + port_of(fd));
    if (fd >= 0) ::close(fd);
    return error(Errc::io, host_port + ": " + std::strerror(why));
}

Server::Server(Server&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      address_(std::move(other.address_)),
      connections_(std::move(other.connections_)) {}

Server::~Server() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> Server::run(Replica& replica, const volatile sig_atomic_t& stopping) {
    bool more = false;
    std::optional<std::chrono::steady_clock::time_point> leave;
    while (!stopping || !connections_.empty()) {
        wait(replica, stopping != 0, more);
        const auto now = std::chrono::steady_clock::now();
        if (stopping && !leave) leave = now + kGrace;
        if (leave && now > *leave) break;  // somebody doesn't read the answers
        more = false;
        if (!stopping) accept_all();
        for (const auto& connection : connections_) {
            connection->receive();
            if (!stopping) more |= connection->run(replica);
        }
        TRY(came, replica.turn());
        more |= came;
        for (const auto& connection : connections_) connection->send();
        connections_.remove_if([&](const auto& connection) { return connection->over(stopping != 0); });
    }
    return {};
}

void Server::wait(Replica& replica, bool stopping, bool more) {
    std::vector<pollfd> waiting = {{replica.wait_fd(), POLLIN, 0}};
    if (!stopping && connections_.size() < kConnectionsMax) waiting.push_back({fd_, POLLIN, 0});
    for (const auto& connection : connections_)
        waiting.push_back({connection->fd(), connection->wanted(stopping), 0});
    ::poll(waiting.data(), waiting.size(), more ? 0 : kTickMs);
}

void Server::accept_all() {
    while (connections_.size() < kConnectionsMax) {
        const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        connections_.push_back(std::make_shared<Connection>(fd));
    }
}

}  // namespace kv
