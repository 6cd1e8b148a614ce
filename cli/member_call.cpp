#include "cli/member_call.h"

#include <cerrno>

#include "cli/command.h"
#include "cli/deadline.h"
#include "cli/frame_socket.h"

namespace raftd::cli {

MemberCall::MemberCall(std::string endpoint, Duration timeout)
    : endpoint_(std::move(endpoint)), timeout_(timeout), socket_(std::make_unique<FrameSocket>(endpoint_)) {}
MemberCall::~MemberCall() = default;
MemberCall::MemberCall(MemberCall&&) noexcept = default;

Error MemberCall::lost(Errc code, const std::string& why) const {
    return error(code, endpoint_ + ": " + why);
}

Result<MemberCall> MemberCall::open(const std::string& endpoint, std::optional<ClusterId> cluster,
                                    Duration timeout) {
    MemberCall call(endpoint, timeout);
    call.socket_->greet(cluster);
    while (!call.greeted_) {
        auto waited = call.wait();
        if (!waited && waited.error().code == Errc::unavailable)
            return error(Errc::unreachable, waited.error().what, "raftctl status");
        if (!waited) return waited.error();
    }
    return call;
}

void MemberCall::send(const pb::Request& request) {
    socket_->send(proto::FrameType::request, request.SerializeAsString());
}

Result<pb::Answer> MemberCall::receive() {
    while (answers_.empty()) TRY_VOID(wait());
    pb::Answer answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
}

/// Until something has come.
Result<void> MemberCall::wait() {
    bool came = false;
    auto take = [&](const proto::FrameHeader& header, std::string_view message) {
        const auto type = static_cast<proto::FrameType>(header.type);
        const int bytes = static_cast<int>(message.size());
        came = true;
        if (type == proto::FrameType::hello_ok) greeted_ = true;
        pb::HelloNo no;
        if (type == proto::FrameType::hello_no && no.ParseFromArray(message.data(), bytes)) {
            const bool other = no.code() == pb::HelloNo::OTHER_CLUSTER;
            refused_ = error(other ? Errc::conflict : Errc::unavailable,
                             endpoint_ + (other ? " is of another cluster: " : ": ") + no.what(), no.hint());
        }
        if (type == proto::FrameType::answer &&
            !answers_.emplace_back().ParseFromArray(message.data(), bytes))
            socket_->fail("sent a bad answer");
    };
    const Deadline deadline(timeout_);
    while (!came) {
        if (!socket_->failure().empty()) return lost(Errc::unavailable, socket_->failure());
        if (interrupted()) return lost(Errc::failed, "interrupted");
        if (deadline.over()) return lost(Errc::unavailable, "no answer within " + text_of_duration(timeout_));
        pollfd waiting[2] = {socket_->interest(), {interrupt_fd(), POLLIN, 0}};
        if (::poll(waiting, 2, deadline.left_ms()) < 0 && errno != EINTR)
            return lost(Errc::unavailable, "can't wait");
        if (waiting[0].revents != 0) socket_->ready(take);
    }
    if (refused_) return *refused_;
    return {};
}

}  // namespace raftd::cli
