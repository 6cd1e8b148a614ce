// One connection to a member, as frames: non-blocking, for those who wait with poll(). Loopback or any
// network.
#pragma once

#include <poll.h>

#include <functional>
#include <optional>
#include <string>

#include "base/types.h"
#include "proto/frame.h"

namespace raftd::cli {

class FrameSocket {
public:
    /// Begins to connect to `HOST:PORT` or `unix:PATH`.
    explicit FrameSocket(const std::string& endpoint);
    ~FrameSocket();
    FrameSocket(const FrameSocket&) = delete;
    FrameSocket& operator=(const FrameSocket&) = delete;

    /// Why it came to nothing, or ended; empty: it goes on.
    const std::string& failure() const { return failure_; }
    void fail(std::string why);
    bool connected() const { return connected_; }
    pollfd interest() const;

    void send(proto::FrameType type, const std::string& message);
    /// Queues the first message of a client.
    void greet(std::optional<ClusterId> cluster);
    using Take = std::function<void(const proto::FrameHeader& header, std::string_view message)>;
    /// After poll(): writes what is queued, reads what has come, and gives each whole frame to `take`.
    void ready(const Take& take);

private:
    void dial(const std::string& endpoint);
    void dial_unix(const std::string& path);
    void connect_to(int family, const void* address, unsigned bytes);
    bool check_connected();
    void write_some();
    void read_some(const Take& take);
    bool take_frame(const Take& take);

    int socket_ = -1;
    bool connected_ = false;
    std::string failure_, out_, in_;
    size_t in_taken_ = 0;  // bytes at the front of in_ that are no longer needed
};

}  // namespace raftd::cli
