// Whole frames in both directions. A frame is a 16-byte header (proto/frame.h) and its payload; splitting and
// the header's checksum are done inside the world, so a node only ever sees whole, undamaged frames.
#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"

namespace raftd::io {

enum class ConnId : uint64_t {};
inline constexpr ConnId kNoConn{0};

enum class ConnClass : uint8_t { peer_control, peer_bulk, client, admin };
enum class CloseReason : uint8_t { local, remote, reset, refused, unreachable, timed_out, protocol };

constexpr std::string_view text_of(CloseReason why) {
    switch (why) {
        case CloseReason::local: return "closed";
        case CloseReason::remote: return "the other end closed the connection";
        case CloseReason::reset: return "connection reset";
        case CloseReason::refused: return "connection refused";
        case CloseReason::unreachable: return "no route";
        case CloseReason::timed_out: return "timed out";
        case CloseReason::protocol: return "doesn't speak this protocol";
    }
    return "closed";
}

class Network {
public:
    virtual ~Network() = default;
    /// Begins to connect; Event{Opened} or Event{Closed} follows. Address: `host:port`, or `unix:PATH`.
    virtual ConnId connect(ConnClass kind, std::string_view address) = 0;
    /// Accepts from now on; Event{Opened} each. Returns an errno value, 0 = listening.
    virtual int listen(ConnClass kind, std::string_view address) = 0;
    /// Queues parts of one or more whole frames, header included; the parts are held until sent. Leaves at
    /// the end of the turn, one sendmsg a connection. On a connection that has ended: dropped.
    virtual void send(ConnId conn, std::span<const Slice> parts) = 0;
    /// Bytes queued and not yet taken by the kernel. When it was above high water and falls below,
    /// Event{Writable}.
    virtual uint64_t queued_bytes(ConnId conn) = 0;
    /// Bytes sent that the other machine hasn't acknowledged, those queued included; 0: not known, or none.
    /// Falling, they show that the other end is there, however long a frame takes. May be a system call.
    virtual uint64_t unacknowledged_bytes(ConnId conn) = 0;
    /// Stops or resumes reading: back-pressure to the sender.
    virtual void pause_reading(ConnId conn, bool paused) = 0;
    /// What is queued still goes out where possible; no event for this connection follows.
    virtual void close(ConnId conn) = 0;

    static constexpr uint64_t kHighWaterBytes = 4u << 20;
};

}  // namespace raftd::io
