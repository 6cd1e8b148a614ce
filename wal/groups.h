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
};
/// `known_end`: where a seal or the successor says that the groups end; 0: nobody does. Errors: damaged.
Result<GroupsFound> find_groups(FileWindow& window, const std::string& path, const SegmentHeader& header,
                                uint64_t known_end, std::vector<std::string>& notes);

Error damaged_at(const std::string& path, uint64_t offset, const std::string& what);

}  // namespace raftd::wal
