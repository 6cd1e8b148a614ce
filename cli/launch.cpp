#include "cli/launch.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>

namespace raftd::cli {
namespace {

constexpr const char* kConfigFlag = "--config";

Error system_error(const std::string& doing) {
    return error(Errc::io, "can't " + doing + ": " + std::strerror(errno));
}

/// Between fork and exec: only calls that are safe there. Reports errno through the pipe when it fails.
[[noreturn]] void run_child(const char* const* arguments, const char* folder, int log, int report) {
    ::setsid();
    int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) ::sigaction(number, &usual, nullptr);
    if (::chdir(folder) == 0) ::execv(arguments[0], const_cast<char* const*>(arguments));
    int number = errno;
    [[maybe_unused]] ssize_t written = ::write(report, &number, sizeof number);
    ::_exit(127);
}

}  // namespace

Result<Launched> launch(const std::string& daemon, const LocalMember& member) {
    std::string log_file = member.log_file(), config_file = member.config_file();
    int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return system_error("open " + log_file);
    Launched launched{member, 0, {}, static_cast<uint64_t>(std::max<off_t>(::lseek(log, 0, SEEK_END), 0))};
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0) {
        ::close(log);
        return system_error("make a pipe");
    }
    const char* arguments[] = {daemon.c_str(), kConfigFlag, config_file.c_str(), nullptr};
    launched.process = ::fork();
    if (launched.process == 0) run_child(arguments, member.folder.c_str(), log, report[1]);
    int failure = launched.process < 0 ? errno : 0;
    ::close(log);
    ::close(report[1]);
    int number = 0;
    if (failure == 0 && ::read(report[0], &number, sizeof number) == sizeof number) failure = number;
    ::close(report[0]);
    if (failure != 0) return error(Errc::io, "can't run " + daemon + ": " + std::strerror(failure));
    std::ofstream(member.pid_file(), std::ios::trunc) << launched.process << "\n";
    return launched;
}

void look_after(Launched& launched) {
    int status = 0;
    if (launched.exit || ::waitpid(launched.process, &status, WNOHANG) != launched.process) return;
    launched.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    ::unlink(launched.member.pid_file().c_str());
}

std::vector<std::string> its_log(const Launched& launched, size_t lines) {
    std::ifstream file(launched.member.log_file(), std::ios::binary);
    file.seekg(static_cast<std::streamoff>(launched.log_from));
    std::deque<std::string> last;
    for (std::string line; std::getline(file, line);) {
        last.push_back(std::move(line));
        if (last.size() > lines) last.pop_front();
    }
    return {last.begin(), last.end()};
}

Error become(const std::string& daemon, const LocalMember& member) {
    std::string config_file = member.config_file();
    const char* arguments[] = {daemon.c_str(), kConfigFlag, config_file.c_str(), nullptr};
    ::execv(daemon.c_str(), const_cast<char* const*>(arguments));
    return system_error("run " + daemon);
}

}  // namespace raftd::cli
