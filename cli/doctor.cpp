#include "cli/doctor.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/disk_probe.h"
#include "cli/local.h"
#include "cli/ports.h"
#include "conf/load.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

enum class Verdict : uint8_t { good, warning, bad };
constexpr const char* kWords[] = {"good", "warning", "bad"};

struct Ailment {
    Verdict verdict;
    std::string subject, what;
    std::optional<Json> measured{};
};
using Findings = std::vector<Ailment>;

constexpr size_t kSyncsMax = 1000;
constexpr Duration kSyncTimeMax = seconds(2), kHangsAfter = seconds(10);
constexpr Duration kTooFast = microseconds(5);  // no disk, and no battery behind a cache, answers so soon

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Where the log is written: the data directory, or the folder that it will be in.
std::string place_of(const LocalMember& member) {
    std::error_code fault;
    const bool there = std::filesystem::is_directory(member.data_dir, fault);
    return std::filesystem::canonical(there ? member.data_dir : member.folder, fault).string();
}

void say_sync(const LocalMember& member, const conf::NodeSettings& settings, const SyncTimes& times,
              Findings& findings) {
    const Duration p50 = times.at(500), p99 = times.at(990), p999 = times.at(999),
                   worst = times.sorted.back();
    const Duration least = election_timeout_for(p999);
    const bool tight = settings.raft.election_timeout < least, too_fast = p50 < kTooFast;
    Ailment finding{tight || too_fast ? Verdict::warning : Verdict::good, member.spec.name, {}, {}};
    finding.what = "a sync takes " + text_of_duration(p50) + ", p99 " + text_of_duration(p99) + ", worst " +
                   text_of_duration(worst) + " of " + std::to_string(times.sorted.size()) +
                   "; election_timeout can be " + text_of_duration(least) + " or more, and is " +
                   text_of_duration(settings.raft.election_timeout);
    if (tight) finding.what += ": set raft.election_timeout to that, on all members";
    if (too_fast)
        finding.what +=
            "; no disk is that fast: its syncs do nothing, or end in a cache (libeatmydata, a "
            "virtual disk in unsafe mode?)";
    auto us = [](Duration time) { return static_cast<uint64_t>(time.ns / 1000); };
    finding.measured = Json::object()
                           .add("syncs", uint64_t{times.sorted.size()})
                           .add("sync_p50_us", us(p50))
                           .add("sync_p99_us", us(p99))
                           .add("sync_p999_us", us(p999))
                           .add("sync_max_us", us(worst))
                           .add("election_timeout_ms", us(settings.raft.election_timeout) / 1000)
                           .add("election_timeout_min_ms", us(least) / 1000);
    findings.push_back(std::move(finding));
}

void check_sync(const LocalMember& member, const conf::NodeSettings& settings, Findings& findings) {
    const std::string place = place_of(member);
    const SyncTimes times = time_syncs(place, kSyncsMax, kSyncTimeMax, kHangsAfter);
    if (times.hangs)
        findings.push_back({Verdict::bad,
                            member.spec.name,
                            "the disk hangs: a sync in " + place + " isn't done after " +
                                text_of_duration(kHangsAfter) + " (" + std::to_string(times.sorted.size()) +
                                " were, before)",
                            {}});
    else if (times.sorted.empty() || !times.failure.empty())
        findings.push_back({Verdict::bad,
                            member.spec.name,
                            "can't write and sync a file in " + place + ": " +
                                (times.failure.empty() ? "no answer" : times.failure),
                            {}});
    else
        say_sync(member, settings, times, findings);
}

void check_disk(const LocalMember& member, const conf::NodeSettings& settings, Findings& findings) {
    const std::string place = place_of(member);
    struct statvfs room {};
    if (::statvfs(place.c_str(), &room) == 0) {
        const uint64_t free = uint64_t{room.f_bavail} * room.f_frsize;
        const std::string least = "log.disk_free_min (" + text_of_bytes(settings.log.disk_free_min) + ")";
        const bool full = free < settings.log.disk_free_min, near = free < 2 * settings.log.disk_free_min;
        findings.push_back(
            {full   ? Verdict::bad
             : near ? Verdict::warning
                    : Verdict::good,
             member.spec.name,
             text_of_bytes(free) + " of disk are free" +
                 (full   ? ", less than " + least + ": appends are refused"
                  : near ? ", less than twice " + least
                         : ""),
             Json::object().add("free_bytes", free).add("disk_free_min", settings.log.disk_free_min)});
        if (room.f_files != 0 && room.f_favail < 100)
            findings.push_back({Verdict::bad,
                                member.spec.name,
                                place + " has room for " + std::to_string(room.f_favail) + " more files",
                                {}});
    }
    const std::optional<Mount> mount = mount_of(read_text("/proc/self/mountinfo"), place);
    if (!mount) return;
    const std::optional<std::string> why = distrust(*mount);
    findings.push_back({why ? Verdict::warning : Verdict::good, member.spec.name,
                        place + " is on " + mount->type + (why ? ", which " + *why : ""),
                        Json::object().add("type", mount->type).add("mount", mount->point)});
}

/// What a running member may open, and what one that is started from here may.
void check_descriptors(const LocalMember& member, const conf::NodeSettings& settings, Findings& findings) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    uint64_t may = limit.rlim_max;
    const pid_t process = running_process(member);
    std::istringstream lines(process > 0 ? read_text("/proc/" + std::to_string(process) + "/limits") : "");
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("Max open files")) may = std::strtoull(line.c_str() + 14, nullptr, 10);
    const uint64_t wanted = settings.limits.connections_max + 256u;
    const std::string text = "may open " + (may == RLIM_INFINITY ? "any number of" : std::to_string(may)) +
                             " files; limits.connections_max needs " + std::to_string(wanted);
    findings.push_back({may < wanted ? Verdict::warning : Verdict::good, member.spec.name, text, {}});
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
    check_descriptors(member, *settings, findings);
}

void print(const Context& context, const Findings& findings) {
    Json list = Json::array();
    std::string text;
    for (const Ailment& finding : findings) {
        const char* word = kWords[static_cast<size_t>(finding.verdict)];
        Json one = Json::object();
        one.add("verdict", word).add("subject", finding.subject).add("what", finding.what);
        if (finding.measured) one.add("measured", *finding.measured);
        list.add(one);
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
                           [](const Ailment& f) { return f.verdict == Verdict::bad; });
    return finish_output(context, bad ? Exit::failed : Exit::done);
}

}  // namespace raftd::cli
