// One encoding of an entry for disk, wire and memory: a fixed header of 96 little-endian bytes, then the
// body. The body of a batch is `record_count` u32 lengths, then the records' bytes end to end.
// The chain names the whole prefix of the log by one number, so two members compare by (index, chain).
// Byte diagrams: docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/types.h"

namespace raftd {

/// Kinds are numbered once, for good. Only batches use LSNs.
enum class EntryKind : uint8_t {
    batch = 1,
    noop,
    membership,
    cut,
    trim,
    retention,
    cursor,
    producer,
    checkpoint_begin,
    checkpoint_chunk,
    checkpoint_commit,
    feature,
    alarm,
};

struct EntryHeader {
    uint32_t body_bytes;
    EntryKind kind;
    uint8_t codec;   // 0: records as they are; no other yet
    uint16_t flags;  // 0
    uint32_t record_count;
    uint32_t producer_epoch;
    uint64_t term;
    uint64_t index;
    uint64_t lsn_first;     // of an internal entry: the next LSN to be given
    uint64_t timestamp_ms;  // the leader's; never falls along the log
    uint64_t producer;      // index of the producer's registration; 0: none
    uint64_t sequence;
    uint64_t body_checksum;  // XXH3-64 of the body
    uint64_t reserved[2];    // 0, checked
    uint64_t chain;          // XXH3-64 of the 88 bytes before, seeded with the chain of the entry before
};
static_assert(sizeof(EntryHeader) == 96);
inline constexpr uint32_t kEntryHeaderBytes = sizeof(EntryHeader);

/// The log as it stands behind one entry: all that the next entry is checked against.
struct LogPoint {
    Index index{};
    Term term{};
    uint64_t chain = 0;
    Lsn lsn_next{1};
    uint64_t timestamp_ms = 0;
    EntryId id() const { return {term, index}; }
    bool operator==(const LogPoint&) const = default;
};

/// Bytes that an entry takes on disk, on the wire and in memory.
constexpr uint64_t encoded_bytes(const EntryHeader& header) {
    return uint64_t{kEntryHeaderBytes} + header.body_bytes;
}
inline EntryId id_of(const EntryHeader& header) { return {Term{header.term}, Index{header.index}}; }

uint64_t chain_after(uint64_t chain_before, const EntryHeader& header);
/// The log behind an entry whose header is known to be good.
LogPoint point_after(const EntryHeader& header);
/// Fills term, index, first LSN, time (never below the point's) and chain, so that the entry follows
/// `before`.
void finish_header(EntryHeader& header, const LogPoint& before, Term term, uint64_t now_ms);

/// Why an entry can't stand where it claims to stand.
enum class EntryFault : uint8_t {
    none,
    truncated,     // fewer bytes than the header promises
    reserved,      // unknown kind, codec, flags or non-zero reserved bytes
    out_of_place,  // index, term, LSN or time doesn't follow
    chain,
    body_checksum,
    records,  // count or lengths don't add up to the body
};
const char* text_of(EntryFault fault);

/// Form of a header on its own: kind, codec, flags, reserved, limits of count against body.
EntryFault check_form(const EntryHeader& header);
/// Whether the header follows `before`: order of term, index + 1, LSN, time, and the chain.
EntryFault check_follows(const LogPoint& before, const EntryHeader& header);
/// Checksum of the body and, for a batch, that its lengths add up exactly (H16).
EntryFault check_body(const EntryHeader& header, ByteView body);

/// Walks entries that lie end to end. Stops before an entry that isn't whole.
class EntryCursor {
public:
    explicit EntryCursor(ByteView bytes) : bytes_(bytes) {}
    /// The next entry's header, or nothing at the end (then `remaining()` says whether bytes are left over).
    const EntryHeader* next();
    ByteView body() const { return body_; }
    /// Header and body of the entry last returned.
    ByteView entry() const { return entry_; }
    uint64_t offset() const { return at_; }
    uint64_t remaining() const { return bytes_.size() - at_; }

private:
    ByteView bytes_, body_, entry_;
    uint64_t at_ = 0;
    EntryHeader header_;
};

/// Bytes of a body that holds `record_count` records of `payload_bytes` together.
constexpr uint64_t body_bytes_for(uint64_t record_count, uint64_t payload_bytes) {
    return record_count * 4 + payload_bytes;
}
/// Writes a batch's body into `into`, which has exactly body_bytes_for(...) bytes.
void encode_body(std::span<const ByteView> records, MutableBytes into);
/// The draft header of a batch as a client makes it: kind, counts, checksum; all else zero.
EntryHeader draft_batch(uint32_t record_count, ByteView body);

/// Walks the records of a batch's body. Requires: check_body passed.
class RecordReader {
public:
    RecordReader(const EntryHeader& header, ByteView body);
    std::optional<ByteView> next();

private:
    ByteView lengths_, payload_;
    uint32_t left_;
};

}  // namespace raftd
