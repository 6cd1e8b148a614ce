#include "io/asio/sockets.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace raftd::io::asio {
namespace {

constexpr int kBacklog = 1024;

void set_option(int socket, int level, int name, int value) {
    ::setsockopt(socket, level, name, &value, sizeof value);  // an option that a system lacks is no error
}

/// A path too long for a socket address is reached through its folder's descriptor.
class SocketPath {
public:
    explicit SocketPath(const std::string& path) : path_(path) {
        if (path.size() < sizeof(sockaddr_un::sun_path)) return;
        size_t slash = path.rfind('/');
        if (slash == std::string::npos) return;
        folder_ = ::open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (folder_ >= 0) path_ = "/proc/self/fd/" + std::to_string(folder_) + path.substr(slash);
    }
    ~SocketPath() {
        if (folder_ >= 0) ::close(folder_);
    }
    SocketPath(const SocketPath&) = delete;
    SocketPath& operator=(const SocketPath&) = delete;

    bool fill(SocketAddress& address) const {
        auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
        if (path_.size() >= sizeof local->sun_path) return false;
        local->sun_family = AF_UNIX;
        std::memcpy(local->sun_path, path_.c_str(), path_.size() + 1);
        address.bytes = static_cast<socklen_t>(sizeof(sockaddr_un));
        return true;
    }

private:
    std::string path_;
    int folder_ = -1;
};

int new_socket(int family, int& error) {
    int socket = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    error = socket < 0 ? errno : 0;
    return socket;
}

int close_and_say(int socket, int why, int& error) {
    ::close(socket);
    error = why;
    return -1;
}

/// True when the socket file has no listener: what a killed process leaves.
bool nobody_listens(const SocketAddress& address) {
    int error = 0;
    int socket = new_socket(AF_UNIX, error);
    if (socket < 0) return false;
    bool refused = ::connect(socket, address.get(), address.bytes) != 0 && errno == ECONNREFUSED;
    ::close(socket);
    return refused;
}

int listen_local(const std::string& path, int& error) {
    SocketPath socket_path(path);
    SocketAddress address;
    if (!socket_path.fill(address)) {
        error = ENAMETOOLONG;
        return -1;
    }
    int socket = new_socket(AF_UNIX, error);
    if (socket < 0) return -1;
    mode_t before = ::umask(0177);
    int bound = ::bind(socket, address.get(), address.bytes);
    if (bound != 0 && errno == EADDRINUSE) {
        if (nobody_listens(address)) ::unlink(path.c_str());
        bound = ::bind(socket, address.get(), address.bytes);
    }
    int why = errno;
    ::umask(before);
    if (bound != 0) return close_and_say(socket, why, error);
    if (::listen(socket, kBacklog) != 0) return close_and_say(socket, errno, error);
    return socket;
}

SocketAddress address_by(int socket, int (*ask)(int, sockaddr*, socklen_t*)) {
    SocketAddress address;
    address.bytes = sizeof address.storage;
    if (ask(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) != 0) address.bytes = 0;
    return address;
}

}  // namespace

bool parse_address(std::string_view text, Address& address) {
    constexpr std::string_view kUnix = "unix:";
    if (text.starts_with(kUnix)) {
        address = {true, std::string(text.substr(kUnix.size())), {}};
        return !address.host.empty();
    }
    size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) return false;
    std::string_view host = text.substr(0, colon), service = text.substr(colon + 1);
    if (host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    else if (host.find(':') != std::string_view::npos)
        return false;  // an IPv6 address needs its brackets: where the port begins would be a guess
    unsigned port = 0;
    for (char c : service) {
        if (c < '0' || c > '9') return false;
        port = port * 10 + static_cast<unsigned>(c - '0');
        if (port > 65535) return false;
    }
    address = {false, std::string(host), std::string(service)};
    return !host.empty();
}

std::vector<SocketAddress> look_up(const Address& address, bool may_block) {
    std::vector<SocketAddress> found;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (may_block ? 0 : AI_NUMERICHOST);
    addrinfo* list = nullptr;
    if (::getaddrinfo(address.host.c_str(), address.service.c_str(), &hints, &list) != 0) return found;
    for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
        SocketAddress one;
        std::memcpy(&one.storage, each->ai_addr, each->ai_addrlen);
        one.bytes = each->ai_addrlen;
        found.push_back(one);
    }
    ::freeaddrinfo(list);
    return found;
}

std::string text_of(const SocketAddress& address) {
    if (address.bytes == 0) return "?";
    if (address.storage.ss_family == AF_UNIX) {
        const auto* local = reinterpret_cast<const sockaddr_un*>(&address.storage);
        return address.bytes <= sizeof(sa_family_t) ? "unix:" : std::string("unix:") + local->sun_path;
    }
    char host[NI_MAXHOST], service[NI_MAXSERV];
    if (::getnameinfo(address.get(), address.bytes, host, sizeof host, service, sizeof service,
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "?";
    bool v6 = address.storage.ss_family == AF_INET6;
    return (v6 ? "[" : "") + std::string(host) + (v6 ? "]:" : ":") + service;
}

int listen_on(const Address& address, int& error) {
    if (address.local) return listen_local(address.host, error);
    error = EADDRNOTAVAIL;
    for (const SocketAddress& candidate : look_up(address, true)) {
        int socket = new_socket(candidate.storage.ss_family, error);
        if (socket < 0) continue;
        set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
        if (::bind(socket, candidate.get(), candidate.bytes) == 0 && ::listen(socket, kBacklog) == 0)
            return socket;
        close_and_say(socket, errno, error);
    }
    return -1;
}

int begin_connect(const SocketAddress& address, int& error) {
    int socket = new_socket(address.storage.ss_family, error);
    if (socket < 0) return -1;
    if (::connect(socket, address.get(), address.bytes) != 0 && errno != EINPROGRESS)
        return close_and_say(socket, errno, error);
    return socket;
}

int begin_connect_local(const std::string& path, int& error) {
    SocketPath socket_path(path);
    SocketAddress address;
    if (socket_path.fill(address)) return begin_connect(address, error);
    error = ENAMETOOLONG;
    return -1;
}

int connect_outcome(int socket) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return errno;
    if (error != 0) return error;
    // TCP lets a socket connect to itself when the system picked the dialled port for it: nobody listens
    // there.
    SocketAddress local = local_address(socket), remote = remote_address(socket);
    if (remote.bytes == 0) return ENOTCONN;
    if (local.storage.ss_family != AF_UNIX && text_of(local) == text_of(remote)) return ECONNREFUSED;
    return 0;
}

SocketAddress local_address(int socket) { return address_by(socket, ::getsockname); }
SocketAddress remote_address(int socket) { return address_by(socket, ::getpeername); }

void set_options(int socket, ConnClass kind, Duration peer_user_timeout) {
    bool peer = kind == ConnClass::peer_control || kind == ConnClass::peer_bulk;
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, peer ? 3 : 30);
    set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, peer ? 1 : 10);
    set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
    if (peer) {
        set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(peer_user_timeout.ns / 1'000'000));
        // Bounds what waits unsent in the kernel, not what is under way: a long fat link still fills.
        set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1 << 20);
    } else {
        set_option(socket, SOL_SOCKET, SO_SNDBUF, 1 << 20);
    }
}

}  // namespace raftd::io::asio
