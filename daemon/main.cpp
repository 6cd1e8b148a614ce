// raftd: one member in the foreground. Composes the real world and a Node, and turns until the node has
// stopped. Never makes a data directory: `raftctl init` and its kin do. Exit codes: base/check.h, `raftctl
// help exit-codes`.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/check.h"
#include "conf/load.h"
#include "daemon/node.h"
#include "io/asio/log_file.h"
#include "io/asio/loop.h"
#include "io/asio/process.h"
#include "snapshot/leveldb_store.h"

namespace raftd {
namespace {

constexpr const char* kUsage =
    "usage: raftd --config FILE [--log-file FILE] [--log-format text|json]\n"
    "\n"
    "Runs one member of a cluster in the foreground. `raftctl start` does so for all members on this "
    "machine.\n"
    "\n"
    "  --config FILE       the member's settings (raftd.toml)\n"
    "  --log-file FILE     where log lines go; default: standard error\n"
    "  --log-format F      text or json; default: as in the settings\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM stops gracefully, a second one at once; SIGHUP reloads settings and opens the log file anew.\n";

struct Arguments {
    std::string config, log_file, log_format;
};

/// What the hooks need while the process dies; they get no argument of their own.
struct Dying {
    io::asio::LogFile* log = nullptr;
    daemon::Node* node = nullptr;
    std::string folder;
} dying;

int refuse(const std::string& what, const std::string& hint, ExitCode code) {
    std::fprintf(stderr, "raftd: %s\n", what.c_str());
    if (!hint.empty()) std::fprintf(stderr, "hint: %s\n", hint.c_str());
    return static_cast<int>(code);
}

/// Sets `exit` when there is nothing to run.
Arguments parse_arguments(int argc, char** argv, std::optional<int>& exit) {
    Arguments arguments;
    for (int i = 1; i < argc && !exit; ++i) {
        std::string name = argv[i], value;
        if (size_t equals = name.find('='); equals != std::string::npos) {
            value = name.substr(equals + 1);
            name.resize(equals);
        }
        if (name == "--help" || name == "-h") {
            std::fputs(kUsage, stdout);
            exit = 0;
        } else if (name == "--version") {
            std::puts("raftd " RAFTD_VERSION);
            exit = 0;
        } else {
            std::string* into = name == "--config"       ? &arguments.config
                                : name == "--log-file"   ? &arguments.log_file
                                : name == "--log-format" ? &arguments.log_format
                                                         : nullptr;
            bool separate = std::string_view(argv[i]).find('=') == std::string_view::npos;
            if (into == nullptr)
                exit = refuse("unknown argument " + name, "raftd --help", ExitCode::usage);
            else if (separate && i + 1 == argc)
                exit = refuse(name + " needs a value", "raftd --help", ExitCode::usage);
            else
                *into = separate ? argv[++i] : value;
        }
    }
    if (!exit && arguments.config.empty())
        exit = refuse("--config FILE is missing", "raftd --config NODE/raftd.toml", ExitCode::usage);
    if (!exit && !arguments.log_format.empty() && arguments.log_format != "text" &&
        arguments.log_format != "json")
        exit = refuse("--log-format is text or json, not " + arguments.log_format, {}, ExitCode::usage);
    return arguments;
}

ExitCode exit_code_of(Errc code) {
    switch (code) {
        case Errc::damaged: return ExitCode::damaged;
        case Errc::conflict:
        case Errc::denied:
        case Errc::not_found: return ExitCode::directory_in_use;
        case Errc::too_new: return ExitCode::too_new;
        case Errc::io: return ExitCode::sync_failed;
        default: return ExitCode::usage;
    }
}

int give_up(LogSink& log, std::string_view event, const Error& why) {
    ExitCode code = exit_code_of(why.code);
    LogLine(log, LogLevel::error, event)("why", why.what)("hint", why.hint)("exit", static_cast<int>(code));
    return static_cast<int>(code);
}

/// A failed check: the events that led here go beside the log; `raftsim --replay` runs them again.
void write_black_box(std::string_view message) {
    if (dying.log != nullptr) LogLine(*dying.log, LogLevel::error, "check_failed")("what", message);
    if (dying.node == nullptr) return;
    std::vector<std::byte> box = dying.node->black_box();
    std::string path = dying.folder + "/blackbox-" + std::to_string(::time(nullptr)) + ".bin";
    io::asio::write_last_words(path, as_text(box));
    if (dying.log != nullptr) LogLine(*dying.log, LogLevel::error, "black_box_written")("path", path);
}

/// May run on the disk thread: says why, and ends the process without running anybody's destructors.
[[noreturn]] void end_process(ExitCode code, std::string_view why) {
    if (dying.log != nullptr)
        LogLine(*dying.log, LogLevel::error, "fatal")("why", why)("exit", static_cast<int>(code));
    else
        refuse(std::string(why), {}, code);
    ::_exit(static_cast<int>(code));
}

io::asio::LogFileOptions log_options(const Arguments& arguments, const conf::LoggingSettings& settings,
                                     const std::string& folder) {
    io::asio::LogFileOptions options;
    std::string usual = folder + "/raftd.log";
    // Started by raftctl: standard error is the member's log already, and only its size is to be minded.
    options.take_stderr = arguments.log_file.empty() && io::asio::stderr_is(usual);
    options.path = options.take_stderr ? usual : arguments.log_file;
    options.json = (arguments.log_format.empty() ? settings.format : arguments.log_format) == "json";
    options.bytes_max = settings.file_bytes_max;
    io::asio::parse_log_level(settings.level, options.level);
    return options;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
    return text.empty() ? "none" : text;
}

/// The node, with what the process itself does when events come by.
class Process final : public io::Handler {
public:
    Process(const Arguments& arguments, daemon::Node& node, io::asio::LogFile& log)
        : arguments_(arguments), node_(node), log_(log) {}
    void handle(io::Event& event) override {
        if (std::holds_alternative<io::Reload>(event.what)) reload();
        if (std::holds_alternative<io::Stop>(event.what)) io::asio::notify_service_manager("STOPPING=1");
        node_.handle(event);
    }
    void end_turn(Instant now) override { node_.end_turn(now); }

private:
    /// A file with an error changes nothing: the member goes on as it was.
    void reload() {
        log_.reopen();
        auto fresh = conf::load_node_settings(arguments_.config);
        if (!fresh) {
            LogLine(log_, LogLevel::error, "reload_failed")("why", fresh.error().what);
            return;
        }
        conf::Reloaded done = node_.reload(*fresh);
        auto options = log_options(arguments_, node_.settings().logging, dying.folder);
        log_.set(options.level, options.json, options.bytes_max);
        LogLine(log_, LogLevel::info, "reloaded")("taken", joined(done.taken))("at_next_start",
                                                                               joined(done.kept));
    }

    const Arguments& arguments_;
    daemon::Node& node_;
    io::asio::LogFile& log_;
};

int turn_until_stopped(const Arguments& arguments, io::asio::Loop& loop, daemon::Node& node,
                       io::asio::LogFile& log) {
    if (auto started = node.start(); !started) return give_up(log, "start_failed", started.error());
    io::asio::notify_service_manager("READY=1\nMAINPID=" + std::to_string(::getpid()));
    Process process(arguments, node, log);
    while (!node.stopped()) loop.turn(process);
    io::asio::LoopCounters did = loop.counters();
    LogLine(log, LogLevel::info, "stopped")("turns", did.turns)("events", did.events)(
        "recv_calls", did.recv_calls)("send_calls", did.send_calls)("write_calls", did.write_calls)(
        "syncs", did.syncs)("sync_us_mean", did.syncs == 0 ? 0 : did.sync_ns / did.syncs / 1000)(
        "queue_wakeups", did.queue_wakeups);
    return 0;
}

int run(const Arguments& arguments) {
    io::asio::bound_heap();
    auto settings = conf::load_node_settings(arguments.config);
    if (!settings) return refuse(settings.error().what, settings.error().hint, ExitCode::usage);
    std::error_code ignored;
    dying.folder = std::filesystem::absolute(arguments.config, ignored).parent_path().string();

    io::asio::LogFile log(log_options(arguments, settings->logging, dying.folder));
    if (int why = log.open(); why != 0)
        return refuse(
            "can't open the log file " + arguments.log_file + ": " + std::generic_category().message(why), {},
            ExitCode::usage);
    dying.log = &log;
    set_check_hook(write_black_box);
    set_fatal_hook(end_process);
    io::asio::raise_descriptor_limit();

    auto lock = io::asio::DirectoryLock::take(settings->data_dir);
    if (!lock) return give_up(log, "start_failed", lock.error());
    io::asio::PidFile pid_file(dying.folder + "/raftd.pid");

    io::asio::LoopOptions options;
    options.data_dir = settings->data_dir;
    options.connections_max = settings->limits.connections_max;
    options.signals = true;
    snapshot::LevelDbMaker store(settings->data_dir + "/state");  // jobs of the loop's threads use it
    io::asio::Loop loop(options, log);

    daemon::NodeOptions node_options;
    node_options.settings = *settings;
    // Where cluster.toml is at hand, the data directory must belong to that very cluster.
    // Beside the settings, whatever folder this was started in; through links as the system goes.
    const std::string cluster_file =
        (std::filesystem::path(arguments.config).parent_path() / settings->cluster).string();
    if (std::filesystem::exists(cluster_file, ignored)) {
        auto spec = conf::load_cluster_spec(cluster_file);
        if (!spec) return give_up(log, "start_failed", spec.error());
        node_options.cluster_id = spec->id;
        if (const conf::MemberSpec* me = conf::find_member(*spec, settings->name)) {
            node_options.peer = me->peer;
            node_options.client = me->client;
            node_options.listed = me->id;
        }
    }
    node_options.version = RAFTD_VERSION;
    node_options.store = &store;
    node_options.pid = static_cast<uint64_t>(::getpid());
    auto node = daemon::Node::open(loop.world(), node_options);
    if (!node) return give_up(log, "start_failed", node.error());
    dying.node = node->get();
    int code = turn_until_stopped(arguments, loop, **node, log);
    dying.node = nullptr;
    return code;
}

}  // namespace
}  // namespace raftd

int main(int argc, char** argv) {
    std::optional<int> exit;
    raftd::Arguments arguments = raftd::parse_arguments(argc, argv, exit);
    int code = exit ? *exit : raftd::run(arguments);
    raftd::dying.log = nullptr;
    return code;
}
