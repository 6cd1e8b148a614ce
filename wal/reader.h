// One read of the logical log from segment files: a job for Lane::read. It owns all it looks at: the
// stretches of files that are in force (H28) and the memory it fills. Every entry it returns was checked by
// chain and body.
#pragma once

#include "wal/marks.h"
#include "wal/scan.h"
#include "wal/wal.h"

namespace raftd::wal {

/// The part of one segment that is in force.
struct Stretch {
    SegmentKey key;
    LogPoint base;
    Index last;           // logical end
    uint64_t end_offset;  // of the groups
    FooterPlace footer;
};

class ReadJob final : public io::Job {
public:
    void run(io::Files& files) noexcept override { read(files); }
    /// The same outside of a worker, where a process may end in the middle (as in the simulator).
    void read(io::Files& files);

    // In:
    std::string dir;
    ReadRequest request;             // upto: clipped to what is on disk
    std::vector<Stretch> stretches;  // the first one holds the first entry
    std::optional<Mark> mark;        // in the first one; nothing: look into its footer
    Slice into;

    // Out:
    ReadCode code = ReadCode::beyond;
    std::string what;
    LogPoint before, after;
    uint32_t bytes = 0;  // filled of `into`
    Index first{}, last{};
    uint32_t bytes_needed = 0;  // the first entry alone needs more than `into` has
    uint64_t marks_of = 0;      // segment whose marks were loaded
    std::shared_ptr<const Marks> marks;

private:
    bool read_stretch(io::Files& files, const Stretch& stretch, bool first_stretch);
    bool read_entries(FileWindow& window, const Stretch& stretch, const std::string& path);
    std::optional<GroupHeader> next_group(FileWindow& window, const Stretch& stretch);
    void find_start(FileWindow& window, const Stretch& stretch, bool first_stretch);
    bool too_early(const EntryHeader& header) const;
    bool take(const EntryHeader& header, ByteView entry);
    bool fail(const std::string& path, uint64_t offset, const std::string& why);

    LogPoint at_;                // behind the last entry looked at
    uint64_t offset_ = 0;        // where the next entry, or the next group, begins
    uint64_t group_offset_ = 0;  // not 0: offset_ lies inside this group
};

/// The mark to begin at.
const Mark* mark_for(const Marks& marks, const ReadRequest& request);

}  // namespace raftd::wal
