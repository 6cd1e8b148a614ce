// Work on segment files that hold damage: finding out what is damaged, and writing a segment anew with its
// hole filled (H3). Jobs in steps: there is one thread for them, for the log's reads and for making its next
// segment, and none of these is to wait for a whole file. Read next: wal/holes.cpp.
#pragma once

#include <optional>

#include "wal/groups.h"

namespace raftd::wal {

/// What one step reads or writes, about.
inline constexpr uint64_t kStepBytes = 1u << 20;

/// Where a sealed segment's successor goes on; id 0: the segment is the active one.
struct Successor {
    uint64_t id = 0;
    LogPoint base;
};

/// What of a hole isn't in those that are known: all of it, or what lies below, between and behind them.
std::vector<Hole> beyond(const std::vector<Hole>& known, Hole hole);

/// A walk through the groups of a segment whose end is known, in steps.
class SegmentWalk {
public:
    /// Requires: `file` stays open. Errors: damaged (its header).
    static Result<SegmentWalk> begin(io::Files& files, io::FileId file, const std::string& path,
                                     const Segment& segment, const Successor& next);
    /// True: the end was reached. Errors: damaged.
    Result<bool> step() { return walk_.go_on(window_, kStepBytes); }
    GroupsFound& found() { return walk_.found(); }
    const SegmentHeader& header() const { return header_; }

private:
    SegmentWalk(FileWindow window, GroupsWalk walk, const SegmentHeader& header)
        : window_(std::move(window)), walk_(std::move(walk)), header_(header) {}
    FileWindow window_;
    GroupsWalk walk_;
    SegmentHeader header_;
};

/// A job that isn't finished when it comes back is to be submitted again, so that others have their turn.
/// Its files stay open between the steps.
class SegmentJob : public io::Job {
public:
    void run(io::Files& files) noexcept override;

    // In:
    std::string dir;
    Segment segment;
    Successor next;
    // Out:
    bool finished = false;
    std::string failure;      // it couldn't be told, or done; damage that is no hole
    std::vector<Hole> holes;  // found; those that a mend has left, or met before it wrote anything

protected:
    virtual Result<bool> step(io::Files& files) = 0;  // true: finished
    virtual void end(io::Files& files) = 0;           // closes its files
    std::string path() const { return segment_path(dir, segment.key.id); }
};

/// Reads a segment from end to end.
class SurveyJob final : public SegmentJob {
public:
    // Out:
    std::vector<std::string> notes;  // damage that took nothing of what is in force, one clause each

private:
    Result<bool> step(io::Files& files) override;
    void end(io::Files& files) override;
    io::FileId file_ = io::kNoFile;
    std::optional<SegmentWalk> walk_;
};

/// Writes a sealed segment anew, with one hole filled: first the old file is read, since damage that isn't
/// known yet must not be copied for good; then a new file beside it, checked from end to end, synced and
/// renamed over the old one. Killed anywhere, the old or the new one is there.
class MendJob final : public SegmentJob {
public:
    // In:
    Hole hole;
    std::vector<Hole> known;  // of this segment, `hole` among them
    std::vector<Slice> entries;
    // Out:
    bool in_doubt = false;  // a sync or the rename failed: nobody knows what the disk has
    FooterPlace footer;
    LogPoint log_end;  // behind the last entry in the file
    uint64_t file_bytes = 0;

private:
    enum class Stage : uint8_t { survey, write, check, finish };
    Result<bool> step(io::Files& files) override;
    void end(io::Files& files) override;
    Result<void> survey(io::Files& files);
    Result<void> compare();
    Result<void> write(io::Files& files);
    Result<void> write_piece(io::Files& files);
    Result<void> copy(io::Files& files, uint64_t end);
    Result<void> zeros(io::Files& files, uint64_t end);
    Result<void> fill(io::Files& files);
    GroupHeader make_group() const;
    Result<void> check();
    Result<void> finish(io::Files& files);
    Result<void> seal(io::Files& files);
    Result<void> put(io::Files& files, uint64_t offset, ByteView bytes);
    Error doubt(const std::string& what, const char* verb, int number);
    bool is_damaged(uint64_t offset) const;
    std::string fresh() const { return path() + kMendSuffix; }

    Stage stage_ = Stage::survey;
    io::FileId old_ = io::kNoFile, new_ = io::kNoFile;
    std::optional<SegmentWalk> walk_;
    std::vector<Blocks> damaged_;  // of the old file
    uint64_t at_ = 0;              // written up to here
    size_t slice_ = 0;             // the next one of `entries`
    std::vector<std::byte> piece_;
};

}  // namespace raftd::wal
