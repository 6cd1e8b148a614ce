// What the log keeps in memory of each segment, and the index of one segment: marks, term runs and the places
// of membership entries. A sealed segment carries its index as a footer, so that a restart need not read its
// groups. Plain values; any thread. Read next: wal/scan.h.
#pragma once

#include <vector>

#include "wal/format.h"

namespace raftd::wal {

struct SegmentIndex {
    std::vector<Mark> marks;  // by offset
    std::vector<TermRun> runs;
    std::vector<ConfigPlace> configs;
    bool mark_next = false;  // whatever entry comes next

    /// Takes in one entry, or the first of a piece of entries of one term. `before`: of that entry.
    void note(const LogPoint& before, Term term, bool membership, uint64_t offset, uint64_t group_offset);
    /// The entries behind `from` up to `to` are damaged: of their terms only the last one's is known.
    void note_gap(const LogPoint& from, const LogPoint& to);
    /// Forgets the entries behind `last`.
    void cut_after(Index last);
    /// The same for entries between `base` and `last`: that one's term is known whatever was told of it.
    void end_at(const LogPoint& base, const LogPoint& last);
    uint64_t memory_bytes() const;
};

/// Where a sealed segment's footer lies; offset 0: it has none.
struct FooterPlace {
    uint64_t offset = 0, bytes = 0, checksum = 0;
};

struct Footer {
    LogPoint end;
    SegmentIndex index;
};
uint64_t footer_bytes(const SegmentIndex& index);
std::vector<std::byte> encode_footer(uint64_t segment_id, const LogPoint& end, const SegmentIndex& index);
std::optional<Footer> decode_footer(ByteView bytes, SegmentKey key, const FooterPlace& place);

struct Segment {
    SegmentKey key;
    uint64_t file_bytes = 0;
    LogPoint base;                        // the log before its first entry
    LogPoint end;                         // behind its last entry
    LogPoint logical_end;                 // behind the last one that no later segment has cut off (H28)
    uint64_t end_offset = kFirstGroupAt;  // behind its last group
    uint64_t last_group = 0;
    FooterPlace footer;  // of a sealed one
    bool sealed = false;

    /// A segment with this base goes on in it, or right behind it.
    bool joins(const LogPoint& next) const { return next.index < end.index || next == end; }
    bool holds(Index index) const { return index > base.index && index <= logical_end.index; }
};

/// The last mark from which a scan finds entry `index` (`lsn`, time): that is, all before it is too early.
/// Nothing: scan from the segment's first group.
const Mark* mark_for_index(const std::vector<Mark>& marks, Index index);
const Mark* mark_for_lsn(const std::vector<Mark>& marks, Lsn lsn);
const Mark* mark_for_time(const std::vector<Mark>& marks, uint64_t time_ms);

/// The log before its first entry. Not always the first segment's base: a cut may have gone below that.
LogPoint lowest_base(const std::vector<Segment>& segments);

/// Ends every segment's logical part at `point`: what lies behind was cut off.
void cut_segments(std::vector<Segment>& segments, const LogPoint& point);

}  // namespace raftd::wal
