// Entries that were given to the log and wait for their group, as pieces: runs of at most 64 KiB of one term,
// so that neither a split of a group nor a mark needs a second walk over headers. Loop thread only.
#pragma once

#include <deque>

#include "wal/segment.h"

namespace raftd::wal {

/// Entries end to end in one chunk. All but the last entry start within the first kMarkEveryBytes.
struct Piece {
    Slice bytes;
    LogPoint before;  // of the first entry
    LogPoint after;   // behind the last
    Term term;
    uint32_t entries = 0;
    bool membership = false;  // the first entry is one
};

class Pending {
public:
    explicit Pending(const LogPoint& begin) : begin_(begin), end_(begin) {}
    const LogPoint& begin() const { return begin_; }
    const LogPoint& end() const { return end_; }
    bool empty() const { return pieces_.empty(); }
    const Piece& front() const { return pieces_.front(); }

    /// Adds whole encoded entries that follow end(). Piece borders fall at changes of term, before membership
    /// entries and so that no piece but one of a single entry exceeds `piece_bytes_max`.
    void append(const Slice& entries, uint64_t piece_bytes_max);
    /// Forgets the entries behind `last`, which is at or behind begin().
    void cut_after(Index last);
    /// Forgets everything; the log goes on behind `begin`.
    void restart(const LogPoint& begin);
    Piece pop();

private:
    LogPoint begin_, end_;
    std::deque<Piece> pieces_;
};

}  // namespace raftd::wal
