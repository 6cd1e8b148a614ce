#include "kv/ask.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

namespace kv {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr size_t kUnsentBytesMax = 256u << 10;
constexpr int kRetryMs = 50;

/// A connection, closed at the end; -1: there is none.
struct Socket {
    int fd = -1;
    explicit Socket(int from) : fd(from) {}
    ~Socket() {
        if (fd >= 0) ::close(fd);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
};

int connect_to(const std::string& host_port, double timeout_s) {
    const size_t colon = host_port.rfind(':');
    if (colon == std::string::npos) return -1;
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(host_port.substr(0, colon).c_str(), host_port.substr(colon + 1).c_str(), &hints,
                      &found))
        return -1;
    int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval wait{};
    wait.tv_sec = static_cast<time_t>(timeout_s);
    wait.tv_usec = static_cast<suseconds_t>((timeout_s - static_cast<double>(wait.tv_sec)) * 1e6);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);  // of connect(), too
    if (::connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        ::close(fd);
        fd = -1;
    }
    ::freeaddrinfo(found);
    return fd;
}

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> all;
    std::istringstream in(list);
    for (std::string one; std::getline(in, one, ',');) all.push_back(one);
    return all;
}

Answer answer_of(const std::string& line) {
    const Json answer = Json::parse(line, nullptr, false);
    if (!answer.is_object()) return {Answer::Kind::refused, "that was no kvd"};
    if (const Json why = answer.value("error", Json()); why.is_string()) {
        if (why == "unavailable") return {Answer::Kind::unavailable, why};
        if (why == "unknown") return {Answer::Kind::unknown, why};
        return {Answer::Kind::refused, why};
    }
    if (!answer.value("ok", false)) return {Answer::Kind::no, "the key has another value"};
    const Json value = answer.value("value", Json());
    return {Answer::Kind::yes, value.is_string() ? value.get<std::string>() : value.dump()};
}

/// `unavailable`: it surely wasn't sent.
Answer ask_one(const std::string& server, const std::string& line, double timeout_s) {
    const Socket socket(connect_to(server, timeout_s));
    if (socket.fd < 0) return {Answer::Kind::unavailable, "no connection to " + server};
    for (std::string_view left = line; !left.empty();) {
        const ssize_t count = ::send(socket.fd, left.data(), left.size(), MSG_NOSIGNAL);
        if (count <= 0) return {Answer::Kind::unavailable, server + " has gone"};  // no whole line was sent
        left.remove_prefix(static_cast<size_t>(count));
    }
    std::string came;
    char bytes[4096];
    while (came.find('\n') == std::string::npos) {
        const ssize_t count = ::recv(socket.fd, bytes, sizeof bytes, 0);
        if (count <= 0) return {Answer::Kind::unknown, server + " has gone"};
        came.append(bytes, static_cast<size_t>(count));
    }
    return answer_of(came.substr(0, came.find('\n')));
}

}  // namespace

std::optional<std::string> command_line(const std::string& op, const std::string& key,
                                        const std::vector<std::string>& values, bool json) {
    Json line = {{"op", op}, {"key", key}};
    static const std::vector<std::string> kSet = {"value"}, kCas = {"old", "new"};
    const std::vector<std::string>& names = op == "cas" ? kCas : kSet;
    for (size_t i = 0; i < values.size(); ++i) {
        line[names.at(i)] = json ? Json::parse(values[i], nullptr, false) : Json(values[i]);
        if (line[names[i]].is_discarded()) return std::nullopt;
    }
    try {
        return line.dump() + "\n";
    } catch (const Json::exception&) {
        return std::nullopt;  // a text that isn't UTF-8
    }
}

Answer ask(const std::string& servers, const std::string& line, bool changes, double timeout_s) {
    const auto until = Clock::now() + std::chrono::duration<double>(timeout_s);
    for (;;) {
        for (const std::string& server : split(servers)) {
            const double left = std::chrono::duration<double>(until - Clock::now()).count();
            const Answer answer = ask_one(server, line, std::max(left, 0.01));
            const bool again = answer.kind == Answer::Kind::unavailable ||
                               (answer.kind == Answer::Kind::unknown && !changes);
            if (!again) return answer;
            if (Clock::now() >= until) return {Answer::Kind::unavailable, answer.value};
        }
        ::poll(nullptr, 0, kRetryMs);
    }
}

std::optional<size_t> ask_all(const std::string& servers) {
    int fd = -1;
    for (const std::string& server : split(servers))
        if (fd < 0) fd = connect_to(server, 0);
    if (fd < 0) return std::nullopt;
    const Socket socket(fd);
    std::string unsent, bytes(64u << 10, '\0');
    size_t asked = 0, answered = 0;
    bool input = true, whole = true;
    for (;;) {
        pollfd waiting[2] = {{socket.fd, static_cast<short>(POLLIN | (unsent.empty() ? 0 : POLLOUT)), 0},
                             {input && unsent.size() < kUnsentBytesMax ? STDIN_FILENO : -1, POLLIN, 0}};
        ::poll(waiting, 2, -1);
        if (waiting[1].revents != 0) {
            const ssize_t count = std::max<ssize_t>(::read(STDIN_FILENO, bytes.data(), bytes.size()), 0);
            unsent.append(bytes, 0, static_cast<size_t>(count));
            input = count > 0;
            if (input) whole = unsent.back() == '\n';
            if (!input && !whole) unsent += '\n';
            asked += static_cast<size_t>(std::count(bytes.begin(), bytes.begin() + count, '\n'));
            if (!input) asked += whole ? 0 : 1;
        }
        if ((waiting[0].revents & POLLOUT) != 0) {
            const ssize_t count =
                ::send(socket.fd, unsent.data(), unsent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count > 0) unsent.erase(0, static_cast<size_t>(count));
        }
        if (!input && unsent.empty()) ::shutdown(socket.fd, SHUT_WR);  // it answers all, then closes
        if ((waiting[0].revents & ~POLLOUT) == 0) continue;
        const ssize_t count = ::recv(socket.fd, bytes.data(), bytes.size(), 0);
        if (count <= 0) return asked - std::min(asked, answered);
        std::fwrite(bytes.data(), 1, static_cast<size_t>(count), stdout);
        std::fflush(stdout);
        answered += static_cast<size_t>(std::count(bytes.begin(), bytes.begin() + count, '\n'));
    }
}

}  // namespace kv
