// System calls on files with EINTR, short counts and fatal syncs dealt with once. Errors are errno values, 0
// = done. Any thread.
#pragma once

#include <sys/uio.h>

#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "io/files.h"

namespace raftd::io::asio::posix {

/// Never follows a symbolic link as the last part; close-on-exec; mode 0600 for what it makes.
int open_file(std::string_view path, int flags, int& error);
FileResult read_at(int descriptor, uint64_t offset, MutableBytes into);
/// A short write ends as ENOSPC when the system gives no better reason.
FileResult write_at(int descriptor, uint64_t offset, ByteView bytes);
/// The parts end to end. `parts` is changed. `calls` counts system calls.
FileResult write_parts_at(int descriptor, uint64_t offset, std::span<iovec> parts, uint64_t& calls);

/// After a failed sync the kernel may have dropped the pages and called them clean: no retry can be trusted.
/// So it ends the process (exit 20); it never returns an error.
void sync_data(int descriptor, std::string_view path);
void sync_all(int descriptor, std::string_view path);
/// Syncs a directory. An error when it can't be opened; a failed sync is fatal.
int sync_dir(std::string_view path);
/// Renames. Fatal where the file system itself fails (EIO, EROFS, ENOSPC); ENOENT and the like are values.
int rename_file(std::string_view from, std::string_view to);
/// The same, but EEXIST when there is something called `to`.
int rename_new_file(std::string_view from, std::string_view to);
/// What that does on file systems whose renames always replace: a second name, and the first one away.
int relink_file(std::string_view from, std::string_view to);
std::string parent_of(std::string_view path);
[[noreturn]] void fatal_sync(std::string_view what, std::string_view path, int error);
/// Zeros of 1 MiB, for filling; aligned for direct writes.
ByteView zeros();
/// Whether writes pass the page cache; memory, offset and length are then multiples of kDirectAlign. False
/// where the file system doesn't do that.
bool set_direct(int descriptor, bool on);
inline constexpr uint64_t kDirectAlign = 4096;
/// Bytes that an unprivileged writer still has on the file system of `descriptor` or `path`; false on error.
bool free_bytes_at(int descriptor, uint64_t& bytes);
bool free_bytes_at(const std::string& path, uint64_t& bytes);

}  // namespace raftd::io::asio::posix
