#include "cli/frame_socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "conf/units.h"
#include "proto/control.pb.h"

namespace raftd::cli {
namespace {

constexpr uint32_t kMagic = 0x52414654;
constexpr uint32_t kFrameBytesMax = 17u << 20;

std::string lower(std::string text) {
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

}  // namespace

FrameSocket::FrameSocket(const std::string& endpoint) { dial(endpoint); }

FrameSocket::~FrameSocket() {
    if (socket_ >= 0) ::close(socket_);
}

void FrameSocket::fail(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
}

pollfd FrameSocket::interest() const {
    return {socket_, static_cast<short>(out_.empty() && connected_ ? POLLIN : POLLIN | POLLOUT), 0};
}

void FrameSocket::dial(const std::string& endpoint) {
    if (endpoint.starts_with("unix:")) return dial_unix(endpoint.substr(5));
    auto address = conf::parse_host_port(endpoint);
    if (!address) return fail("not HOST:PORT");
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    int fault = ::getaddrinfo(address->host.c_str(), std::to_string(address->port).c_str(), &hints, &found);
    if (fault != 0) return fail(std::string("can't resolve: ") + ::gai_strerror(fault));
    connect_to(found->ai_family, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
}

void FrameSocket::dial_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail("its path is too long for a socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    connect_to(AF_UNIX, &address, sizeof address);
}

void FrameSocket::connect_to(int family, const void* address, unsigned bytes) {
    socket_ = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int done = socket_ < 0 ? -1 : ::connect(socket_, static_cast<const sockaddr*>(address), bytes);
    if (done != 0 && errno != EINPROGRESS) fail(lower(std::strerror(errno)));
}

bool FrameSocket::check_connected() {
    int number = 0;
    socklen_t size = sizeof number;
    ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &number, &size);
    if (number != 0) fail(lower(std::strerror(number)));
    connected_ = number == 0;
    return connected_;
}

void FrameSocket::send(proto::FrameType type, const std::string& message) {
    Slice frame = proto::make_message_frame(type, 1, as_bytes(message));
    out_ += as_text(frame.view());
}

void FrameSocket::greet(std::optional<ClusterId> cluster) {
    pb::Hello hello;
    hello.set_magic(kMagic);
    hello.set_version_min(1);
    hello.set_version_max(1);
    if (cluster) {
        hello.mutable_cluster_id()->set_high(cluster->high);
        hello.mutable_cluster_id()->set_low(cluster->low);
    }
    send(proto::FrameType::hello, hello.SerializeAsString());
}

void FrameSocket::ready(const Take& take) {
    if (!connected_ && !check_connected()) return;
    write_some();
    read_some(take);
    write_some();  // what that asked for
}

void FrameSocket::write_some() {
    if (!failure_.empty() || out_.empty()) return;
    ssize_t count = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (count > 0) out_.erase(0, static_cast<size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) fail(lower(std::strerror(errno)));
}

void FrameSocket::read_some(const Take& take) {
    char buffer[65536];
    while (failure_.empty()) {
        ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return;
        if (count < 0) return fail(lower(std::strerror(errno)));
        if (count == 0) return fail("closed the connection without an answer");
        in_.append(buffer, static_cast<size_t>(count));
        while (failure_.empty() && take_frame(take)) {
        }
        in_.erase(0, std::exchange(in_taken_, 0));
    }
}

bool FrameSocket::take_frame(const Take& take) {
    proto::FrameHeader header;
    const std::string_view left = std::string_view(in_).substr(in_taken_);
    if (left.size() < sizeof header) return false;
    std::memcpy(&header, left.data(), sizeof header);
    if (auto fault = proto::check_header(header, kFrameBytesMax); fault != proto::FrameFault::none) {
        fail(std::string("doesn't speak raftd's protocol: frame ") + proto::text_of(fault));
        return false;
    }
    if (left.size() < header.length) return false;
    in_taken_ += header.length;
    ByteView payload = as_bytes(left).subspan(sizeof header, header.length - sizeof header);
    if (auto fault = proto::check_payload(header, payload); fault != proto::FrameFault::none)
        fail(std::string("sent a damaged frame: ") + proto::text_of(fault));
    else
        take(header, as_text(proto::message_in(payload)));
    return true;
}

}  // namespace raftd::cli
