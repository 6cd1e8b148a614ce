// A library to preload: notes each call on files below one folder, and makes the Nth one of a kind fail.
// Needs no right to trace processes.
//   RAFTD_SHIM_DIR    the folder, as the program names it; nothing: the shim does nothing
//   RAFTD_SHIM_TRACE  a file that gets one line a call: kind|path|offset|bytes
//   RAFTD_SHIM_FAULT  KIND:N:WHAT:once|lasting. KIND: create write sync rename remove read. WHAT: EIO ENOSPC
//                     EINTR SHORT HANG KILL. The trace then has a line `fault|...` for each.
//   RAFTD_SHIM_HANG_MS  how long a call hangs (default 300); one that hangs lastingly never returns
// The calls themselves are made as system calls, so nothing here is called twice.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kFilesMax = 4096;
constexpr size_t kPathMax = 256;
constexpr int kEintrMax = 50;  // a system that never stops to interrupt is none

enum Kind { create, write_, sync_, rename_, remove_, read_, kinds };
constexpr const char* kKindNames[kinds] = {"create", "write", "sync", "rename", "remove", "read"};

// Plain and zero, since calls come before any constructor has run.
struct State {
    pthread_mutex_t mutex;
    bool ready;
    char dir[kPathMax];
    int trace;
    char paths[kFilesMax][kPathMax];
    bool directory[kFilesMax];
    // the fault
    int kind, number, error, hang_ms;
    bool is_short, hangs, kills, lasting;
    int counts[kinds], interrupted;
};
State state{
    PTHREAD_MUTEX_INITIALIZER, false, {}, -1, {}, {}, -1, 0, 0, 300, false, false, false, false, {}, 0};

struct Lock {
    Lock() { pthread_mutex_lock(&state.mutex); }
    ~Lock() { pthread_mutex_unlock(&state.mutex); }
};

void parse_fault(const char* text) {
    char kind[16] = {}, what[16] = {}, how[16] = {};
    if (std::sscanf(text, "%15[a-z]:%d:%15[A-Z]:%15[a-z]", kind, &state.number, what, how) != 4) std::abort();
    for (int i = 0; i < kinds; ++i)
        if (std::strcmp(kind, kKindNames[i]) == 0) state.kind = i;
    state.lasting = std::strcmp(how, "lasting") == 0;
    state.is_short = std::strcmp(what, "SHORT") == 0;
    state.hangs = std::strcmp(what, "HANG") == 0;
    state.kills = std::strcmp(what, "KILL") == 0;
    if (std::strcmp(what, "EIO") == 0) state.error = EIO;
    if (std::strcmp(what, "ENOSPC") == 0) state.error = ENOSPC;
    if (std::strcmp(what, "EINTR") == 0) state.error = EINTR;
    if (state.kind < 0 || (state.error == 0 && !state.is_short && !state.hangs && !state.kills)) std::abort();
}

void begin_locked() {
    if (state.ready) return;
    state.ready = true;
    const char* dir = std::getenv("RAFTD_SHIM_DIR");
    if (dir == nullptr) return;
    std::snprintf(state.dir, sizeof state.dir, "%s", dir);
    if (const char* trace = std::getenv("RAFTD_SHIM_TRACE"))
        state.trace = static_cast<int>(
            syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (const char* ms = std::getenv("RAFTD_SHIM_HANG_MS")) state.hang_ms = std::atoi(ms);
    if (const char* fault = std::getenv("RAFTD_SHIM_FAULT")) parse_fault(fault);
}

bool is_ours(const char* path) {
    const size_t length = std::strlen(state.dir);
    if (length == 0 || std::strlen(path) >= kPathMax) return false;
    return std::strncmp(path, state.dir, length) == 0 && (path[length] == 0 || path[length] == '/');
}

const char* path_of(int descriptor) {
    const bool ours = descriptor >= 0 && descriptor < kFilesMax && state.paths[descriptor][0] != 0;
    return ours ? state.paths[descriptor] : nullptr;
}

void note(const char* what, const char* path, uint64_t offset, uint64_t bytes) {
    if (state.trace < 0) return;
    char line[kPathMax + 80];
    const int length = std::snprintf(line, sizeof line, "%s|%s|%lu|%lu\n", what, path, offset, bytes);
    syscall(SYS_write, state.trace, line, static_cast<size_t>(length));
}

/// What becomes of the next call of this kind; < 0: it fails, with errno set. Else how many of `bytes` it
/// has.
int64_t decide(Kind kind, const char* path, uint64_t bytes) {
    const int count = ++state.counts[kind];
    const bool hit = kind == state.kind && (count == state.number || (state.lasting && count > state.number));
    if (!hit || (state.error == EINTR && ++state.interrupted > kEintrMax)) return static_cast<int64_t>(bytes);
    note("fault", path, 0, static_cast<uint64_t>(count));
    if (state.kills) kill(getpid(), SIGKILL);
    if (state.hangs) {
        const int ms = state.lasting ? 3'600'000 : state.hang_ms;
        const timespec wait{ms / 1000, ms % 1000 * 1'000'000L};
        pthread_mutex_unlock(&state.mutex);  // the others go on
        syscall(SYS_nanosleep, &wait, nullptr);
        pthread_mutex_lock(&state.mutex);
    }
    if (state.error != 0) {
        errno = state.error;
        return -1;
    }
    return static_cast<int64_t>(state.is_short && bytes > 1 ? bytes / 2 : bytes);
}

bool is_zero(const void* bytes, size_t count) {
    const auto* at = static_cast<const char*>(bytes);
    return count >= 512 && at[0] == 0 && std::memcmp(at, at + 1, count - 1) == 0;
}

int open_any(const char* path, int flags, mode_t mode) {
    Lock lock;
    begin_locked();
    const bool ours = is_ours(path);
    bool makes = false;
    if (ours && (flags & O_CREAT) != 0) {
        struct stat about {};
        const bool there = fstatat(AT_FDCWD, path, &about, AT_SYMLINK_NOFOLLOW) == 0;
        makes = there ? (flags & O_TRUNC) != 0 : true;
    }
    if (makes) {
        note("create", path, 0, 0);
        if (decide(create, path, 1) < 0) return -1;
    }
    const int opened = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
    if (ours && opened >= 0 && opened < kFilesMax) {
        std::snprintf(state.paths[opened], kPathMax, "%s", path);
        state.directory[opened] = (flags & O_DIRECTORY) != 0;
    }
    return opened;
}

ssize_t write_any(int descriptor, const iovec* parts, int count, int64_t offset) {
    Lock lock;
    const char* path = path_of(descriptor);
    uint64_t bytes = 0;
    bool zero = true;
    for (int i = 0; i < count; ++i) {
        bytes += parts[i].iov_len;
        zero = zero && is_zero(parts[i].iov_base, parts[i].iov_len);
    }
    int64_t allowed = static_cast<int64_t>(bytes);
    if (path != nullptr) {
        const auto at = offset >= 0 ? offset : syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
        note(zero ? "fill" : "write", path, static_cast<uint64_t>(at), bytes);
        allowed = decide(write_, path, bytes);
        if (allowed < 0) return -1;
    }
    iovec short_parts[1024];
    int used = 0;
    for (int64_t left = allowed; used < count && used < 1024 && left > 0; ++used) {
        short_parts[used] = parts[used];
        short_parts[used].iov_len = std::min(parts[used].iov_len, static_cast<size_t>(left));
        left -= static_cast<int64_t>(short_parts[used].iov_len);
    }
    if (offset < 0) return syscall(SYS_writev, descriptor, short_parts, used);
    return syscall(SYS_pwritev, descriptor, short_parts, used, offset, 0);
}

ssize_t read_any(int descriptor, void* into, size_t bytes, int64_t offset) {
    Lock lock;
    int64_t allowed = static_cast<int64_t>(bytes);
    if (const char* path = path_of(descriptor)) {
        note("read", path, static_cast<uint64_t>(std::max<int64_t>(offset, 0)), bytes);
        allowed = decide(read_, path, bytes);
        if (allowed < 0) return -1;
    }
    if (offset < 0) return syscall(SYS_read, descriptor, into, allowed);
    return syscall(SYS_pread64, descriptor, into, allowed, offset);
}

int sync_any(long call, int descriptor) {
    Lock lock;
    if (const char* path = path_of(descriptor)) {
        note(state.directory[descriptor] ? "sync_dir" : "sync", path, 0, 0);
        if (decide(sync_, path, 1) < 0) return -1;
    }
    return static_cast<int>(syscall(call, descriptor));
}

int size_any(const char* what, int descriptor, uint64_t offset, uint64_t bytes, long call) {
    Lock lock;
    if (const char* path = path_of(descriptor)) {
        note(what, path, offset, bytes);
        if (decide(write_, path, 1) < 0) return -1;
    }
    return static_cast<int>(call == SYS_ftruncate ? syscall(call, descriptor, bytes)
                                                  : syscall(call, descriptor, 0, offset, bytes));
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_any(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_any(path, flags, mode);
}
int close(int descriptor) {
    Lock lock;
    if (path_of(descriptor) != nullptr) state.paths[descriptor][0] = 0;
    return static_cast<int>(syscall(SYS_close, descriptor));
}
ssize_t write(int descriptor, const void* bytes, size_t count) {
    const iovec part{const_cast<void*>(bytes), count};
    return write_any(descriptor, &part, 1, -1);
}
ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
    const iovec part{const_cast<void*>(bytes), count};
    return write_any(descriptor, &part, 1, offset);
}
ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off_t offset) {
    return pwrite(descriptor, bytes, count, offset);
}
ssize_t pwritev(int descriptor, const iovec* parts, int count, off_t offset) {
    return write_any(descriptor, parts, count, offset);
}
ssize_t pwritev64(int descriptor, const iovec* parts, int count, off_t offset) {
    return write_any(descriptor, parts, count, offset);
}
ssize_t read(int descriptor, void* into, size_t bytes) { return read_any(descriptor, into, bytes, -1); }
ssize_t pread(int descriptor, void* into, size_t bytes, off_t offset) {
    return read_any(descriptor, into, bytes, offset);
}
ssize_t pread64(int descriptor, void* into, size_t bytes, off_t offset) {
    return read_any(descriptor, into, bytes, offset);
}
int fsync(int descriptor) { return sync_any(SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return sync_any(SYS_fdatasync, descriptor); }
int ftruncate(int descriptor, off_t bytes) noexcept {
    return size_any("resize", descriptor, 0, static_cast<uint64_t>(bytes), SYS_ftruncate);
}
int ftruncate64(int descriptor, off_t bytes) noexcept { return ftruncate(descriptor, bytes); }
int posix_fallocate(int descriptor, off_t offset, off_t bytes) {
    const int done = size_any("allocate", descriptor, static_cast<uint64_t>(offset),
                              static_cast<uint64_t>(bytes), SYS_fallocate);
    return done == 0 ? 0 : errno;
}
int posix_fallocate64(int descriptor, off_t offset, off_t bytes) {
    return posix_fallocate(descriptor, offset, bytes);
}
int posix_fadvise(int descriptor, off_t offset, off_t bytes, int advice) noexcept {
    Lock lock;
    if (const char* path = path_of(descriptor); path != nullptr && advice == POSIX_FADV_DONTNEED)
        note("drop_cache", path, 0, 0);
    return syscall(SYS_fadvise64, descriptor, offset, bytes, advice) == 0 ? 0 : errno;
}
int posix_fadvise64(int descriptor, off_t offset, off_t bytes, int advice) noexcept {
    return posix_fadvise(descriptor, offset, bytes, advice);
}
int rename(const char* from, const char* to) noexcept {
    Lock lock;
    begin_locked();
    if (is_ours(from)) {
        note("rename", from, 0, 0);
        if (decide(rename_, from, 1) < 0) return -1;
    }
    return static_cast<int>(syscall(SYS_rename, from, to));
}
int unlink(const char* path) noexcept {
    Lock lock;
    begin_locked();
    if (is_ours(path)) {
        note("remove", path, 0, 0);
        if (decide(remove_, path, 1) < 0) return -1;
    }
    return static_cast<int>(syscall(SYS_unlink, path));
}
int mkdir(const char* path, mode_t mode) noexcept {
    Lock lock;
    begin_locked();
    if (is_ours(path)) {
        note("make_dir", path, 0, 0);
        if (decide(create, path, 1) < 0) return -1;
    }
    return static_cast<int>(syscall(SYS_mkdir, path, mode));
}
}
