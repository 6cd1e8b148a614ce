// Settings of the core. Times in nanoseconds of the event clock, sizes in encoded bytes.
#pragma once

#include <cstdint>

#include "base/instant.h"

namespace raftd::raft {

struct Options {
    Duration heartbeat = milliseconds(100);
    Duration election_timeout = seconds(1);  // T: draws are from [T/2, T); stickiness and CheckQuorum use T/2
    Duration disk_stall_max = seconds(1);    // a follower that owes entries must move within this to count
    uint64_t batch_bytes_max = 1u << 20;     // of entries in one append message (or one entry, if larger)
    uint64_t in_flight_bytes_max = 16u << 20;   // sent and not yet answered, a follower
    uint64_t group_bytes_max = 4u << 20;        // of entries in one write
    uint32_t voters_max = 9, members_max = 16;  // a change beyond is refused; at most 64 each
    /// No first election before so many members (itself one) were heard of since the start. Only for a log
    /// that never held an entry; once it did, this means nothing.
    uint32_t min_members = 0;
    bool pre_vote = true;  // mixed sets are simulated (B01); always on in production
    bool check_quorum = true;
};

}  // namespace raftd::raft
