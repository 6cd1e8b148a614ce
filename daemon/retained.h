// The part of the replicated state that says what of the log stays: the trim point, the standing policy, the
// cursors with their holds, and the catalogue of checkpoints (H23, H25). Pure and total: an entry that makes
// no sense changes nothing and says why. Loop thread only. Read next: daemon/retention.h.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.h"
#include "daemon/archive_bounds.h"
#include "daemon/checkpoint_entry.h"
#include "daemon/retention_entry.h"

namespace raftd::daemon {

/// Bounds that all members share, as StateLimits.
struct RetainLimits {
    uint64_t cursors_max = 10'000;
    uint64_t checkpoints_max = 16;  // whole ones; of more, the one for the fewest records goes
    uint64_t uploads_max = 4;       // not whole yet; of more, the one that has stood still the longest goes
    uint64_t upload_distance = 1u << 30;  // encoded bytes of log behind its last chunk: then an upload goes
    bool operator==(const RetainLimits&) const = default;
};

struct Cursor {
    Lsn lsn{};  // next one to be read
    bool hold = false;
    uint64_t hold_bytes_max = 0;  // 0: no end
    uint64_t set_ms = 0;          // log time of the entry that set it last
    bool operator==(const Cursor&) const = default;
};

/// An upload until it is whole. Its number is the index of the entry that began it.
struct Checkpoint {
    Lsn upto{};
    uint64_t size = 0, received = 0;  // bytes
    Sha256 sha256{};
    Index committed{};           // the entry that made it whole; 0: not yet
    uint64_t touched_bytes = 0;  // encoded bytes of the log before its newest entry
    uint64_t touched_ms = 0;     // log time of that entry
    bool whole() const { return committed != Index{}; }
    bool operator==(const Checkpoint&) const = default;
};

/// Why nothing at or above `lsn` may go.
struct TrimFloor {
    enum class By : uint8_t { end, cursor, checkpoint };
    Lsn lsn{};
    By by = By::end;
    std::string cursor;  // its name
};

/// What an entry of these kinds did.
struct RetainEffects {
    enum class Refused : uint8_t {
        none,
        malformed,
        unknown,     // no such cursor, or no such upload (any more)
        full,        // as many cursors as there may be
        trimmed,     // below the first LSN
        beyond,      // past the end of the log
        not_rising,  // a checkpoint that stands for as much is there already
        misplaced,   // a chunk that leaves a gap, or passes the size
        incomplete,  // a commit before all bytes came
    };
    Refused refused = Refused::none;
    TrimEntry::Reason reason = TrimEntry::Reason::asked;  // of a trim
    Lsn trimmed_to{};                                     // the first LSN from now on, if it rose
    TrimFloor floor{};              // trim: what kept it from what was asked; lsn 0: nothing did
    std::vector<uint64_t> dropped;  // checkpoints and uploads that went
    std::vector<std::string>
        holds_over;  // trim: cursors whose hold keeps more than its limit: it counts no more
};

class Retained {
public:
    Retained(const RetainLimits& limits, Lsn first_lsn) : limits_(limits), first_lsn_(first_lsn) {}

    /// An entry of any kind, in order; `archives`: of the log before it.
    RetainEffects apply(const EntryHeader& header, ByteView body, const ArchiveBounds& archives);

    /// Readers below get TRIMMED.
    Lsn first_lsn() const { return first_lsn_; }
    /// Entries below are needed by nobody: where an archive begins, or a checkpoint.
    Index first_index(const ArchiveBounds& archives) const;
    const RetentionPolicy& policy() const { return policy_; }
    const std::map<std::string, Cursor, std::less<>>& cursors() const { return cursors_; }
    /// By number, uploads too.
    const std::map<uint64_t, Checkpoint>& checkpoints() const { return checkpoints_; }
    /// The whole one that stands for the most records; nullptr: none.
    const Checkpoint* newest() const;
    /// How far a trim may come now. `lsn_next`: the end of the log.
    TrimFloor floor(const ArchiveBounds& archives, Lsn lsn_next) const;
    /// Whether its hold keeps more than its own limit, and so counts no more.
    bool hold_over(const Cursor& cursor, const ArchiveBounds& archives) const;

    uint64_t bytes() const;  // of memory, reckoned
    static uint64_t bytes_max(const RetainLimits& limits);

    // Its part of the store: daemon/retained_store.cpp.
    void take_dirty(snapshot::StoreBatch& into);
    void all_dirty();
    uint64_t dirty_bytes() const;
    static bool is_key(std::string_view key);
    /// Takes one key of a store; false: it can't be.
    bool take(std::string_view key, std::string_view value);
    /// After all keys: whether the parts fit each other and the log behind `applied`.
    bool fits(const LogPoint& applied, uint64_t bytes_total) const;
    void add_to(Checksummer& sum) const;
    /// Whether apply() could change something at an entry of this kind.
    bool concerns(EntryKind kind) const {
        return uploads_ != 0 || (kind >= EntryKind::trim && kind <= EntryKind::checkpoint_commit);
    }

private:
    RetainEffects trim(const EntryHeader& header, const TrimEntry& entry, const ArchiveBounds& archives);
    RetainEffects::Refused set(const RetentionEntry& entry);
    RetainEffects::Refused set(const EntryHeader& header, const CursorEntry& entry);
    RetainEffects begin(const EntryHeader& header, const CheckpointBegin& entry, uint64_t bytes_total);
    RetainEffects::Refused add(const EntryHeader& header, const CheckpointChunk& entry, uint64_t bytes_total);
    RetainEffects commit(const EntryHeader& header, uint64_t id, uint64_t bytes_total);
    void drop_stale(uint64_t bytes_total, std::vector<uint64_t>& dropped);
    void drop(uint64_t id, std::vector<uint64_t>& dropped);
    RetainEffects::Refused refuse_upto(const EntryHeader& header, Lsn upto) const;

    RetainLimits limits_;
    Lsn first_lsn_;
    RetentionPolicy policy_;
    std::map<std::string, Cursor, std::less<>> cursors_;
    std::map<uint64_t, Checkpoint> checkpoints_;
    uint64_t uploads_ = 0, name_bytes_ = 0;

    // Since the last flush:
    bool point_changed_ = true;  // first_lsn_ or policy_
    std::set<std::string> cursors_changed_;
    std::set<uint64_t> checkpoints_changed_;
};

}  // namespace raftd::daemon
