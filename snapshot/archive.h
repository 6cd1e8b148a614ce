// An archive: entries first..last of the committed log exactly in their encoding, internal ones too, in one
// immutable file. The content is cut into zstd frames of whole entries; an index of the frames stands in a
// skippable frame at the end, so `zstd -dc FILE` gives the content and nothing else. Archives are named and
// compared by the SHA-256 of that content, never by the bytes of the file, which differ between versions of
// zstd (H13). Byte diagram: docs/formats.md. Blocking: runs in jobs. Read next: snapshot/archive_reader.h.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/entry.h"
#include "base/result.h"
#include "base/uuid.h"
#include "io/files.h"

namespace raftd::snapshot {

inline constexpr uint64_t kFrameContentBytes = 256u << 10;    // a frame ends with the entry that reaches it
inline constexpr uint64_t kFrameContentBytesMax = 32u << 20;  // one entry may be larger than a frame
inline constexpr uint64_t kArchiveContentBytesMax = 128u << 20;
inline constexpr uint64_t kArchiveEntriesMax = 65'536;

using ContentHash = std::array<uint8_t, 32>;  // SHA-256

/// What is known of an archive without reading its entries.
struct ArchiveInfo {
    LogPoint before, end;  // the log before its first entry, and behind its last
    uint64_t content_bytes = 0, file_bytes = 0;
    ContentHash hash{};  // of the content

    Index first() const { return before.index + 1; }
    Index last() const { return end.index; }
    uint64_t records() const { return end.lsn_next - before.lsn_next; }
    /// `FIRST-LAST-HASH.zst`, with the first 32 digits of the hash.
    std::string name() const;
    bool operator==(const ArchiveInfo&) const = default;
};
using raftd::to_hex;
std::string to_hex(const ContentHash& hash);
/// Whether a file name has the form of an archive's.
bool is_archive_name(std::string_view name);

// ---- as bytes: frames, then one skippable frame that holds header, frame records and footer ----

/// 16 frame types are skippable; this is the first one, with the size of what follows behind it.
inline constexpr uint32_t kSkippableMagic = 0x184D2A50;
inline constexpr uint64_t kSkippableHeaderBytes = 8;
inline constexpr uint64_t kArchiveMagic = 0x0176'6968'6372'6172;  // "rarchiv", 1: the version

struct ArchiveHeader {
    uint64_t magic_version;
    LogPoint before, end;
    uint64_t content_bytes, frames_bytes;  // frames_bytes: where the skippable frame begins
    ContentHash hash;
    uint32_t frame_count, reserved;
};
static_assert(sizeof(ArchiveHeader) == 144);

struct FrameRecord {
    LogPoint before;                       // of the first entry in the frame
    uint64_t offset;                       // in the file
    uint32_t packed_bytes, content_bytes;  // in the file, and unpacked
    uint64_t checksum;                     // of the packed bytes
};
static_assert(sizeof(FrameRecord) == 64);

/// Last bytes of the file.
struct ArchiveFooter {
    uint64_t magic_version;
    uint64_t index_bytes;  // of header, records and footer
    uint64_t checksum;     // of those, up to here
};
static_assert(sizeof(ArchiveFooter) == 24);

/// Writes one archive with the memory of a frame. The file gets its name when it is whole and synced, by
/// finish(); until then it is PARTIAL in `dir`. After an error the archive is to be begun anew.
class ArchiveWriter {
public:
    static constexpr const char* kPartialName = "archive.tmp";

    /// `level`: zstd's, 1 to 19; equal content whatever it is.
    ArchiveWriter(std::string dir, const LogPoint& before, int level);
    ~ArchiveWriter();
    ArchiveWriter(ArchiveWriter&&) noexcept;
    ArchiveWriter& operator=(ArchiveWriter&&) noexcept;

    /// Whole entries that go on at end(); each is checked by chain and body. Errors: damaged (one that
    /// doesn't follow, or isn't what its header says), io.
    Result<void> add(io::Files& files, ByteView entries);
    /// The directory isn't synced: whoever makes the name count does that. Requires: something was added.
    Result<ArchiveInfo> finish(io::Files& files);
    const LogPoint& end() const { return end_; }

private:
    class Target;
    struct Tools;  // of zstd and SHA-256
    Result<void> write_frame(Target& file);
    Result<void> write_index(Target& file, const ContentHash& hash);

    std::string dir_;
    LogPoint before_, end_;
    int level_;
    bool begun_ = false;
    uint64_t file_bytes_ = 0, content_bytes_ = 0;
    LogPoint frame_before_;
    std::vector<std::byte> frame_;  // content of the frame that is being filled
    std::vector<FrameRecord> records_;
    std::unique_ptr<Tools> tools_;
};

}  // namespace raftd::snapshot
