// A plain tar (ustar) of regular files: written header by header, and read as a folder of files that nobody
// can write to, so that all that reads a snapshot folder reads a tar of it. What a save doesn't need is
// refused: links, devices, folders, extended headers, prefixes. A tar is foreign bytes: sizes are compared
// with the file before memory is taken. Byte diagram: docs/formats.md. Blocking; one thread. Read next:
// snapshot/saved.h.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/files.h"

namespace raftd::snapshot {

inline constexpr uint64_t kTarBlockBytes = 512;
inline constexpr uint64_t kTarFileBytesMax = (uint64_t{1} << 33) - 1;  // 11 octal digits
inline constexpr uint64_t kTarEndBytes = 2 * kTarBlockBytes;           // of zeros

using TarHeader = std::array<std::byte, kTarBlockBytes>;
/// Requires: a name of at most 100 bytes without `/`, bytes <= kTarFileBytesMax.
TarHeader tar_header(std::string_view name, uint64_t bytes, uint64_t mtime_s);
/// Zeros behind a file's bytes, up to the next block.
constexpr uint64_t tar_padding(uint64_t bytes) {
    return (kTarBlockBytes - bytes % kTarBlockBytes) % kTarBlockBytes;
}

/// Writes one from begin to end. Every call's error is the sink's.
class TarWriter {
public:
    using Sink = std::function<Result<void>(ByteView)>;
    /// `mtime_s`: of every file, in seconds since 1970.
    TarWriter(Sink sink, uint64_t mtime_s) : sink_(std::move(sink)), mtime_s_(mtime_s) {}

    /// The next file, of exactly `bytes`. Requires: the one before is whole.
    Result<void> begin(std::string_view name, uint64_t bytes);
    Result<void> add(ByteView bytes);
    Result<void> finish();
    uint64_t bytes() const { return bytes_; }  // that went to the sink

private:
    Result<void> put(ByteView bytes);
    Sink sink_;
    uint64_t mtime_s_;
    uint64_t bytes_ = 0, left_ = 0, padding_ = 0;
};

/// The files of a tar, to be read as `PATH/NAME`, PATH being the tar's own. Everything else is refused by
/// EROFS.
class TarFiles final : public io::Files {
public:
    /// Says how many bytes a file of this name may have; 0: no such name is taken.
    using SizeMax = std::function<uint64_t(std::string_view name)>;
    /// Reads all headers and no content. Errors: not_found, io, bad_input (no tar), damaged (what is refused,
    /// cut off, or there twice), with the offset.
    static Result<std::unique_ptr<TarFiles>> open(io::Files& files, const std::string& path,
                                                  const SizeMax& size_max);
    ~TarFiles() override;

    /// Names and sizes, in the order of the names.
    std::map<std::string, uint64_t> sizes() const;
    uint64_t bytes() const { return bytes_; }  // of the tar

    io::FileId open(std::string_view path, io::OpenMode mode, int& error) override;
    void close(io::FileId file) override { open_.erase(file); }
    io::FileResult read(io::FileId file, uint64_t offset, MutableBytes into) override;
    io::FileResult size(io::FileId file) override;
    std::vector<std::string> list(std::string_view dir, int& error) override;

    io::FileResult write(io::FileId, uint64_t, ByteView) override { return refused(); }
    io::FileResult sync(io::FileId) override { return refused(); }
    io::FileResult sync_dir(std::string_view) override { return refused(); }
    io::FileResult rename(std::string_view, std::string_view) override { return refused(); }
    io::FileResult remove(std::string_view) override { return refused(); }
    io::FileResult make_dir(std::string_view) override { return refused(); }
    io::FileResult resize(io::FileId, uint64_t) override { return refused(); }
    io::FileResult drop_cache(io::FileId) override { return {}; }
    io::FileResult fill_zeros(io::FileId, uint64_t, uint64_t) override { return refused(); }
    io::FileResult allocate(io::FileId, uint64_t) override { return refused(); }

private:
    struct Entry {
        uint64_t offset = 0, bytes = 0;
    };
    TarFiles(io::Files& files, std::string path, io::FileId file)
        : files_(files), path_(std::move(path)), file_(file) {}
    Result<void> read_headers(const SizeMax& size_max);
    Result<uint64_t> take(uint64_t at, const TarHeader& header, const SizeMax& size_max);
    Result<void> check_end(uint64_t at);
    Error bad(uint64_t at, std::string_view why) const;
    static io::FileResult refused();

    io::Files& files_;
    std::string path_;
    io::FileId file_;
    uint64_t bytes_ = 0;
    std::map<std::string, Entry, std::less<>> entries_;
    std::map<io::FileId, Entry> open_;
    uint32_t last_id_ = 0;
};

}  // namespace raftd::snapshot
