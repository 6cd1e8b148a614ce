// What a start makes of the files it finds: two decision tables, one over files, one over groups, each proved
// exhaustive and unambiguous by a test, and the code that gathers their conditions and carries out their
// outcomes. Blocking, before the loop starts. The reasons, crash by crash: docs/durability.md.
#pragma once

#include <span>

#include "wal/scan.h"
#include "wal/wal.h"

namespace raftd::wal {

// ---- which files are the log
// -------------------------------------------------------------------------------

/// The seal of the newest segment accepted so far.
enum class SealState : uint8_t {
    no_segment,   // none was accepted yet
    zero,         // open
    torn,         // its write was begun, so the successor's header had been synced
    names_next,   // good, and names the file looked at
    names_other,  // good, and names another
};
inline constexpr int kSealStates = 5;
/// The header of the next file, in the order of names.
enum class NextState : uint8_t {
    absent,  // there is no further file
    zero,
    bad,       // neither zero nor good
    fits,      // good, and says that it follows the segment before
    stranger,  // good, of this log, but doesn't follow
    foreign,   // good, of another cluster or incarnation
    too_new,
};
inline constexpr int kNextStates = 7;
/// What lies behind the next file's header block. A crash while a file is filled may leave blocks of removed
/// files in it, so non-zero bytes alone prove nothing; a block that bears this segment's number and its own
/// place does.
enum class Behind : uint8_t { zeros, stale, groups };
inline constexpr int kBehinds = 3;

enum class FileOutcome : uint8_t {
    go_on,        // the newest segment is the active one
    accept,       // the next segment of the log
    finish_roll,  // the same, after a crash between its header and the seal before it: write that seal
    spare,        // made ahead and never used
    remove,       // its creation was torn
    damaged,
    foreign,
    too_new,
};
FileOutcome decide_file(SealState seal, NextState next, Behind behind);

// ---- where a segment's groups end
// --------------------------------------------------------------------------

enum class Later : uint8_t {
    none,     // no good group at any later block
    follows,  // a later group goes on where the log stands: what was lost held no entries
    witness,  // a later group proves that this one was synced
};
inline constexpr int kLaters = 3;
/// Whether a seal or the successor says where the groups end.
enum class KnownEnd : uint8_t { none, here, further };
inline constexpr int kKnownEnds = 3;

enum class GroupOutcome : uint8_t {
    take,
    end,
    torn,  // the write was under way at a crash: cut it off
    skip,  // damaged, but the next group shows that no entry and no vote was lost
    damaged,
};
GroupOutcome decide_group(Place place, Later later, KnownEnd known_end);

/// For the tests that prove the tables: how many rules match these conditions.
int file_rules_matching(SealState seal, NextState next, Behind behind);
int group_rules_matching(Place place, Later later, KnownEnd known_end);

// ---- the start
// ---------------------------------------------------------------------------------------------

/// All that the log needs to go on.
struct Found {
    std::vector<Segment> segments;  // the last one is active
    SegmentIndex active_index;
    NumberedHard hard;
    bool last_group_closes = true;  // the last group needs no witness: it has no entries and no news
    uint64_t next_segment_id = 1;   // above all seen
    uint64_t spare_id = 0, spare_bytes = 0;
    std::vector<std::string> notes;  // survived damage, for the log
    std::vector<Hole> holes;         // in force, in order
    std::vector<std::string> torn;   // paths of files whose creation a crash cut short, or of no more use
};
/// Leaves of a hole what is in force of its segment; false: nothing.
bool clip(Hole& hole, const Segment& segment);
/// A segment that is being written anew, behind its name; a leftover at a start.
inline constexpr const char* kMendSuffix = ".mend";

/// Whether a start mends what a crash left (a roll, a torn end, a spare), or somebody only wants to read.
enum class Mend : uint8_t { yes, no };
/// Fills `into` but for its `wal`. Without mending no file is changed; then an interrupted installation of a
/// snapshot is an error too (conflict).
Result<Found> recover(io::Files& files, const Options& options, Recovered& into, Mend mend = Mend::yes);

}  // namespace raftd::wal
