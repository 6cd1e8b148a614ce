// The world as a node sees it: requests out by these interfaces, everything in by Handler::handle. io/asio is
// the real one, sim the other; the same object code of daemon/ and client/ runs in both.
#pragma once

#include <string>
#include <variant>

#include "base/log.h"
#include "io/clock.h"
#include "io/disk.h"
#include "io/network.h"
#include "io/worker.h"

namespace raftd::io {

/// One whole frame; `bytes` is the payload behind the 16-byte header, contiguous, 8-byte aligned in its
/// chunk.
struct Frame {
    ConnId conn;
    uint16_t type, flags;
    uint32_t stream;
    Slice bytes;
};
/// An answer to the request that carried `token`.
struct Completed {
    Token token;
    int error = 0;
    Slice bytes;            // of read
    FileId file = kNoFile;  // of create
    std::unique_ptr<Job> job;
};
/// A connection is up: accepted, or the one asked for. `peer`: address of the other end.
struct Opened {
    ConnId conn;
    ConnClass kind;
    bool accepted;
    std::string peer;
};
/// A connection ended (or never came up). Not sent after Network::close.
struct Closed {
    ConnId conn;
    CloseReason why;
};
struct Writable {
    ConnId conn;
};
struct Woken {};
/// Asked to stop: gracefully the first time, at once the second.
struct Stop {};
/// Asked to read the settings again and reopen the log (SIGHUP).
struct Reload {};

struct Event {
    Instant now;
    std::variant<Frame, Completed, Opened, Closed, Writable, Woken, Stop, Reload> what;
};

/// A turn: handle() for each event that is ready (at most 1 MiB of frames or 4,096 events, completions first,
/// then peers, then clients), then end_turn() once.
class Handler {
public:
    virtual ~Handler() = default;
    virtual void handle(Event& event) = 0;
    virtual void end_turn(Instant now) = 0;
};

inline constexpr uint64_t kTurnBytesMax = 1u << 20;
inline constexpr uint32_t kTurnEventsMax = 4096;

struct World {
    Clock& clock;
    Disk& disk;
    Network& network;
    Worker& worker;
    Files& files;  // at start-up only
    LogSink& log;
    uint64_t seed;
};

}  // namespace raftd::io
