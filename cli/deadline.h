// A span of time that runs, for commands that wait: a kernel timer, so that no command reads a clock itself.
#pragma once

#include "base/instant.h"

namespace raftd::cli {

class Deadline {
public:
    explicit Deadline(Duration span);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    Duration left() const;  // 0 once it has passed
    Duration passed() const { return span_ - left(); }
    bool over() const { return left().ns == 0; }
    int left_ms() const;  // rounded up, for poll()

private:
    Duration span_;
    int timer_;
};

/// Waits that long, or until an interrupt; false when interrupted.
bool pause_for(Duration span);

}  // namespace raftd::cli
