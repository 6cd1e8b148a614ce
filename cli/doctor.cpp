#include "cli/doctor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>

#include "cli/deadline.h"
#include "cli/local.h"
#include "cli/ports.h"
#include "conf/load.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

enum class Verdict : uint8_t { good, warning, bad };
constexpr const char* kWords[] = {"good", "warning", "bad"};

struct Finding {
    Verdict verdict;
    std::string subject, what;
};
using Findings = std::vector<Finding>;

constexpr int kSyncs = 200, kBlockBytes = 4096;
constexpr long kTmpfs = 0x01021994, kNfs = 0x6969, kFuse = 0x65735546;

/// Times of syncs of a small appended write, in ascending order; empty when the disk refused.
std::vector<Duration> time_syncs(const std::string& folder) {
    std::string path = folder + "/doctor.tmp";
    int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return {};
    // As the log does: over zeros written before, so that a sync has no metadata to commit.
    std::vector<char> zeros(size_t{kSyncs} * kBlockBytes);
    bool good = ::pwrite(file, zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()) &&
                ::fsync(file) == 0;
    std::vector<Duration> times;
    for (int i = 0; i < kSyncs && good && !interrupted(); ++i) {
        Deadline running(seconds(60));
        good = ::pwrite(file, zeros.data(), kBlockBytes, i * kBlockBytes) == kBlockBytes &&
               ::fdatasync(file) == 0;
        if (good) times.push_back(running.passed());
    }
    ::close(file);
    ::unlink(path.c_str());
    std::sort(times.begin(), times.end());
    return good ? times : std::vector<Duration>{};
}

void check_sync(const LocalMember& member, const conf::NodeSettings& settings, Findings& findings) {
    std::vector<Duration> times = time_syncs(member.folder);
    if (times.empty()) {
        findings.push_back(
            {Verdict::bad, member.spec.name, "can't write and sync a file in " + member.folder});
        return;
    }
    Duration median = times[times.size() / 2], slow = times[times.size() * 99 / 100], worst = times.back();
    bool tight = settings.raft.election_timeout < worst * 10;
    findings.push_back({tight ? Verdict::warning : Verdict::good, member.spec.name,
                        "a sync takes " + text_of_duration(median) + ", p99 " + text_of_duration(slow) +
                            ", worst " + text_of_duration(worst) + " of " + std::to_string(times.size()) +
                            (tight ? "; raft.election_timeout should be 10 x the worst" : "")});
}

void check_disk(const LocalMember& member, const conf::NodeSettings& settings, Findings& findings) {
    struct statvfs room {};
    struct statfs kind {};
    if (::statvfs(member.folder.c_str(), &room) != 0 || ::statfs(member.folder.c_str(), &kind) != 0) return;
    uint64_t free = uint64_t{room.f_bavail} * room.f_frsize;
    bool full = free < settings.log.disk_free_min;
    findings.push_back({full ? Verdict::bad : Verdict::good, member.spec.name,
                        text_of_bytes(free) + " of disk are free" +
                            (full ? ", less than log.disk_free_min (" +
                                        text_of_bytes(settings.log.disk_free_min) + "): appends are refused"
                                  : "")});
    const char* why = kind.f_type == kTmpfs  ? "is in memory (tmpfs): a power cut loses it"
                      : kind.f_type == kNfs  ? "is on NFS: locks and syncs aren't to be trusted"
                      : kind.f_type == kFuse ? "is on a FUSE file system: make sure that it honours syncs"
                                             : nullptr;
    if (why != nullptr) findings.push_back({Verdict::warning, member.spec.name, member.folder + " " + why});
}

void check_ports(const LocalMember& member, const conf::NodeSettings& settings, Findings& findings) {
    pid_t process = running_process(member);
    if (process != 0) {
        findings.push_back(
            {Verdict::good, member.spec.name,
             "runs" + (process > 0 ? " (pid " + std::to_string(process) + ")" : std::string())});
        return;
    }
    for (const std::string& address :
         {settings.listen_peer.empty() ? member.spec.peer : settings.listen_peer,
          settings.listen_client.empty() ? member.spec.client : settings.listen_client}) {
        bool free = can_listen(address);
        findings.push_back({free ? Verdict::good : Verdict::bad, member.spec.name,
                            address + (free ? " is free" : " is in use by another process")});
    }
}

/// What the kernel knows of the wall clock: whether a time server keeps it, and how wrong it may be.
void check_clock(Findings& findings) {
    struct timex known {};
    if (::adjtimex(&known) < 0) {
        findings.push_back({Verdict::warning, "clock", "the kernel doesn't say how well the clock is kept"});
        return;
    }
    bool kept = (known.status & STA_UNSYNC) == 0;
    findings.push_back(
        {kept ? Verdict::good : Verdict::warning, "clock",
         kept ? "kept by a time server, at most " + text_of_duration(microseconds(known.maxerror)) + " wrong"
              : "not kept by a time server; records' times, and what acts on age, depend on it "
                "(timedatectl set-ntp true)"});
}

void check_member(const LocalMember& member, Findings& findings) {
    auto settings = conf::load_node_settings(member.config_file());
    if (!settings) {
        findings.push_back({Verdict::bad, member.spec.name, settings.error().what});
        return;
    }
    bool whole = ::access((member.data_dir + "/identity.toml").c_str(), R_OK) == 0;
    if (!whole)
        findings.push_back(
            {Verdict::bad, member.spec.name, "no data directory, or half of one: " + member.data_dir});
    check_ports(member, *settings, findings);
    check_disk(member, *settings, findings);
    check_sync(member, *settings, findings);
    rlimit limit{};
    uint64_t wanted = settings->limits.connections_max + 256u;
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < wanted)
        findings.push_back({Verdict::warning, member.spec.name,
                            "may open " + std::to_string(limit.rlim_max) +
                                " files; limits.connections_max needs " + std::to_string(wanted)});
}

void print(const Context& context, const Findings& findings) {
    Json list = Json::array();
    std::string text;
    for (const Finding& finding : findings) {
        const char* word = kWords[static_cast<size_t>(finding.verdict)];
        list.add(
            Json::object().add("verdict", word).add("subject", finding.subject).add("what", finding.what));
        std::string head = word;
        head.resize(9, ' ');
        text += head + finding.subject + ": " + finding.what + "\n";
    }
    write_out(context.output == Output::text
                  ? text
                  : Json::object().add("schema", 1).add("findings", list).text() + "\n");
}

}  // namespace

Exit doctor(const Context& context) {
    auto found = find_local_cluster(context);
    if (!found) return fail(context, found.error());
    auto members = local_members(*found, {});
    if (!members) return fail(context, members.error());
    Findings findings;
    auto daemon = find_daemon();
    findings.push_back(
        {daemon ? Verdict::good : Verdict::bad, "raftd", daemon ? *daemon : daemon.error().what});
    check_clock(findings);
    for (const LocalMember& member : *members) check_member(member, findings);
    if (interrupted()) return Exit::interrupted;
    print(context, findings);
    bool bad = std::any_of(findings.begin(), findings.end(),
                           [](const Finding& f) { return f.verdict == Verdict::bad; });
    return finish_output(context, bad ? Exit::failed : Exit::done);
}

}  // namespace raftd::cli
