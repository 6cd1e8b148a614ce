// What `raftctl doctor` measures and reads of the place where a member's data lies: how long a sync takes,
// and what kind of file system it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"

namespace raftd::cli {

/// Times of syncs, in ascending order.
struct SyncTimes {
    std::vector<Duration> sorted;
    std::string failure;  // why there are none, or no more; empty: all went well
    bool hangs = false;   // the last one hadn't come back when the time was over

    /// The smallest time that `per_mille` of 1000 syncs don't exceed. Requires: there are some.
    Duration at(uint64_t per_mille) const;
};
/// Writes and syncs blocks of a nameless file in `folder`, as the log does: until there are so many, or so
/// much time has passed. A disk that hangs is left alone `patience` after it was last heard of: the syncs are
/// another process's, which can't be ended before its disk lets it go. Blocking.
SyncTimes time_syncs(const std::string& folder, size_t count_max, Duration time_max, Duration patience);

/// The mount that a path lies on, from /proc/self/mountinfo's text.
struct Mount {
    std::string point, type, options;  // options: of the mount and of the file system, with commas
    bool operator==(const Mount&) const = default;
};
std::optional<Mount> mount_of(std::string_view mountinfo, std::string_view real_path);
/// Why what is synced there may not outlive a power cut, or a lock not be one; nothing: no reason is known.
std::optional<std::string> distrust(const Mount& mount);

/// The smallest election timeout for a disk with this p99.9 of a sync: ten times that, in round numbers.
Duration election_timeout_for(Duration p999);

}  // namespace raftd::cli
