// Work off the loop thread. A job sees only what it owns and Files: no clock, no randomness, no network.
#pragma once

#include <memory>

#include "io/disk.h"

namespace raftd::io {

enum class Lane : uint8_t { state, compact, read, transfer };

struct Job {
    virtual ~Job() = default;
    virtual void run(Files& files) noexcept = 0;
};

class Worker {
public:
    virtual ~Worker() = default;
    /// FIFO within a lane. The job comes back in Completed::job and is destroyed on the loop thread.
    virtual void submit(Lane lane, std::unique_ptr<Job> job, Token token) = 0;
};

}  // namespace raftd::io
