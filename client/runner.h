// Runs a session on the caller's thread: what client.cpp needs of the real world, so that it can be tested
// without.
#pragma once

#include <memory>

#include "io/world.h"

namespace raftd::client {

class Runner {
public:
    virtual ~Runner() = default;
    virtual io::Network& network() = 0;
    virtual io::Clock& clock() = 0;
    /// One turn: sends what is queued, waits for events, but not beyond `until`, and handles them. True when
    /// any came.
    virtual bool turn(io::Handler& handler, Instant until) = 0;
    /// A descriptor for poll(): readable when turn() has something to handle.
    virtual int wait_fd() = 0;
};

}  // namespace raftd::client
