#include "io/asio/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace raftd::io::asio {
namespace {

std::string error_text(int error) { return std::generic_category().message(error); }

/// Who holds the lock, as the holder wrote it; empty when unknown.
std::string holder_of(int descriptor) {
    char text[32] = {};
    ssize_t got = ::pread(descriptor, text, sizeof text - 1, 0);
    std::string holder(text, got > 0 ? static_cast<size_t>(got) : 0);
    return holder.substr(0, holder.find('\n'));
}

}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::string& directory) {
    struct stat about {};
    if (::stat(directory.c_str(), &about) != 0 || !S_ISDIR(about.st_mode))
        return error(Errc::not_found, "no data directory " + directory,
                     "raftctl init makes a new cluster; a lost member is replaced by raftctl member replace");
    std::string path = directory + "/LOCK";
    int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) return error(Errc::io, "can't open " + path + ": " + error_text(errno));
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        std::string holder = holder_of(descriptor);
        ::close(descriptor);
        if (why != EWOULDBLOCK) return error(Errc::io, "can't lock " + path + ": " + error_text(why));
        return error(
            Errc::conflict,
            "data directory " + directory + " is in use" + (holder.empty() ? "" : " by process " + holder),
            "stop that process first");
    }
    std::string mine = std::to_string(::getpid()) + "\n";
    if (::ftruncate(descriptor, 0) != 0 ||
        ::pwrite(descriptor, mine.data(), mine.size(), 0) != static_cast<ssize_t>(mine.size())) {
        int why = errno;  // a full disk: the lock holds all the same, only its note is missing
        if (why != ENOSPC && why != EDQUOT) {
            ::close(descriptor);
            return error(Errc::io, "can't write " + path + ": " + error_text(why));
        }
    }
    return DirectoryLock(descriptor);
}

DirectoryLock::~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

PidFile::PidFile(std::string path) : path_(std::move(path)) {
    write_last_words(path_, std::to_string(::getpid()) + "\n");
}

PidFile::~PidFile() { ::unlink(path_.c_str()); }

void notify_service_manager(std::string_view state) {
    const char* to = std::getenv("NOTIFY_SOCKET");
    if (to == nullptr || (*to != '/' && *to != '@')) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    size_t length = std::strlen(to);
    if (length >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, to, length);
    if (*to == '@') address.sun_path[0] = '\0';  // a name outside the file system
    int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return;
    auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
             bytes);
    ::close(socket);
}

// Left to itself, malloc takes the largest piece that was ever freed for the usual size, and keeps twice as
// much at the end of each thread's heap: a state of 32 MiB that was read once would stay for ever, in every
// thread. What a log's chunk takes (1 MiB) is still kept at hand.
void bound_heap() {
    constexpr int kOwnMapping = 8 << 20, kKeptAtEnd = 8 << 20;
    ::mallopt(M_MMAP_THRESHOLD, kOwnMapping);
    ::mallopt(M_TRIM_THRESHOLD, kKeptAtEnd);
}

void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool stderr_is(const std::string& path) {
    struct stat mine {
    }, its{};
    return ::fstat(2, &mine) == 0 && ::stat(path.c_str(), &its) == 0 && S_ISREG(mine.st_mode) &&
           mine.st_dev == its.st_dev && mine.st_ino == its.st_ino;
}

void write_last_words(const std::string& path, std::string_view bytes) {
    int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return;
    while (!bytes.empty()) {
        ssize_t written = ::write(file, bytes.data(), bytes.size());
        if (written <= 0) break;
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    ::close(file);
}

}  // namespace raftd::io::asio
