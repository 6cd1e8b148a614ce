// The node's asynchronous disk: requests go out, completions come back as io::Completed events. Nothing here
// calls back into the caller. One FIFO lane for write and rename; create, remove and read go beside it.
// Errors as values: ENOSPC and short write (write, create), EIO (read). A failed sync is fatal (exit 20) and
// never reported as a value.
#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"
#include "io/files.h"

namespace raftd::io {

enum class Token : uint64_t {};

enum class Prefill : uint8_t {
    zeros,      // written: a later sync commits no metadata
    allocated,  // fallocate: quick, reads as zeros, dearer syncs
};

class Disk {
public:
    virtual ~Disk() = default;
    /// Opens a file for the calls below; at start-up (blocking) only.
    virtual FileId open(std::string_view path, int& error) = 0;
    /// Writes the parts end to end at `offset`, then syncs if asked (fdatasync). The parts are held until
    /// completion. In order with all writes and renames before it.
    virtual void write(FileId file, uint64_t offset, std::span<const Slice> parts, bool sync,
                       Token token) = 0;
    /// Makes a new file of `bytes`, filled and synced, and syncs the directory if asked; Completed::file
    /// names it, open. Runs in the background beside the FIFO. On failure nothing is left behind. (sync_dir
    /// is false only for PlantedBug::skip_directory_sync.)
    virtual void create(std::string_view path, uint64_t bytes, Prefill prefill, bool sync_dir,
                        Token token) = 0;
    virtual void rename(std::string_view from, std::string_view to, Token token) = 0;  // dir synced
    virtual void remove(std::string_view path, Token token) = 0;                       // dir synced
    /// Reads into.size() bytes at `offset` on the pool; Completed::bytes is the part that was read.
    virtual void read(FileId file, uint64_t offset, Slice into, Token token) = 0;
    /// Closes once all that was asked before is done.
    virtual void close(FileId file) = 0;
    virtual uint64_t free_bytes() = 0;  // cached; refreshed by the lane
};

}  // namespace raftd::io
