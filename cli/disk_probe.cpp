#include "cli/disk_probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "cli/command.h"
#include "cli/deadline.h"

namespace raftd::cli {
namespace {

constexpr size_t kBlockBytes = 4096, kBlocks = 256;

/// What the measuring process says, one at a time: a sync's time in ns, or -errno.
void measure(const std::string& path, size_t count_max, Duration time_max, int to) {
    auto say = [to](int64_t value) {
        if (::write(to, &value, sizeof value) != sizeof value) ::_exit(1);
    };
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return say(-errno);
    ::unlink(path.c_str());  // nothing stays, however this ends
    // Over zeros written before, so that a sync has no metadata to commit.
    const std::vector<char> zeros(kBlocks * kBlockBytes);
    if (::pwrite(file, zeros.data(), zeros.size(), 0) != static_cast<ssize_t>(zeros.size()))
        return say(errno != 0 ? -errno : -ENOSPC);
    if (::fsync(file) != 0) return say(-errno);
    Deadline all(time_max);
    for (size_t i = 0; i < count_max && all.passed() < time_max; ++i) {
        Deadline one(seconds(3600));
        const auto at = static_cast<off_t>(i % kBlocks * kBlockBytes);
        if (::pwrite(file, zeros.data(), kBlockBytes, at) != static_cast<ssize_t>(kBlockBytes) ||
            ::fdatasync(file) != 0)
            return say(-errno);
        say(std::max<int64_t>(one.passed().ns, 1));
    }
}

/// `\040` and the like stand for bytes that would end a field.
std::string unescaped(const std::string& field) {
    std::string text;
    for (size_t i = 0; i < field.size(); ++i) {
        if (field[i] == '\\' && i + 3 < field.size()) {
            text +=
                static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + field[i + 3] - '0');
            i += 3;
        } else {
            text += field[i];
        }
    }
    return text;
}

bool has_option(const Mount& mount, std::string_view wanted) {
    const std::string all = "," + mount.options + ",";
    return all.find("," + std::string(wanted) + ",") != std::string::npos;
}

}  // namespace

Duration SyncTimes::at(uint64_t per_mille) const {
    return sorted[std::min<size_t>(sorted.size() * per_mille / 1000, sorted.size() - 1)];
}

SyncTimes time_syncs(const std::string& folder, size_t count_max, Duration time_max, Duration patience) {
    SyncTimes times;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        times.failure = std::strerror(errno);
        return times;
    }
    const std::string path = folder + "/doctor.tmp";
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        measure(path, count_max, time_max, ends[1]);
        ::_exit(0);
    }
    ::close(ends[1]);
    if (child < 0) times.failure = std::strerror(errno);
    const int wait_ms = static_cast<int>(patience.ns / 1'000'000);
    while (child > 0 && !interrupted()) {
        pollfd waiting{ends[0], POLLIN, 0};
        const int ready = ::poll(&waiting, 1, wait_ms);
        if (ready < 0 && errno == EINTR) continue;
        int64_t value = 0;
        if (ready == 0) times.hangs = true;
        if (ready <= 0 || ::read(ends[0], &value, sizeof value) != sizeof value) break;
        if (value < 0)
            times.failure = std::strerror(static_cast<int>(-value));
        else
            times.sorted.push_back(Duration{value});
    }
    ::close(ends[0]);
    if (child > 0) {
        ::kill(child, SIGKILL);
        // One that its disk holds can't end now; it is nobody's business then.
        ::waitpid(child, nullptr, times.hangs ? WNOHANG : 0);
    }
    std::sort(times.sorted.begin(), times.sorted.end());
    return times;
}

std::optional<Mount> mount_of(std::string_view mountinfo, std::string_view real_path) {
    std::optional<Mount> best;
    std::istringstream lines{std::string(mountinfo)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string id, parent, device, root, point, options, field;
        fields >> id >> parent >> device >> root >> point >> options;
        while (fields >> field && field != "-") continue;
        std::string type, source, more;
        if (!(fields >> type >> source)) continue;
        fields >> more;
        point = unescaped(point);
        const bool within = real_path == point || point == "/" ||
                            (real_path.starts_with(point) && real_path.size() > point.size() &&
                             real_path[point.size()] == '/');
        // Of several at one place the last one counts.
        if (within && (!best || point.size() >= best->point.size()))
            best = Mount{point, type, options + (more.empty() ? "" : "," + more)};
    }
    return best;
}

std::optional<std::string> distrust(const Mount& mount) {
    struct Kind {
        std::string_view type, why;
    };
    static constexpr Kind kKinds[] = {
        {"tmpfs", "is in memory: a power cut loses all of it, synced or not"},
        {"ramfs", "is in memory: a power cut loses all of it, synced or not"},
        {"nfs",
         "is on another machine: locks and syncs are only as good as its server and its mount options"},
        {"nfs4",
         "is on another machine: locks and syncs are only as good as its server and its mount options"},
        {"cifs", "is on another machine: locks and syncs are only as good as its server"},
        {"smb3", "is on another machine: locks and syncs are only as good as its server"},
        {"9p", "belongs to a host: its syncs may end in the host's memory"},
        {"virtiofs", "belongs to a host: its syncs may end in the host's memory"},
        {"ceph", "is on other machines: a sync is as slow as the slowest of them"},
        {"glusterfs", "is on other machines: a sync is as slow as the slowest of them"},
        {"ecryptfs", "is stacked on another file system: make sure that it passes syncs on"},
        {"vboxsf", "belongs to a host: its syncs may end in the host's memory"},
    };
    for (const Kind& kind : kKinds)
        if (mount.type == kind.type) return std::string(kind.why);
    if (mount.type.starts_with("fuse") && mount.type != "fuseblk")
        return "is served by a program: make sure that it passes syncs on to a disk";
    if (mount.type == "overlay")
        return has_option(mount, "volatile")
                   ? "is mounted with `volatile`: syncs do nothing"
                   : "is a container's own layer: it goes with the container; put the data on a volume";
    for (const char* option : {"nobarrier", "barrier=0"})
        if (has_option(mount, option))
            return "is mounted with `" + std::string(option) +
                   "`: a sync doesn't make the disk empty its cache, so a power cut loses what was synced";
    return std::nullopt;
}

Duration election_timeout_for(Duration p999) {
    constexpr int64_t kSteps[] = {50,  100,  150,  200,  250,  300,  400, 500,
                                  750, 1000, 1500, 2000, 3000, 4000, 5000};
    for (int64_t step : kSteps)
        if (p999 * 10 <= milliseconds(step)) return milliseconds(step);
    return seconds((p999.ns * 10 + 4'999'999'999) / 5'000'000'000 * 5);
}

}  // namespace raftd::cli
