#include "cli/local.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "conf/load.h"
#include "conf/units.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

bool has_open(pid_t process, const struct stat& wanted) {
    std::error_code fault;
    for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(process) + "/fd", fault)) {
        struct stat found {};
        if (::stat(entry.path().c_str(), &found) == 0 && found.st_ino == wanted.st_ino &&
            found.st_dev == wanted.st_dev)
            return true;
    }
    return false;
}

/// Holders of write locks on a file with this inode number, as the kernel lists them:
/// `1: FLOCK  ADVISORY  WRITE 4101 fe:01:1311 0 EOF`.
std::vector<pid_t> listed_holders(const struct stat& file) {
    std::vector<pid_t> holders;
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        std::istringstream words(line);
        std::string number, kind, advisory, access, process, where;
        words >> number >> kind >> advisory >> access >> process >> where;
        if (access != "WRITE" || !where.ends_with(":" + std::to_string(file.st_ino))) continue;
        holders.push_back(static_cast<pid_t>(std::atoi(process.c_str())));
    }
    return holders;
}

pid_t noted_process(const std::string& pid_file) {
    std::ifstream file(pid_file);
    pid_t process = 0;
    file >> process;
    return file ? process : 0;
}

bool is_locked(const std::string& path) {
    int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return false;
    bool locked = ::flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ::close(file);
    return locked;
}

}  // namespace

Result<std::vector<LocalMember>> local_members(const Found& found, const std::vector<std::string>& names) {
    std::vector<std::string_view> known;
    for (const conf::MemberSpec& member : found.spec->members) known.push_back(member.name);
    for (const std::string& name : names)
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            auto near = conf::nearest(name, known);
            return error(
                Errc::bad_input, found.spec->name + " has no member `" + name + "`",
                near ? "did you mean " + std::string(*near) + "?" : "raftctl status lists the members");
        }
    std::vector<LocalMember> members;
    std::error_code fault;
    for (const conf::MemberSpec& spec : found.spec->members) {
        bool named = std::find(names.begin(), names.end(), spec.name) != names.end();
        if (!names.empty() && !named) continue;
        LocalMember member{spec, conf::resolve_beside(found.file, spec.data), {}};
        if (spec.data.empty() || !fs::is_directory(member.folder, fault)) {
            if (!named) continue;
            return error(Errc::not_found,
                         spec.name + " isn't on this machine (no folder " + member.folder + ")",
                         "run this command on the machine of " + spec.peer);
        }
        member.data_dir = member.folder + "/data";
        if (auto settings = conf::load_node_settings(member.config_file()))
            member.data_dir = settings->data_dir;
        members.push_back(std::move(member));
    }
    if (members.empty())
        return error(Errc::not_found, "no member of " + found.spec->name + " is on this machine",
                     "see `data` in " + found.file);
    return members;
}

pid_t running_process(const LocalMember& member) {
    std::string path = member.data_dir + "/LOCK";
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) return 0;
    for (pid_t holder : listed_holders(file))
        if (holder > 0 && has_open(holder, file)) return holder;
    // The list may be hidden from us (another process namespace); the lock itself never is.
    if (!is_locked(path)) return 0;
    pid_t noted = noted_process(member.pid_file());
    return noted > 0 && has_open(noted, file) ? noted : -1;
}

bool process_ended(pid_t process) {
    if (::kill(process, 0) != 0 && errno == ESRCH) return true;
    std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
    std::string line;
    std::getline(stat, line);
    size_t name_end = line.rfind(')');
    return name_end != std::string::npos && line.compare(name_end, 3, ") Z") == 0;
}

Result<std::string> find_daemon() {
    std::error_code fault;
    fs::path beside = fs::read_symlink("/proc/self/exe", fault).parent_path() / "raftd";
    if (!fault && ::access(beside.c_str(), X_OK) == 0) return beside.string();
    const char* path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "" : path);
    for (std::string folder; std::getline(folders, folder, ':');)
        if (!folder.empty() && ::access((folder + "/raftd").c_str(), X_OK) == 0) return folder + "/raftd";
    return error(Errc::not_found, "can't find the program raftd: it is neither beside raftctl nor in PATH");
}

std::vector<std::string> last_lines(const std::string& path, size_t count) {
    std::ifstream file(path, std::ios::binary);
    std::deque<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        lines.push_back(std::move(line));
        if (lines.size() > count) lines.pop_front();
    }
    return {lines.begin(), lines.end()};
}

}  // namespace raftd::cli
