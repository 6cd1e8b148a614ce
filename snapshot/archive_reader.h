// Reading an archive: by index, LSN or time, a frame at a time. The file is foreign bytes: every length is
// bounded by what the index says and by the limits of an archive before memory is taken, and nothing is
// handed out before its chain and body were checked. Errors name the file and the offset. Blocking: runs in
// jobs.
#pragma once

#include "snapshot/archive.h"

namespace raftd::snapshot {

/// A stretch of entries that is wanted.
struct ArchiveSeek {
    // index: with this one; lsn: that holds it, or the next batch; time_ms: stamped at or after.
    enum class By : uint8_t { index, lsn, time_ms };
    By by = By::index;
    uint64_t value = 0;
    Index upto{UINT64_MAX};  // last one wanted, inclusive
    uint64_t bytes_max = 1u << 20;
    uint64_t upto_lsn = 0;  // no entry behind the one that holds this LSN; 0: no such end
};
struct ArchiveRun {
    LogPoint before, after;     // of the first entry; behind the last
    Index first{}, last{};      // 0: none is as asked for
    uint32_t bytes = 0;         // filled
    uint32_t bytes_needed = 0;  // the first entry alone is larger than the memory given
};

class ArchiveReader {
public:
    /// Reads and checks the index. Errors: not_found (no such file), damaged, too_new, io.
    static Result<ArchiveReader> open(io::Files& files, const std::string& path);
    ~ArchiveReader();
    ArchiveReader(ArchiveReader&& other) noexcept;
    ArchiveReader& operator=(ArchiveReader&&) = delete;

    const ArchiveInfo& info() const { return info_; }
    const std::vector<FrameRecord>& frames() const { return frames_; }
    /// The log behind the last entry of a frame.
    const LogPoint& end_of(size_t frame) const {
        return frame + 1 < frames_.size() ? frames_[frame + 1].before : info_.end;
    }
    /// Content of a frame, whole entries, all of them checked. Good until the next call. Errors: damaged, io.
    Result<ByteView> content(size_t frame);
    /// Copies whole entries into `into`, at least one if there is one and room for it.
    Result<ArchiveRun> read(const ArchiveSeek& seek, MutableBytes into);
    /// Reads all of it: every frame, and the hash.
    Result<void> verify();

private:
    ArchiveReader(io::Files& files, std::string path, io::FileId file)
        : files_(&files), path_(std::move(path)), file_(file) {}
    Result<void> read_index();
    Result<void> check_frames(const ArchiveHeader& header);
    Result<void> read_at(uint64_t offset, MutableBytes into, std::string_view what);
    Result<void> check_entries(size_t frame, ByteView content) const;
    bool too_early(const LogPoint& before, const ArchiveSeek& seek) const;
    Error bad(uint64_t offset, std::string_view why) const;

    io::Files* files_;
    std::string path_;
    io::FileId file_;
    ArchiveInfo info_;
    std::vector<FrameRecord> frames_;
    std::vector<std::byte> packed_, content_;
};

/// Opens and verifies an archive, and that its name says what it holds.
Result<ArchiveInfo> verify_archive(io::Files& files, const std::string& dir, const std::string& name);

}  // namespace raftd::snapshot
