// What a daemon asks of the system beside its world: the lock on its data directory, its pid file, readiness
// for a service manager, more descriptors. Start-up and shutdown only.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace raftd::io::asio {

/// Holds DIR/LOCK (flock) while it lives: one process uses a data directory at a time, and the lock goes
/// with the process however it ends.
class DirectoryLock {
public:
    /// Errors: not_found (no such directory), conflict (in use; names the process), io.
    static Result<DirectoryLock> take(const std::string& directory);
    DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    DirectoryLock& operator=(DirectoryLock&&) = delete;
    ~DirectoryLock();

private:
    explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
    int descriptor_;
};

/// A file that holds this process's number while it lives: a note for people and scripts.
class PidFile {
public:
    explicit PidFile(std::string path);
    ~PidFile();
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

private:
    std::string path_;
};

/// Tells a service manager, if there is one ($NOTIFY_SOCKET): `READY=1`, `STOPPING=1`, `STATUS=...`.
void notify_service_manager(std::string_view state);
/// Keeps the heap from holding what was needed for a moment: once at the start, before any thread is made.
void bound_heap();
/// Raises the soft limit of open files to the hard one.
void raise_descriptor_limit();
/// True when standard error is that file.
bool stderr_is(const std::string& path);
/// Writes a file in one go, by plain calls: for a process that is about to abort.
void write_last_words(const std::string& path, std::string_view bytes);

}  // namespace raftd::io::asio
