// Where a segment's groups end: walks them from the first on and asks the table (recovery.h) whenever one is
// not good. Blocking; recovery only.
#pragma once

#include "base/result.h"
#include "wal/recovery.h"

namespace raftd::wal {

struct GroupsFound {
    ScanPoint end;  // behind the last good group
    NumberedHard hard;
    SegmentIndex index;
    bool hard_is_torn = false;      // the newest hard state stands in a torn group only
    bool last_group_closes = true;  // the last group has no entries and no news
    uint64_t entries = 0;
    std::vector<Hole> holes;
    uint64_t zeros_from = UINT64_MAX;  // zeros from here to the file's end, if the scan came so far
};
/// What is known of a segment's end from elsewhere.
struct KnownBounds {
    uint64_t end = 0;               // of the groups, by a seal or the successor; 0: nobody says
    std::optional<LogPoint> log{};  // where the log goes on behind it
    bool holes = false;             // damage with a known end is a hole; else an error
    bool open = false;              // groups may have been written behind `end` since
};
/// Errors: damaged.
Result<GroupsFound> find_groups(FileWindow& window, const std::string& path, const SegmentHeader& header,
                                const KnownBounds& bounds, std::vector<std::string>& notes);

Error damaged_at(const std::string& path, uint64_t offset, const std::string& what);

}  // namespace raftd::wal
