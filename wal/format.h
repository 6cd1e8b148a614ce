// What a segment file looks like: block 0 is the SegmentHeader, block 1 the Seal (zero until sealed), then
// groups, each on a 4 KiB boundary and padded with zeros, then zeros, and in a sealed file the footer behind
// the last group. All numbers little-endian. Byte diagrams: docs/formats.md. Pure functions; any thread.
//
// Salt: checksums of groups, seal and footer are seeded with a random number of the segment which never
// leaves the machine, so that no record can hold bytes that pass for a group (H1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/entry.h"
#include "base/types.h"

namespace raftd::wal {

inline constexpr uint64_t kBlockBytes = 4096;
inline constexpr uint64_t kSealAt = kBlockBytes;
inline constexpr uint64_t kFirstGroupAt = 2 * kBlockBytes;
/// A mark stands in the index at least every so many bytes: what a random read has to scan.
inline constexpr uint64_t kMarkEveryBytes = 64u << 10;

constexpr uint64_t whole_blocks(uint64_t bytes) {
    return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}
/// Whether the groups of a file of this length can end there.
constexpr bool is_end_in(uint64_t groups_end, uint64_t file_bytes) {
    return groups_end >= kFirstGroupAt && groups_end <= file_bytes && groups_end % kBlockBytes == 0;
}

/// Seven letters and, as the last byte, the version.
constexpr uint64_t magic(const char (&letters)[8], uint8_t version) {
    uint64_t value = uint64_t{version} << 56;
    for (int i = 0; i < 7; ++i) value |= uint64_t{static_cast<uint8_t>(letters[i])} << (8 * i);
    return value;
}
inline constexpr uint8_t kVersion = 1;
inline constexpr uint64_t kSegmentMagic = magic("rwalseg", kVersion);
/// Version 2: the log begins anew behind a snapshot. What the segments before this one hold is void.
inline constexpr uint64_t kSegmentAnewMagic = magic("rwalseg", 2);
inline constexpr uint64_t kSealMagic = magic("rwalend", kVersion);
inline constexpr uint64_t kGroupMagic = magic("rwalgrp", kVersion);
inline constexpr uint64_t kFooterMagic = magic("rwalidx", kVersion);

/// Term and vote, with a number that rises with every header written: the highest-numbered one counts.
struct NumberedHard {
    uint64_t number = 0;
    HardState state;
    bool operator==(const NumberedHard&) const = default;
};

struct SegmentHeader {
    uint64_t magic_version, segment_id;
    Uuid cluster_id, incarnation;
    LogPoint base;                           // the log before this segment's first entry
    uint64_t before_segment_id, before_end;  // predecessor (0: none) and where its groups end
    NumberedHard hard;
    uint64_t file_bytes;  // as made; a footer may make the file longer
    uint64_t salt;
    uint64_t checksum;  // of the fields before, unsalted
    bool begins_anew() const { return magic_version == kSegmentAnewMagic; }
};
static_assert(sizeof(LogPoint) == 40 && sizeof(NumberedHard) == 24);
static_assert(sizeof(SegmentHeader) == 152);

struct Seal {
    uint64_t magic_version, segment_id;
    uint64_t end_offset, last_index, last_group;            // of the groups in this file
    uint64_t footer_offset, footer_bytes, footer_checksum;  // 0: none, the file is to be scanned
    uint64_t next_segment_id, next_index_first;
    uint64_t checksum;  // salted
};
static_assert(sizeof(Seal) == 88);

/// First bytes of a group; its entries follow at once. Their headers are covered by the two chains, their
/// bodies by the checksums in their headers. A group without entries carries a vote, or witnesses the group
/// before it.
struct GroupHeader {
    uint64_t magic_version, segment_id, group_number, file_offset;
    uint64_t durable_group;  // every group up to this number was synced before this one was written
    NumberedHard hard;
    LogPoint before;       // the log before the first entry: a lost last group leaves a known end
    uint64_t chain_after;  // behind the last entry
    uint32_t entry_count, group_bytes;  // group_bytes: header, entries and padding
    uint64_t checksum;                  // of the fields before, salted
};
static_assert(sizeof(GroupHeader) == 128);
inline constexpr uint64_t kGroupHeaderBytes = sizeof(GroupHeader);

/// A place from which reading (and checking the chain) can begin.
struct Mark {
    LogPoint before;        // of the entry at `offset`
    uint64_t offset;        // of that entry's header
    uint64_t group_offset;  // of the group it is in
    bool operator==(const Mark&) const = default;
};
static_assert(sizeof(Mark) == 56);

/// Where a membership entry lies; chain_before lets its header be checked alone.
struct ConfigPlace {
    Index index;
    uint64_t offset;
    uint64_t chain_before;
    bool operator==(const ConfigPlace&) const = default;
};
static_assert(sizeof(ConfigPlace) == 24 && sizeof(TermRun) == 16);

/// Then: marks, term runs, config places. The checksum of it all stands in the seal.
struct FooterHeader {
    uint64_t magic_version, segment_id;
    LogPoint end;  // behind the last entry in the file
    uint32_t mark_count, run_count, config_count, reserved;
};
static_assert(sizeof(FooterHeader) == 72);

/// What ties a salted checksum to one segment.
struct SegmentKey {
    uint64_t id = 0;
    uint64_t salt = 0;
};

/// Fill `checksum`.
void sign(SegmentHeader& header);
void sign(Seal& seal, SegmentKey key);
void sign(GroupHeader& header, SegmentKey key);

/// What a block that should hold a header or a seal does hold.
enum class Form : uint8_t { zero, good, too_new, bad };
Form form_of_header(ByteView block, uint64_t id, SegmentHeader& into);
Form form_of_seal(ByteView block, SegmentKey key, Seal& into);
/// A group header that is good in itself, at this place of this segment.
bool is_group(ByteView bytes, SegmentKey key, uint64_t offset, GroupHeader& into);
/// A group of this segment and place as far as one can tell without the salt (its segment's header is lost).
bool looks_like_group(ByteView bytes, uint64_t segment_id, uint64_t offset);

bool all_zero(ByteView bytes);

/// `0000000000000001.wal`
std::string segment_name(uint64_t id);
std::optional<uint64_t> segment_id_of(std::string_view name);
std::string segment_path(std::string_view dir, uint64_t id);

}  // namespace raftd::wal
