// Reading the groups of one segment file, with every check: the one piece of code behind recovery, the reader
// and the dump. Blocking; at start-up or in a job.
#pragma once

#include <string>

#include "io/files.h"
#include "wal/segment.h"

namespace raftd::wal {

/// A file seen through a window of memory that moves forward.
class FileWindow {
public:
    FileWindow(io::Files& files, io::FileId file, uint64_t read_ahead_bytes);
    /// The bytes [offset, offset + bytes) as far as the file has them. Valid until the next call.
    ByteView at(uint64_t offset, uint64_t bytes);
    uint64_t file_bytes() const { return file_bytes_; }
    uint64_t bytes_read() const { return bytes_read_; }
    /// Of the same file.
    FileWindow another(uint64_t read_ahead_bytes) const { return {files_, file_, read_ahead_bytes}; }
    /// Reading failed at this place (a bad sector, say): what at() gave since is not to be judged.
    int error() const { return error_; }
    uint64_t error_offset() const { return error_offset_; }
    /// From here on only later errors count.
    void forgive() { error_ = 0; }

private:
    io::Files& files_;
    io::FileId file_;
    uint64_t read_ahead_bytes_;
    uint64_t file_bytes_ = 0, bytes_read_ = 0, error_offset_ = 0;
    int error_ = 0;
    uint64_t start_ = 0;  // of the window
    std::vector<std::byte> window_;
};

/// Opens a file for as long as this lives.
class OpenFile {
public:
    OpenFile(io::Files& files, const std::string& path, io::OpenMode mode);
    ~OpenFile();
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    explicit operator bool() const { return file_ != io::kNoFile; }
    io::FileId id() const { return file_; }
    int error() const { return error_; }

private:
    io::Files& files_;
    int error_ = 0;
    io::FileId file_;
};

enum class Bodies : uint8_t { check, skip };

/// The entry at `offset` of a group that ends at `group_end`, checked against `before`. `header` is filled
/// unless truncated; `entry` (optional) gets header and body, valid until the window's next use.
EntryFault read_entry(FileWindow& window, uint64_t offset, uint64_t group_end, const LogPoint& before,
                      Bodies bodies, EntryHeader& header, ByteView* entry = nullptr);

/// The body of the membership entry at `place`, when it and its header are whole. Valid until the window's
/// next use.
std::optional<ByteView> read_config(FileWindow& window, const ConfigPlace& place, EntryHeader& header);
inline constexpr uint64_t kConfigReadBytes = 1024;  // most membership entries fit
/// Whether all membership entries of the index can be read.
bool configs_readable(const SegmentIndex& index, FileWindow& window);

/// Where the scan of a segment stands.
struct ScanPoint {
    uint64_t offset = kFirstGroupAt;
    uint64_t last_group = 0;
    LogPoint log;
};

/// What lies at a place where a group should begin.
enum class Place : uint8_t {
    zero,         // nothing was written in this block
    bad_header,   // something, not a group of this segment and place
    bad_entries,  // a good header; what follows is not what it announces
    misplaced,    // a good header that doesn't follow the group before
    good,
};
inline constexpr int kPlaces = 5;

struct GroupSeen {
    Place place = Place::zero;
    GroupHeader header{};
    LogPoint after;                       // behind the group, when good
    EntryFault fault = EntryFault::none;  // of the first bad entry
    uint64_t fault_offset = 0;
};
/// Checks the group at `at`. Its entries are noted in `index`, if there is one; so are those before the first
/// bad one.
GroupSeen read_group(FileWindow& window, SegmentKey key, const ScanPoint& at, SegmentIndex* index);

/// The first good group header at a later block than `after` and before `end`; nothing: no witness, and then
/// `zeros_from` (optional) is where nothing but zeros follow, up to `end`.
std::optional<GroupHeader> find_later_group(FileWindow& window, SegmentKey key, uint64_t after, uint64_t end,
                                            uint64_t* zeros_from = nullptr);

/// The later group goes on exactly where the log stands: what was lost between held no entries.
bool follows(const GroupHeader& later, const ScanPoint& at);

std::optional<Footer> read_footer(FileWindow& window, SegmentKey key, const FooterPlace& place);

}  // namespace raftd::wal
