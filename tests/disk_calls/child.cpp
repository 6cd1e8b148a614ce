#include "tests/disk_calls/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "io/asio/loop.h"
#include "tests/disk_calls/script.h"

namespace raftd::disk_calls {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

[[noreturn]] void become(const std::string& mode, const std::string& fault, const std::string& dir,
                         const std::string& run) {
    if (::chdir(dir.c_str()) != 0) ::_exit(99);
    const int out = ::open((run + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::setenv("LD_PRELOAD", RAFTD_DISK_SHIM, 1);
    ::setenv("RAFTD_SHIM_DIR", kFolder, 1);
    ::setenv("RAFTD_SHIM_TRACE", (run + ".calls").c_str(), 1);
    if (!fault.empty()) ::setenv("RAFTD_SHIM_FAULT", fault.c_str(), 1);
    ::execl("/proc/self/exe", "test_disk_calls", mode.c_str(), (run + ".in").c_str(), nullptr);
    ::_exit(98);
}

class Quiet final : public LogSink {
public:
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

class Adapter final : public io::Handler {
public:
    void handle(io::Event& event) override { script->handle(event); }
    void end_turn(Instant) override {}
    Script* script = nullptr;
};

}  // namespace

bool Ended::faulty() const {
    return std::any_of(calls.begin(), calls.end(),
                       [](const auto& call) { return call.starts_with("fault|"); });
}

Place::Place(bool in_memory) {
    const bool there = in_memory && ::access("/dev/shm", W_OK) == 0;
    std::string pattern = (there ? fs::path("/dev/shm") : fs::temp_directory_path()) / "raftd-calls-XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    fs::create_directory(path_ + "/" + kFolder);
}

Place::~Place() { fs::remove_all(path_); }

void Place::begin(const std::string& mode, const std::string& fault, const std::vector<std::string>& input) {
    ++runs_;
    const std::string run = name();
    std::ofstream in(run + ".in");
    for (const std::string& line : input) in << line << "\n";
    in.close();
    child_ = ::fork();
    CHECK(child_ >= 0);
    if (child_ == 0) become(mode, fault, path_, run);
}

bool Place::ends_within(int watched, int timeout_ms, bool hangs) const {
    constexpr int kLookMs = 20, kHangsMs = 100;
    pollfd waits{watched, POLLIN, 0};
    if (!hangs) return ::poll(&waits, 1, timeout_ms) != 0;
    for (int waited = 0; waited < timeout_ms; waited += kLookMs) {
        if (::poll(&waits, 1, kLookMs) != 0) return true;
        Ended so_far;
        so_far.calls = lines_of(name() + ".calls");
        if (so_far.faulty()) return ::poll(&waits, 1, kHangsMs) != 0;
    }
    return false;
}

Ended Place::finish(int timeout_ms, bool hangs) {
    Ended ended;
    const int watched = static_cast<int>(::syscall(SYS_pidfd_open, child_, 0));
    CHECK(watched >= 0);
    if (!ends_within(watched, timeout_ms, hangs)) {
        ended.too_long = true;
        ::kill(child_, SIGKILL);
    }
    int status = 0;
    ::waitpid(child_, &status, 0);
    ::close(watched);
    if (WIFEXITED(status)) ended.exit = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
    ended.said = lines_of(name() + ".out");
    ended.calls = lines_of(name() + ".calls");
    return ended;
}

int run_mode(const std::string& mode) {
    std::string input;
    Quiet quiet;
    io::asio::LoopOptions options;
    options.seed = 1;
    io::asio::Loop loop(options, quiet);
    Adapter adapter;
    auto step = [&] { return loop.turn(adapter, loop.world().clock.now() + milliseconds(30)); };
    auto say = [](const std::string& line) {
        const std::string whole = line + "\n";
        if (::write(1, whole.data(), whole.size()) < 0) ::_exit(97);
    };
    Script script(loop.world(), step, say);
    adapter.script = &script;
    if (mode == "--work") return static_cast<int>(script.work());
    if (mode == "--files") return static_cast<int>(script.files_only());
    const std::string said = mode.substr(mode.find('=') + 1);
    return static_cast<int>(script.check(lines_of(said)));
}

}  // namespace raftd::disk_calls
