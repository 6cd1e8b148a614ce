// Work on segment files that hold damage, as jobs: finding out what is damaged, and writing a segment anew
// with its hole filled (H3). Read next: wal/holes.cpp.
#pragma once

#include "wal/recovery.h"

namespace raftd::wal {

struct GroupsFound;

/// Where a sealed segment's successor goes on; id 0: the segment is the active one.
struct Successor {
    uint64_t id = 0;
    LogPoint base;
};

/// Reads a segment from end to end.
class SurveyJob final : public io::Job {
public:
    void run(io::Files& files) noexcept override;

    // In:
    std::string dir;
    Segment segment;
    Successor next;
    // Out:
    std::vector<Hole> holes;
    std::string failure;  // it couldn't be told; damage that is no hole
};

/// Writes a sealed segment anew, with one hole filled: a new file beside it, checked from end to end, synced
/// and renamed over the old one. Killed anywhere, the old or the new one is there.
class MendJob final : public io::Job {
public:
    void run(io::Files& files) noexcept override;

    // In:
    std::string dir;
    Segment segment;
    Successor next;
    Hole hole;
    std::vector<Slice> entries;
    // Out:
    std::string failure;  // empty: done
    FooterPlace footer;
    uint64_t file_bytes = 0;
    std::vector<Hole> left;  // other damage of the segment

private:
    Result<void> mend(io::Files& files);
    Result<void> copy(io::Files& files, io::FileId from, io::FileId to, uint64_t begin, uint64_t end) const;
    Result<void> fill(io::Files& files, io::FileId to, const SegmentHeader& header) const;
    Result<void> seal(io::Files& files, io::FileId to, const GroupsFound& found);
};

}  // namespace raftd::wal
