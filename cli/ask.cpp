#include "cli/ask.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/uuid.h"
#include "cli/command.h"
#include "cli/deadline.h"
#include "conf/units.h"
#include "proto/frame.h"

namespace raftd::cli {
namespace {

constexpr uint32_t kMagic = 0x52414654;
constexpr uint32_t kAnswerBytesMax = 16u << 20;

std::string lower(std::string text) {
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

/// One conversation: connect, hello, request. Ends with an answer or a failure.
class Conversation {
public:
    Conversation(MemberAnswer& into, const pb::Request& request, std::optional<ClusterId> cluster,
                 const Deadline& deadline)
        : into_(into), request_(request), deadline_(deadline) {
        dial();
        if (done_) return;
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
    ~Conversation() {
        if (socket_ >= 0) ::close(socket_);
    }
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    bool done() const { return done_; }
    pollfd interest() const {
        return {socket_, static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    }
    void give_up(const std::string& why) {
        if (!done_) end(connected_ ? why : "no connection: " + why);
    }
    void ready() {
        if (!connected_ && !check_connected()) return;
        write_some();
        read_some();
    }

private:
    void end(std::string why) {
        into_.failure = std::move(why);
        done_ = true;
    }
    void dial() {
        if (into_.endpoint.starts_with("unix:")) return dial_unix(into_.endpoint.substr(5));
        auto address = conf::parse_host_port(into_.endpoint);
        if (!address) return end("not HOST:PORT");
        addrinfo hints{}, *found = nullptr;
        hints.ai_socktype = SOCK_STREAM;
        int fault =
            ::getaddrinfo(address->host.c_str(), std::to_string(address->port).c_str(), &hints, &found);
        if (fault != 0) return end(std::string("can't resolve: ") + ::gai_strerror(fault));
        connect_to(found->ai_family, found->ai_addr, found->ai_addrlen);
        ::freeaddrinfo(found);
    }
    void dial_unix(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path) return end("its path is too long for a socket");
        std::memcpy(address.sun_path, path.data(), path.size());
        connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    void connect_to(int family, const sockaddr* address, socklen_t bytes) {
        socket_ = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int done = socket_ < 0 ? -1 : ::connect(socket_, address, bytes);
        if (done != 0 && errno != EINPROGRESS) end(lower(std::strerror(errno)));
    }
    bool check_connected() {
        int number = 0;
        socklen_t size = sizeof number;
        ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &number, &size);
        if (number != 0) end(lower(std::strerror(number)));
        connected_ = number == 0;
        return connected_;
    }
    void send(proto::FrameType type, const std::string& message) {
        Slice frame = proto::make_message_frame(type, 1, as_bytes(message));
        out_ += as_text(frame.view());
    }
    void write_some() {
        if (done_ || out_.empty()) return;
        ssize_t count = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL);
        if (count > 0) out_.erase(0, static_cast<size_t>(count));
        if (count < 0 && errno != EAGAIN && errno != EINTR) end(lower(std::strerror(errno)));
    }
    void read_some() {
        char buffer[65536];
        while (!done_) {
            ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0 && errno == EAGAIN) return;
            if (count < 0) return end(lower(std::strerror(errno)));
            if (count == 0) return end("closed the connection without an answer");
            in_.append(buffer, static_cast<size_t>(count));
            while (!done_ && take_frame()) {
            }
        }
    }
    bool take_frame() {
        proto::FrameHeader header;
        if (in_.size() < sizeof header) return false;
        std::memcpy(&header, in_.data(), sizeof header);
        if (auto fault = proto::check_header(header, kAnswerBytesMax); fault != proto::FrameFault::none) {
            end(std::string("doesn't speak raftd's protocol: frame ") + proto::text_of(fault));
            return false;
        }
        if (in_.size() < header.length) return false;
        ByteView payload =
            as_bytes(std::string_view(in_)).subspan(sizeof header, header.length - sizeof header);
        if (auto fault = proto::check_payload(header, payload); fault != proto::FrameFault::none)
            end(std::string("sent a damaged frame: ") + proto::text_of(fault));
        else
            take_message(header, as_text(proto::message_in(payload)));
        in_.erase(0, header.length);
        return true;
    }
    void take_message(const proto::FrameHeader& header, std::string_view message) {
        auto type = static_cast<proto::FrameType>(header.type);
        if (type == proto::FrameType::hello_ok) {
            if (std::exchange(greeted_, true)) return;  // again, since the members changed
            pb::HelloOk ok;
            if (!ok.ParseFromArray(message.data(), static_cast<int>(message.size())))
                return end("sent a bad handshake");
            into_.node_id = ok.node_id();
            into_.cluster_name = ok.cluster_name();
            asked_at_ = deadline_.left();
            send(proto::FrameType::request, request_.SerializeAsString());
            write_some();
        } else if (type == proto::FrameType::hello_no) {
            pb::HelloNo no;
            if (!no.ParseFromArray(message.data(), static_cast<int>(message.size()))) return end("refused");
            into_.other_cluster = no.code() == pb::HelloNo::OTHER_CLUSTER;
            end(no.what().empty() ? "refused the handshake" : no.what());
        } else if (type == proto::FrameType::answer) {
            into_.answer.emplace();
            into_.rtt_ms = static_cast<double>((asked_at_ - deadline_.left()).ns) / 1e6;
            done_ = true;
            if (into_.answer->ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
            into_.answer.reset();
            into_.failure = "sent a bad answer";
        }
    }

    bool greeted_ = false;
    MemberAnswer& into_;
    const pb::Request& request_;
    const Deadline& deadline_;
    int socket_ = -1;
    bool connected_ = false, done_ = false;
    std::string out_, in_;
    Duration asked_at_;
};

}  // namespace

std::vector<MemberAnswer> ask_each(const std::vector<std::string>& endpoints, const pb::Request& request,
                                   Duration timeout, std::optional<ClusterId> cluster) {
    Deadline deadline(timeout);
    std::vector<MemberAnswer> answers(endpoints.size());
    std::vector<std::unique_ptr<Conversation>> conversations;
    for (size_t i = 0; i < endpoints.size(); ++i) {
        answers[i].endpoint = endpoints[i];
        conversations.push_back(std::make_unique<Conversation>(answers[i], request, cluster, deadline));
    }
    while (!deadline.over() && !interrupted()) {
        std::vector<pollfd> waiting;
        std::vector<Conversation*> open;
        for (auto& conversation : conversations)
            if (!conversation->done()) {
                waiting.push_back(conversation->interest());
                open.push_back(conversation.get());
            }
        if (open.empty()) break;
        waiting.push_back({interrupt_fd(), POLLIN, 0});
        if (::poll(waiting.data(), waiting.size(), deadline.left_ms()) < 0 && errno != EINTR) break;
        for (size_t i = 0; i < open.size(); ++i)
            if (waiting[i].revents != 0) open[i]->ready();
    }
    std::string why = interrupted() ? "interrupted" : "no answer within " + text_of_duration(timeout);
    for (auto& conversation : conversations) conversation->give_up(why);
    return answers;
}

}  // namespace raftd::cli
