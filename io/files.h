// Blocking files, for start-up (recovery) and for Job::run on a worker lane only; never on the loop thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace raftd::io {

enum class FileId : uint32_t {};
inline constexpr FileId kNoFile{0};

/// error: an errno value, 0 = done. bytes: how many were read or written; a short read is the end of the
/// file.
struct FileResult {
    int error = 0;
    uint64_t bytes = 0;
};

enum class OpenMode : uint8_t {
    read,        // must exist
    read_write,  // must exist
    create_new,  // must not exist; mode 0600
    truncate,    // made, or emptied
};

class Files {
public:
    virtual ~Files() = default;
    /// kNoFile and `error` on failure. Symbolic links are not followed for the last part.
    virtual FileId open(std::string_view path, OpenMode mode, int& error) = 0;
    virtual void close(FileId file) = 0;
    virtual FileResult read(FileId file, uint64_t offset, MutableBytes into) = 0;
    virtual FileResult write(FileId file, uint64_t offset, ByteView bytes) = 0;
    /// A failed sync, sync_dir or rename of a synced file is fatal (exit 20) in the world itself: it never
    /// returns.
    virtual FileResult sync(FileId file) = 0;
    virtual FileResult sync_dir(std::string_view path) = 0;
    virtual FileResult rename(std::string_view from, std::string_view to) = 0;
    /// The same, but EEXIST when something has the name `to`, which then stays as it is. Here: for worlds in
    /// which nobody else makes files.
    virtual FileResult rename_new(std::string_view from, std::string_view to);
    virtual FileResult remove(std::string_view path) = 0;
    virtual FileResult make_dir(std::string_view path) = 0;  // mode 0700; EEXIST when there
    virtual FileResult size(FileId file) = 0;                // in bytes
    virtual FileResult resize(FileId file, uint64_t bytes) = 0;
    /// Forgets cached pages, so that the next read is of the disk (after a failed sync the cache lies).
    virtual FileResult drop_cache(FileId file) = 0;
    virtual FileResult fill_zeros(FileId file, uint64_t from, uint64_t to) = 0;   // written, not allocated
    virtual FileResult allocate(FileId file, uint64_t bytes) = 0;                 // fallocate: reads as zeros
    virtual std::vector<std::string> list(std::string_view dir, int& error) = 0;  // names, sorted
};

/// Reads a whole file of at most `bytes_max`; error EFBIG beyond.
FileResult read_file(Files& files, std::string_view path, uint64_t bytes_max, std::string& into);
/// Replaces a file so that after a crash there is the old or the new content: PATH.tmp, sync, rename, sync of
/// `dir`.
FileResult write_file_atomically(Files& files, std::string_view dir, std::string_view name, ByteView content);

}  // namespace raftd::io
