// Fixed parts of the messages between members. Little-endian, naturally aligned, `size` first so that they
// can grow at the end. They carry raft/message.h one to one; the translation is in daemon/peer_codec.cpp,
// since proto/ may not include raft/. Who the sender is was settled by the handshake of the connection.
#pragma once

#include <cstdint>

namespace raftd::proto {

/// Whether everything is held as it is (daemon/freeze.h): each member tells what it knows on every append and
/// answer, and takes over what has the higher version.
struct Freeze {
    uint64_t version = 0;  // 0: there was none yet
    uint64_t left_ms = 0;  // 0: it is over, or was taken back
    uint64_t at = 0;       // entry of the difference that it was begun for
    uint32_t why = 0;      // 0: asked for; 1: members differ
    uint32_t reserved = 0;
};

/// Rides on every answer; filled by the pump, never seen by the core.
struct Trailer {
    uint64_t wall_ms;      // the answerer's clock
    uint64_t boot;         // number of its present start
    uint64_t chain_index;  // its log's chain at this index
    uint64_t chain;
    uint64_t disk_free;  // bytes
    uint32_t flags;      // kTrailer...
    uint32_t reserved;
    // From here on, absent in those of older programs: zeros.
    uint64_t archive_end = 0;   // one of its archives ends with this entry; they are told in turn
    uint64_t archive_hash = 0;  // first 8 bytes of its SHA-256
    uint64_t state_digest = 0;  // of the replicated state there; 0: not known
    Freeze freeze{};
};
inline constexpr uint32_t kTrailerFull = 1;     // below disk_free_min
inline constexpr uint32_t kTrailerStalled = 2;  // oldest unsynced write is older than disk_stall_max
inline constexpr uint32_t kTrailerDamaged = 4;
inline constexpr uint32_t kTrailerStopping = 8;  // asked to stop: takes no office
/// The sender of entries (of this message's term) is told that they don't continue this log: chain_index and
/// chain are those of the entry that they should follow. Else chain_index is committed there.
inline constexpr uint32_t kTrailerDisputes = 16;
inline constexpr uint32_t kTrailerUnfit = kTrailerFull | kTrailerStalled | kTrailerDamaged | kTrailerStopping;

struct AppendEntries {  // then the encoded entries, end to end
    uint32_t size;
    uint32_t entry_count;
    uint64_t term, prev_term, prev_index, last, commit, round;
    Freeze freeze{};  // absent in those of older programs: zeros
};
struct AppendOk {
    uint32_t size;
    uint32_t readers_waiting;
    uint64_t term, match, round;
    Trailer trailer;
};
struct AppendNo {
    uint32_t size;
    uint32_t why;
    uint64_t term, hint_term, hint_index, last, round;
    Trailer trailer;
};
struct Vote {
    uint32_t size;
    uint32_t flags;  // 1: pre, 2: transfer
    uint64_t term, last_term, last_index;
};
struct VoteOk {
    uint32_t size;
    uint32_t flags;  // 1: pre, 2: granted
    uint64_t term, removed_at;
    Trailer trailer;
};
struct ReadIndex {
    uint32_t size;
    uint32_t reserved;
    uint64_t term, id;
};
struct ReadIndexOk {
    uint32_t size;
    uint32_t ok;
    uint64_t term, id, index;
};
struct TimeoutNow {
    uint32_t size;
    uint32_t reserved;
    uint64_t term;
};
struct SnapshotOffer {  // what you need is no longer in my log: fetch a snapshot at this entry or later
    uint32_t size;
    uint32_t reserved;
    uint64_t term, at_term, at_index;
};

/// Asks for a part of one file of the newest snapshot.
struct FileAsk {
    uint32_t size;
    uint32_t bytes_max;
    uint64_t request;  // echoed
    uint64_t offset;
    uint64_t tag;   // of the file that earlier parts came from; 0: any
    char name[96];  // as the manifest says, zeros behind; empty: the manifest itself, whole
};
enum class FileCode : uint32_t {
    ok = 0,
    gone = 1,     // no such file (any more): begin with the manifest again
    changed = 2,  // another file under this name, by its tag
    failed = 3,   // it can't be read now
};
struct FilePart {  // then the bytes
    uint32_t size;
    uint32_t code;
    uint64_t request, offset;
    uint64_t file_bytes;
    uint64_t tag;       // of the file: equal tags, equal bytes
    uint64_t checksum;  // XXH3-64 of the bytes that follow
};

static_assert(sizeof(SnapshotOffer) == 32 && sizeof(FileAsk) == 128 && sizeof(FilePart) == 48);
static_assert(sizeof(Freeze) == 32 && sizeof(Trailer) == 104 && sizeof(AppendEntries) == 88);
static_assert(sizeof(AppendOk) == 136 && sizeof(AppendNo) == 152 && sizeof(Vote) == 32);
static_assert(sizeof(VoteOk) == 128);

/// What older programs send of these: shorter ones aren't taken.
inline constexpr uint32_t kTrailerGrown = sizeof(Trailer) - 48;
inline constexpr uint32_t kAppendEntriesBytesMin = 56;

}  // namespace raftd::proto
