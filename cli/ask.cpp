#include "cli/ask.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "base/uuid.h"
#include "cli/command.h"
#include "cli/deadline.h"
#include "cli/frame_socket.h"

namespace raftd::cli {
namespace {

/// One conversation: connect, hello, request. Ends with an answer or a failure.
class Conversation {
public:
    Conversation(MemberAnswer& into, const pb::Request& request, std::optional<ClusterId> cluster,
                 const Deadline& deadline)
        : into_(into), request_(request), deadline_(deadline), socket_(into.endpoint) {
        socket_.greet(cluster);
        settle();
    }

    bool done() const { return done_; }
    pollfd interest() const { return socket_.interest(); }
    void give_up(const std::string& why) {
        if (!done_) end(socket_.connected() ? why : "no connection: " + why);
    }
    void ready() {
        socket_.ready([this](const proto::FrameHeader& header, std::string_view message) {
            if (!done_) take_message(header, message);
        });
        settle();
    }

private:
    void end(std::string why) {
        into_.failure = std::move(why);
        done_ = true;
    }
    void settle() {
        if (!done_ && !socket_.failure().empty()) end(socket_.failure());
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
            socket_.send(proto::FrameType::request, request_.SerializeAsString());
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
    FrameSocket socket_;
    bool done_ = false;
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
