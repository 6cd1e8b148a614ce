// Where archives end, as the replicated state counts it (H13): from the log alone, so every member makes the
// same archives whatever it installed, restarted or has as settings. Pure. Loop thread only.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>

#include "base/entry.h"
#include "snapshot/state_format.h"
#include "snapshot/store.h"

namespace raftd::daemon {

/// Where an archive begins; the last one is open.
struct ArchiveMark {
    Index first{};
    Lsn lsn_first{};            // of its first record, or the next one to be given
    uint64_t timestamp_ms = 0;  // of the entry before it
    uint64_t bytes_before = 0;  // encoded bytes of all entries before it, from the genesis on
    bool operator==(const ArchiveMark&) const = default;
};

/// What stands in the open archive so far.
struct OpenArchive {
    uint64_t bytes = 0;  // encoded
    uint64_t entries = 0;
    uint64_t changes = 0;  // entries that say something: all but no-ops and cuts
    bool operator==(const OpenArchive&) const = default;
};

struct ArchiveLimits {
    uint64_t bytes = 64u << 20;  // encoded; an archive ends with the entry that reaches it
    uint64_t entries = 65'536;   // or that is this many
    uint64_t marks_max =
        16'384;  // kept in memory; of more, every second one of all but the open is forgotten
    bool operator==(const ArchiveLimits&) const = default;
};

class ArchiveBounds {
public:
    ArchiveBounds(const ArchiveLimits& limits, const LogPoint& base);

    /// Counts the next entry; `after`: the log behind it. True when it ends the open archive.
    bool add(const EntryHeader& header, const LogPoint& after);

    /// Marks of archives that end below are forgotten. Requires: nothing asks for less later on.
    void forget_below(Index first);

    /// Oldest first, never empty. After marks_max of them a mark may stand for several archives.
    const std::deque<ArchiveMark>& marks() const { return marks_; }
    const OpenArchive& open() const { return open_; }
    Index open_first() const { return marks_.back().first; }
    /// Records in the open archive; `applied`: as add() was given last.
    uint64_t open_records(const LogPoint& applied) const {
        return applied.lsn_next - marks_.back().lsn_first;
    }
    /// Encoded bytes from the genesis up to the last entry counted.
    uint64_t bytes_total() const { return marks_.back().bytes_before + open_.bytes; }
    uint64_t bytes() const;  // of memory, reckoned
    static uint64_t bytes_max(const ArchiveLimits& limits);

    void take_dirty(snapshot::StoreBatch& into);
    void all_dirty();
    uint64_t dirty_bytes() const;

    /// From a store's content; nothing when it can't be so.
    static std::optional<ArchiveBounds> load(const ArchiveLimits& limits,
                                             const std::map<Index, snapshot::ArchiveMarkRecord>& marks,
                                             const OpenArchive& open, const LogPoint& applied);

private:
    explicit ArchiveBounds(const ArchiveLimits& limits) : limits_(limits) {}
    void thin_out();
    bool fits(const LogPoint& applied) const;

    ArchiveLimits limits_;
    std::deque<ArchiveMark> marks_;
    OpenArchive open_;
    std::set<Index> changed_;  // marks since the last flush, also those that are gone
};

}  // namespace raftd::daemon
