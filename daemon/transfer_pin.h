// While another member fetches a snapshot here, more of the log is kept than otherwise: by the time that it
// has the snapshot the log behind it must still be there, else it would need the next one, and so on for
// ever. Bounded in bytes by `[snapshot] transfer_keep_bytes` and in time by the asks, so that a member that
// went away fills no disk. Loop thread only.
#pragma once

#include "base/instant.h"

namespace raftd::daemon {

class TransferPin {
public:
    /// A lost connection is made again, and a file checked, within less.
    static constexpr Duration kAfterTheLastAsk = seconds(30);

    void asked(Instant now) { until_ = now + kAfterTheLastAsk; }
    bool held(Instant now) const { return now < until_; }
    Instant until() const { return until_; }

private:
    Instant until_{};
};

}  // namespace raftd::daemon
