// The real world: one loop thread (network, timer, signals), one disk thread, one pool thread. A program
// makes a Loop, gives its world() to a Node or a client session, and calls turn() until it is done. All of
// this class is for the loop thread only. No Asio header is included here. Read next: network.h, disk.h,
// pool.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/world.h"

namespace raftd::io::asio {

struct LoopOptions {
    uint64_t seed = 0;                     // 0: drawn from the system
    std::string data_dir;                  // whose file system Disk::free_bytes() is about; empty: none
    uint32_t frame_bytes_max = 17u << 20;  // a longer frame closes its connection
    uint32_t connections_max = 4096;       // accepted from clients and admins, together
    uint32_t peer_connections_max = 256;   // accepted from peers
    uint32_t descriptors_reserve = 48;     // never taken by clients: files, peers, the next segment
    Duration connect_timeout = seconds(3);
    Duration linger = seconds(2);             // how long a closed connection may still drain its queue
    Duration peer_user_timeout = seconds(5);  // unacknowledged for so long: the link is dead (half-open TCP)
    uint64_t queued_bytes_max = 256u << 20;   // a connection that queues more is dropped
    bool signals = false;                     // SIGTERM, SIGINT and SIGHUP become events; SIGPIPE is ignored
};

/// What the world did, for metrics and the benchmark: rising numbers since the start.
struct LoopCounters {
    uint64_t turns = 0, events = 0, frames = 0;
    uint64_t recv_calls = 0, recv_bytes = 0;
    uint64_t send_calls = 0, send_bytes = 0;
    uint64_t write_calls = 0, write_bytes = 0, syncs = 0, sync_ns = 0;
    uint64_t queue_wakeups = 0;  // of the loop by the disk and pool threads
};

class Loop {
public:
    Loop(const LoopOptions& options, LogSink& log);
    /// Finishes the requests that the disk thread has, drops the rest, closes every connection.
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    World& world();
    /// One turn: waits until something is ready, but not beyond `until`, then handles all of it. False when
    /// nothing came. Instant{0} polls.
    bool turn(Handler& handler, Instant until = kNever);
    /// Calls `ready`, once, in a later turn in which `descriptor` can be read without waiting (always so for
    /// a regular file).
    void when_readable(int descriptor, std::function<void()> ready);
    /// Becomes readable when turn() has something to do (its timer too), for a program that has an event loop
    /// of its own. It is to call turn(handler, Instant{0}) until that returns false.
    int wait_descriptor() const;
    /// Addresses that are listened on, as they can be dialled: the port that the system chose for `host:0`.
    std::vector<std::string> listening() const;
    LoopCounters counters() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace raftd::io::asio
