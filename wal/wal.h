// The durable log of one member: segments of groups (wal/format.h), one group written and synced at a time.
// Knows entries, not Raft. Loop thread only; all I/O goes through io::Disk and worker jobs, nothing blocks
// after open(). Recovery's decision table: wal/recovery.h; byte diagrams: docs/formats.md.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/entry.h"
#include "base/result.h"
#include "base/types.h"
#include "io/world.h"

namespace raftd::wal {

struct Options {
    std::string dir;  // .../wal
    ClusterId cluster_id;
    Incarnation incarnation;
    /// Genesis or newest snapshot. The log begins at or before it; one that doesn't reach it, or holds
    /// another entry there, is what an interrupted reset() left, and begins anew behind it.
    LogPoint base;
    uint64_t first_segment_bytes = 4u << 20;
    uint64_t segment_bytes = 64u << 20;
    uint64_t group_bytes_max = 4u << 20;  // entries of one group (or one entry, if larger)
    uint64_t disk_free_reserve = 128u << 20;
    Duration closing_marker_after = milliseconds(100);
    uint64_t salt_seed = 0;  // of the segments' salts; from real randomness in production
    uint64_t token_tag = 0;  // upper 8 bits of every token this log uses
    /// Damage in the middle of the log, with its end known, is a hole to be mended; else it is refused.
    bool holes = false;
};

/// Makes the first segment of a new data directory (blocking; for init). The directory `dir` is made too.
Result<void> create_first(io::Files& files, const Options& options);

class Wal;

/// Entries whose bytes on this disk are damaged, with the log known before and behind them (H3). Whatever
/// fits both sides by chain is what stood there.
struct Hole {
    uint64_t segment_id = 0;
    LogPoint from, to;                    // the entries (from.index, to.index]
    uint64_t offset = 0, end_offset = 0;  // of their groups in the file
    uint64_t group_number = 0;            // of the first of these groups
    uint64_t hard_number = 0;             // of the hard state before them
    HardState hard;                       // that one
    bool at_start = false;                // found by open(): not all is known of what stood there
    std::string what;                     // file, offset and what is wrong there
    /// Else only those of the first and the last one's neighbours are.
    bool terms_known() const { return from.term == to.term || to.index == from.index + 1; }
};

/// What a start found; all of it synced.
struct Recovered {
    HardState hard;
    LogPoint base;  // before the log's first entry
    LogPoint last;  // behind its last
    std::vector<TermRun> runs;
    struct Config {
        Index index;
        std::vector<std::byte> body;
    };
    std::vector<Config> configs;  // membership entries, in order; not those in holes
    std::vector<Hole> holes;
    struct Report {  // for the log line and for tests
        uint32_t segments = 0;
        uint64_t entries = 0, torn_bytes = 0, bytes_read = 0;
        bool finished_roll = false, removed_torn_creation = false, began_anew = false;
    } report;
    std::unique_ptr<Wal> wal;
};

/// Make durable: `hard`, and `entries` behind `before` in place of all that was written behind it.
struct WriteRequest {
    WriteId id;
    HardState hard;
    LogPoint before;                 // the log behind its last kept entry; before.index = keep_upto
    Index last;                      // of the log after this write
    std::span<const Slice> entries;  // (before.index, last], encoded, whole; held until synced
    bool sync_needed = true;
};

/// A stretch of the logical log read from files.
struct ReadRequest {
    enum class By : uint8_t { index, lsn, time_ms };
    By by = By::index;
    uint64_t value =
        0;  // first entry: with this index; that holds this LSN, or the next batch; stamped at or after
    uint64_t bytes_max = 1u << 20;  // at least one entry is read, however large
    Index upto;                     // last entry wanted, inclusive
    uint64_t upto_lsn = 0;          // no entry behind the one that holds this LSN; 0: no such end
};
enum class ReadCode : uint8_t { ok, gone, beyond, damaged, failed };
struct ReadResult {
    uint64_t cookie = 0;
    ReadCode code = ReadCode::failed;
    LogPoint before;    // of the entry before the first
    LogPoint after;     // behind the last
    Slice entries;      // whole entries, chain and bodies verified
    Index first, last;  // of these entries; damaged: `first` is the one that can't be read
    std::string what;   // file and offset of damage
};

struct Counters {
    uint64_t groups = 0, group_entries = 0, syncs = 0, bytes_written = 0, rolls = 0, cuts = 0,
             marker_groups = 0;
};

class Wal {
public:
    virtual ~Wal() = default;

    /// Never waits: writes that come while a group is in flight merge into the next one.
    virtual void write(const WriteRequest& request) = 0;
    /// True when the token is one of this log's; then the log has taken the completion in.
    virtual bool completed(io::Completed& done) = 0;
    /// The newest write that is durable, each time it moved; asked after completed().
    virtual std::optional<WriteId> take_durable() = 0;

    /// Begins to read durable or buffered-by-the-kernel entries of the *logical* log; ends in take_read().
    /// Reads begun before a cut below their range come back as `gone`.
    virtual void read(const ReadRequest& request, uint64_t cookie) = 0;
    virtual std::optional<ReadResult> take_read() = 0;
    /// The same at once. Blocking: at a start only.
    virtual ReadResult read_now(const ReadRequest& request) = 0;

    /// The lowest entry in files that was cut off since the log had done `seen` cuts, which is brought up to
    /// now; nothing: none was, so whatever was read since is still in force.
    virtual std::optional<Index> cut_since(uint64_t& seen) const = 0;

    /// Next time tick() wants to be called (closing marker, ENOSPC retry).
    virtual Instant deadline() const = 0;
    virtual void tick(Instant now) = 0;
    /// Nothing is in flight and the last group is witnessed by a closing marker.
    virtual bool closed() const = 0;
    /// Asks for the closing marker at once (graceful stop).
    virtual void close_soon() = 0;

    /// The log was replaced by a snapshot, which is durable: it begins, and ends, behind `base`. All it held
    /// goes; reads begun before come back as `gone`. The next write goes on behind `base`, and vouches for
    /// the new beginning once it is durable. After a crash, open() with the same base does it again.
    virtual void reset(const LogPoint& base) = 0;
    /// Segments wholly at or below `upto` may go. `point` is the log behind entry `upto`.
    virtual void drop_below(const LogPoint& point) = 0;
    /// Where the log would begin if segments wholly at or below `upto` went, as long as those that stay have
    /// `keep_bytes`; its present base when none can go.
    virtual LogPoint droppable(Index upto, uint64_t keep_bytes) const = 0;

    /// What is damaged, in order; without Options::holes only what survey() found.
    virtual const std::vector<Hole>& holes() const = 0;
    /// Reads the segment that holds this entry again, from end to end: what is damaged in it becomes a hole.
    virtual void survey(Index index) = 0;
    /// Fills a hole: `entries` follow hole.from and end at hole.to, chain and bodies checked. The segment is
    /// written anew beside the old file and renamed over it. Requires: !mending(). Ends in take_mended().
    virtual void mend(const Hole& hole, std::vector<Slice> entries) = 0;
    virtual bool mending() const = 0;
    /// Whether the disk has room for the new file beside the reserve. Without it a mend fails at once.
    virtual bool room_to_mend(const Hole& hole) const = 0;
    struct Mended {
        Hole hole;
        std::string failure;  // empty: it is whole again
    };
    virtual std::optional<Mended> take_mended() = 0;

    virtual LogPoint base() const = 0;
    /// Path of the segment that holds the entry; empty: none does.
    virtual std::string file_of(Index index) const = 0;
    /// When the oldest write that isn't durable yet was asked for; nothing: none waits (H20).
    virtual std::optional<Instant> oldest_unsynced() const = 0;
    /// Disk is full: the last write was refused by the system and is being tried again (H19).
    virtual bool no_room() const = 0;
    virtual uint64_t bytes() const = 0;  // of all segments
    virtual const Counters& counters() const = 0;
};

/// Opens the log of `options.dir` (blocking, before the loop starts). Errors: damaged (with file and offset),
/// io, too_new. Everything returned is synced.
Result<Recovered> open(io::World& world, const Options& options);

}  // namespace raftd::wal
