// Questions to one member on one connection that stays. Blocking; one thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/instant.h"
#include "base/result.h"
#include "base/types.h"
#include "proto/control.pb.h"

namespace raftd::cli {

class FrameSocket;

class MemberCall {
public:
    /// Shakes hands. `timeout`: without progress, here and below. Errors: unreachable, conflict (a member of
    /// another cluster), failed (interrupted).
    static Result<MemberCall> open(const std::string& endpoint, std::optional<ClusterId> cluster,
                                   Duration timeout);
    ~MemberCall();
    MemberCall(MemberCall&&) noexcept;
    MemberCall& operator=(MemberCall&&) = delete;

    /// Queues a request; receive() sends it.
    void send(const pb::Request& request);
    /// The next answer, in the order of the requests. Errors: unavailable (the connection ended, or nothing
    /// came in time), failed (interrupted).
    Result<pb::Answer> receive();
    Result<pb::Answer> ask(const pb::Request& request) {
        send(request);
        return receive();
    }

private:
    MemberCall(std::string endpoint, Duration timeout);
    Result<void> wait();
    Error lost(Errc code, const std::string& why) const;

    std::string endpoint_;
    Duration timeout_;
    std::unique_ptr<FrameSocket> socket_;
    bool greeted_ = false;
    std::optional<Error> refused_;
    std::deque<pb::Answer> answers_;
};

}  // namespace raftd::cli
