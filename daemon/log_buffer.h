// The recent entries in memory, once, in their final encoding: the group to be written, the send queue of
// every follower, the cache and the source of live tails are all slices of it. Entries lie in runs inside 1
// MiB chunks, in log order, exactly the bytes of disk and wire. A cut abandons bytes and never rewinds in a
// chunk, so a slice that a write or a send still holds never changes. An entry never straddles chunks. Loop
// thread only. Who is behind first() reads files (daemon/log_reader.h).
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/entry.h"

namespace raftd::daemon {

class LogBuffer {
public:
    /// Empty, behind `end` of the log on disk.
    explicit LogBuffer(const LogPoint& end, uint32_t chunk_bytes = kChunkBytes);

    /// Adds an entry behind the last: finishes `draft` (place, time, chain) and copies the body. Returns the
    /// header as it now stands in the log.
    EntryHeader append(EntryHeader draft, ByteView body, Term term, uint64_t now_ms);
    /// The same without a copy: `header_and_body` is 96 bytes for the header, then the body.
    EntryHeader append_in_place(const Slice& header_and_body, EntryHeader draft, Term term, uint64_t now_ms);
    /// Adds whole, finished entries that follow the last one. Small runs are copied (a receive chunk would be
    /// pinned for a few bytes), large ones kept where they are.
    void adopt(const Slice& entries);

    /// Forgets the entries behind `index`. Requires: first() - 1 <= index.
    void cut_after(Index index);
    /// Forgets everything; the log now ends at `end`, which is on disk.
    void reset(const LogPoint& end);
    /// Forgets whole runs from the front while more than `bytes_max` are held, none above `upto`.
    void release(Index upto, uint64_t bytes_max);

    Index first() const { return first_; }  // last() + 1 when empty
    Index last() const { return first_ + entries_.size() - 1; }
    const LogPoint& end() const { return end_; }
    uint64_t bytes() const { return bytes_; }
    bool holds(Index index) const { return index >= first_ && raw(index) < raw(first_) + entries_.size(); }
    /// The log behind `index`; nothing when it is below first() - 1 or behind the end.
    std::optional<LogPoint> point_at(Index index) const;
    EntryHeader header(Index index) const;
    /// The first entry of [first, last] whose bytes aren't what they were when it was taken in, by its chain
    /// and the checksum of its body. Requires: both are held. Time grows with the bytes.
    std::optional<std::pair<Index, EntryFault>> first_bad(Index first, Index last) const;

    /// The encoded bytes of [first, last] as few contiguous slices. Requires: both are held.
    void slices(Index first, Index last, std::vector<Slice>& out) const;
    /// The last entry such that [first, it] takes at most `bytes_max` (at least `first` itself).
    Index last_within(Index first, Index upto, uint64_t bytes_max) const;
    uint64_t bytes_of(Index first, Index last) const;
    /// The first entry held whose records end behind `lsn`; nothing when the buffer begins later or ends
    /// before.
    std::optional<Index> index_of(Lsn lsn) const;
    /// The first entry held that is stamped `time_ms` or later; last() + 1 when none is. Nothing when an
    /// earlier one, no longer held, may be.
    std::optional<Index> index_at(uint64_t time_ms) const;

private:
    struct Run {
        Slice bytes;
        Index first;
    };
    struct Place {
        uint64_t run;  // absolute number
        uint32_t offset, bytes;
    };
    template <class Reached>
    Index first_where(Reached reached) const;
    const Place& place(Index index) const { return entries_[index - first_]; }
    const Run& run(uint64_t number) const { return runs_[number - run_first_]; }
    std::byte* reserve(uint32_t bytes);  // room at the open chunk's end, in the last run
    void add_place(uint32_t bytes);
    void add_run(const Slice& bytes);

    uint32_t chunk_bytes_;
    std::deque<Run> runs_;
    uint64_t run_first_ = 0;  // number of runs_.front()
    std::deque<Place> entries_;
    Index first_;
    LogPoint before_;  // the log behind first_ - 1
    LogPoint end_;
    Slice open_;         // the chunk that small entries go into
    uint32_t used_ = 0;  // of open_; never falls
    bool open_is_last_run_ = false;
    uint64_t bytes_ = 0;
};

}  // namespace raftd::daemon
