#include "cli/ports.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "conf/units.h"

namespace raftd::cli {

bool can_listen(const std::string& address) {
    auto parsed = conf::parse_host_port(address);
    if (!parsed) return false;
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    if (::getaddrinfo(parsed->host.c_str(), std::to_string(parsed->port).c_str(), &hints, &found) != 0)
        return true;
    int probe = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on,
                 sizeof on);  // as the daemon does: TIME_WAIT is no hindrance
    bool free = ::bind(probe, found->ai_addr, found->ai_addrlen) == 0 && ::listen(probe, 1) == 0;
    int number = errno;
    ::close(probe);
    ::freeaddrinfo(found);
    return free || number == EADDRNOTAVAIL;
}

Result<uint16_t> free_port(const std::string& host, uint32_t first) {
    for (uint32_t port = first; port < 32768; ++port)
        if (can_listen(conf::text_of(conf::HostPort{host, static_cast<uint16_t>(port)})))
            return static_cast<uint16_t>(port);
    return error(Errc::conflict,
                 "no port of " + host + " from " + std::to_string(first) + " to 32767 is free",
                 "raftctl init --base-port P begins elsewhere");
}

}  // namespace raftd::cli
