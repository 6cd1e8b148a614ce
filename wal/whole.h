// A log that nobody runs: read from end to end, or written from end to end. For commands on a stopped member.
// Blocking; one thread.
#pragma once

#include <memory>

#include "wal/recovery.h"

namespace raftd::wal {

/// Walks a log with every chain and body checked. Changes no file.
class LogWalk {
public:
    /// Errors: as open() of wal/wal.h, and conflict when a snapshot was being installed.
    static Result<LogWalk> open(io::Files& files, const Options& options);

    const Recovered& found() const { return recovered_; }
    /// Survived damage that cost nothing, one clause each.
    const std::vector<std::string>& notes() const { return found_.notes; }
    /// The segments, and what a start would clear away.
    const Found& files() const { return found_; }
    /// Goes on behind `index`. Requires: the log reaches back to there.
    void seek(Index index) { next_ = index + 1; }
    /// Whole entries of at most `bytes_max` (or one, however large), which the caller may write to; empty at
    /// the end. Errors: damaged (file and offset), io.
    Result<Slice> next(uint64_t bytes_max);

private:
    LogWalk(io::Files& files, const Options& options) : files_(&files), options_(options) {}
    io::Files* files_;
    Options options_;
    Recovered recovered_;
    Found found_;
    Index next_{};
};

/// Makes the log of a new data directory; the caller makes that visible only once finish() has come back.
class LogMaker {
public:
    /// `hard` is what the log is to start with; options.base is where it begins. The directory is made, and
    /// must hold no log yet.
    LogMaker(io::Files& files, const Options& options, HardState hard);
    ~LogMaker();
    LogMaker(const LogMaker&) = delete;
    LogMaker& operator=(const LogMaker&) = delete;

    const LogPoint& end() const { return end_; }
    /// Whole encoded entries that follow end(). Errors: io; bad_input (they don't follow).
    Result<void> append(ByteView entries);
    /// The end; everything is synced. Nothing was appended: a log without entries.
    Result<void> finish();

private:
    Result<void> write_group(ByteView entries);
    Result<void> begin_segment(uint64_t group_bytes);
    Result<void> seal_segment();
    Result<void> put(uint64_t offset, ByteView bytes);
    Result<void> sync_and_close();
    bool fits(uint64_t group_bytes) const;
    std::string path() const { return segment_path(options_.dir, segment_.key.id); }
    NumberedHard next_hard() { return {++hard_.number, hard_.state}; }

    io::Files& files_;
    const Options options_;
    NumberedHard hard_;
    LogPoint end_;
    io::FileId file_ = io::kNoFile;
    Segment segment_;  // the one being written; id 0: none yet
    SegmentIndex index_;
};

}  // namespace raftd::wal
