#include "io/asio/posix.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <system_error>

#include "base/check.h"

namespace raftd::io::asio::posix {
namespace {

/// Runs `call` again while a signal interrupts it.
template <class Call>
auto retried(Call call) {
    for (;;) {
        auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

bool the_file_system_failed(int error) {
    return error == EIO || error == EROFS || error == ENOSPC || error == EDQUOT;
}

}  // namespace

int open_file(std::string_view path, int flags, int& error) {
    std::string name(path);
    int descriptor = retried([&] { return ::open(name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, 0600); });
    error = descriptor < 0 ? errno : 0;
    return descriptor;
}

FileResult read_at(int descriptor, uint64_t offset, MutableBytes into) {
    uint64_t done = 0;
    while (done < into.size()) {
        ssize_t got = retried([&] {
            return ::pread(descriptor, into.data() + done, into.size() - done,
                           static_cast<off_t>(offset + done));
        });
        if (got < 0) return {errno, done};
        if (got == 0) break;
        done += static_cast<uint64_t>(got);
    }
    return {0, done};
}

FileResult write_at(int descriptor, uint64_t offset, ByteView bytes) {
    uint64_t done = 0;
    while (done < bytes.size()) {
        ssize_t put = retried([&] {
            return ::pwrite(descriptor, bytes.data() + done, bytes.size() - done,
                            static_cast<off_t>(offset + done));
        });
        if (put < 0) return {errno, done};
        if (put == 0) return {ENOSPC, done};
        done += static_cast<uint64_t>(put);
    }
    return {0, done};
}

FileResult write_parts_at(int descriptor, uint64_t offset, std::span<iovec> parts, uint64_t& calls) {
    uint64_t done = 0;
    while (!parts.empty()) {
        auto count = static_cast<int>(std::min<size_t>(parts.size(), IOV_MAX));
        ++calls;
        ssize_t put = retried(
            [&] { return ::pwritev(descriptor, parts.data(), count, static_cast<off_t>(offset + done)); });
        if (put < 0) return {errno, done};
        if (put == 0) return {ENOSPC, done};
        auto left = static_cast<size_t>(put);
        done += left;
        while (!parts.empty() && left >= parts.front().iov_len) {
            left -= parts.front().iov_len;
            parts = parts.subspan(1);
        }
        if (left > 0) {
            parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + left;
            parts.front().iov_len -= left;
        }
    }
    return {0, done};
}

void fatal_sync(std::string_view what, std::string_view path, int error) {
    fatal(ExitCode::sync_failed, std::string(what) + " failed, " + std::string(path) + ": " +
                                     std::generic_category().message(error));
}

void sync_data(int descriptor, std::string_view path) {
    if (retried([&] { return ::fdatasync(descriptor); }) != 0) fatal_sync("sync", path, errno);
}

void sync_all(int descriptor, std::string_view path) {
    if (retried([&] { return ::fsync(descriptor); }) != 0) fatal_sync("sync", path, errno);
}

int sync_dir(std::string_view path) {
    // A folder may be reached by a link (a data directory on another disk), a file may not.
    std::string name(path);
    int descriptor = retried([&] { return ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (descriptor < 0) return errno;
    sync_all(descriptor, path);
    ::close(descriptor);
    return 0;
}

int rename_file(std::string_view from, std::string_view to) {
    if (std::rename(std::string(from).c_str(), std::string(to).c_str()) == 0) return 0;
    int error = errno;
    if (the_file_system_failed(error)) fatal_sync("rename", to, error);
    return error;
}

int rename_new_file(std::string_view from, std::string_view to) {
    const std::string old_name(from), new_name(to);
    if (::renameat2(AT_FDCWD, old_name.c_str(), AT_FDCWD, new_name.c_str(), RENAME_NOREPLACE) == 0) return 0;
    const int error = errno;
    if (error == EINVAL || error == ENOSYS) return relink_file(from, to);  // NFS, for one
    if (the_file_system_failed(error)) fatal_sync("rename", to, error);
    return error;
}

int relink_file(std::string_view from, std::string_view to) {
    const int error = ::link(std::string(from).c_str(), std::string(to).c_str()) == 0 ? 0 : errno;
    if (error == 0) ::unlink(std::string(from).c_str());  // a second name that stays does no harm
    if (the_file_system_failed(error)) fatal_sync("link", to, error);
    return error;
}

std::string parent_of(std::string_view path) {
    size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return ".";
    return std::string(slash == 0 ? path.substr(0, 1) : path.substr(0, slash));
}

ByteView zeros() {
    alignas(kDirectAlign) static const std::array<std::byte, 1u << 20> kZeros{};
    return kZeros;
}

bool set_direct(int descriptor, bool on) {
    int flags = ::fcntl(descriptor, F_GETFL);
    return flags >= 0 && ::fcntl(descriptor, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

namespace {
uint64_t free_of(const struct statvfs& found) {
    return static_cast<uint64_t>(found.f_bavail) * static_cast<uint64_t>(found.f_frsize);
}
}  // namespace

bool free_bytes_at(int descriptor, uint64_t& bytes) {
    struct statvfs found {};
    if (retried([&] { return ::fstatvfs(descriptor, &found); }) != 0) return false;
    bytes = free_of(found);
    return true;
}

bool free_bytes_at(const std::string& path, uint64_t& bytes) {
    struct statvfs found {};
    if (retried([&] { return ::statvfs(path.c_str(), &found); }) != 0) return false;
    bytes = free_of(found);
    return true;
}

}  // namespace raftd::io::asio::posix
