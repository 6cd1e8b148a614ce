// Socket calls with the options that every connection gets. Addresses are `HOST:PORT`, `[V6]:PORT` or
// `unix:PATH`. Nothing here blocks but the look-up of a name for listening, at start-up. Errors are errno
// values.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "io/network.h"

namespace raftd::io::asio {

struct Address {
    bool local = false;         // a unix socket
    std::string host, service;  // host is the path of a unix socket
};
/// False when the text has neither form.
bool parse_address(std::string_view text, Address& address);

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t bytes = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
/// All addresses of a numeric host (or of a name, when that may block); empty when it is a name, or unknown.
/// Not for unix sockets.
std::vector<SocketAddress> look_up(const Address& address, bool may_block);
std::string text_of(const SocketAddress& address);

/// A listening socket, or -1 and `error`. A unix socket gets mode 0600; a file left by a dead process is
/// replaced.
int listen_on(const Address& address, int& error);
/// A socket that begins to connect, or -1 and `error`.
int begin_connect(const SocketAddress& address, int& error);
int begin_connect_local(const std::string& path, int& error);
/// What became of it, once writable; 0: connected.
int connect_outcome(int socket);
SocketAddress local_address(int socket);
SocketAddress remote_address(int socket);

/// No delay; dead peers are noticed; what the kernel holds unsent stays small, so that what is queued is ours
/// to see.
void set_options(int socket, ConnClass kind, Duration peer_user_timeout);

}  // namespace raftd::io::asio
