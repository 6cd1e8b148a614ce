// Where a segment's groups end: walks them from the first on and asks the table (recovery.h) whenever one is
// not good. Blocking: for starts, and for jobs, which walk some at a time.
#pragma once

#include "base/result.h"
#include "wal/recovery.h"

namespace raftd::wal {

/// A stretch of a file, in whole blocks.
struct Blocks {
    uint64_t from = 0, to = 0;
    bool has(uint64_t offset) const { return offset >= from && offset < to; }
};

struct GroupsFound {
    ScanPoint end;  // behind the last good group
    NumberedHard hard;
    SegmentIndex index;
    bool hard_is_torn = false;      // the newest hard state stands in a torn group only
    bool last_group_closes = true;  // the last group has no entries and no news
    uint64_t entries = 0;
    std::vector<Hole> holes;
    uint64_t zeros_from = UINT64_MAX;  // zeros from here to the file's end, if the scan came so far
    std::vector<Blocks> needless;      // damaged, but nothing that is in force was lost with them
    std::vector<std::string> notes;    // of these, one clause each
};
/// What is known of a segment's end from elsewhere.
struct KnownBounds {
    uint64_t end = 0;               // of the groups, by a seal or the successor; 0: nobody says
    std::optional<LogPoint> log{};  // where the log goes on behind it
    bool holes = false;             // damage with a known end is a hole; else an error
    bool open = false;              // groups may have been written behind `end` since
};

class GroupsWalk {
public:
    /// `path`: what messages say.
    GroupsWalk(std::string path, const SegmentHeader& header, const KnownBounds& bounds);
    /// Walks on through at least `bytes` of the file; damage is passed over at once. True: this is the end.
    /// Errors: damaged.
    Result<bool> go_on(FileWindow& window, uint64_t bytes);
    GroupsFound& found() { return found_; }

private:
    Result<bool> next(FileWindow& window);
    Result<bool> judge(GroupOutcome outcome, const GroupSeen& seen, const std::optional<GroupHeader>& later);
    bool is_cut_off(const GroupSeen& seen) const;
    std::optional<Hole> hole_at(const GroupSeen& seen, const std::optional<GroupHeader>& later) const;
    void take(const GroupSeen& seen);
    void step_over(Hole hole, const std::optional<GroupHeader>& later);
    void pass_over(uint64_t to, std::string note);
    std::string describe(const GroupSeen& seen) const;
    std::string place() const;

    const std::string path_;
    const SegmentKey key_;
    const KnownBounds bounds_;
    GroupsFound found_;
};

/// All of it at once. `notes` gets those of what was passed over. Errors: damaged.
Result<GroupsFound> find_groups(FileWindow& window, const std::string& path, const SegmentHeader& header,
                                const KnownBounds& bounds, std::vector<std::string>& notes);

Error damaged_at(const std::string& path, uint64_t offset, const std::string& what);

}  // namespace raftd::wal
