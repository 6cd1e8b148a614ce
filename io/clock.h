// The node's time: monotonic for all logic, wall time only to be stamped into entries, one timer for the
// whole node.
#pragma once

#include "base/instant.h"

namespace raftd::io {

class Clock {
public:
    virtual ~Clock() = default;
    virtual Instant now() = 0;      // monotonic
    virtual int64_t wall_ms() = 0;  // milliseconds since 1970; may jump
    /// One timer for the whole node: an Event{Woken} comes at or after the earliest instant asked for since
    /// the last one came. Asking for a later one than armed changes nothing; a spurious Woken is harmless.
    virtual void wake_at(Instant at) = 0;
};

}  // namespace raftd::io
