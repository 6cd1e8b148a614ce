#include "cli/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace raftd::cli {
namespace {

volatile sig_atomic_t interrupt_seen = 0;
int interrupt_pipe[2] = {-1, -1};
int output_error = 0;  // errno of the first failed write to standard output

void on_interrupt(int) {
    interrupt_seen = 1;
    char byte = 0;
    [[maybe_unused]] ssize_t written = ::write(interrupt_pipe[1], &byte, 1);
}

/// Bytes of the UTF-8 sequence at the start of `text`; 0 when it isn't valid.
size_t utf8_bytes(std::string_view text) {
    auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned char first = at(0);
    size_t count = first < 0x80                    ? 1
                   : first >= 0xc2 && first < 0xe0 ? 2
                   : (first & 0xf0) == 0xe0        ? 3
                   : first >= 0xf0 && first < 0xf5 ? 4
                                                   : 0;
    if (count == 0 || count > text.size()) return 0;
    for (size_t i = 1; i < count; ++i)
        if ((at(i) & 0xc0) != 0x80) return 0;
    if (count == 3 && ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) >= 0xa0))) return 0;
    if (count == 4 && ((first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) >= 0x90))) return 0;
    return count;
}

void append_hex(std::string& text, const char* before, unsigned char byte) {
    static constexpr char kDigits[] = "0123456789abcdef";
    text.append(before).push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
}

void to_stderr(std::string_view line) {
    std::string text = std::string(line) + "\n";
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Exit exit_of(Errc code) {
    switch (code) {
        case Errc::ok: return Exit::done;
        case Errc::bad_input: return Exit::usage;
        case Errc::unreachable: return Exit::unreachable;
        case Errc::unavailable: return Exit::unavailable;
        case Errc::unknown: return Exit::unknown;
        case Errc::not_found: return Exit::not_found;
        case Errc::conflict: return Exit::conflict;
        case Errc::damaged: return Exit::damaged;
        case Errc::denied: return Exit::denied;
        case Errc::degraded: return Exit::degraded;
        case Errc::failed:
        case Errc::too_new:
        case Errc::io:
        case Errc::closed: return Exit::failed;
    }
    return Exit::failed;
}

const char* name_of(Errc code) {
    switch (code) {
        case Errc::ok: return "ok";
        case Errc::failed: return "failed";
        case Errc::bad_input: return "bad_input";
        case Errc::unreachable: return "unreachable";
        case Errc::unavailable: return "unavailable";
        case Errc::unknown: return "unknown_outcome";
        case Errc::not_found: return "not_found";
        case Errc::conflict: return "conflict";
        case Errc::damaged: return "damaged";
        case Errc::denied: return "denied";
        case Errc::degraded: return "degraded";
        case Errc::too_new: return "too_new";
        case Errc::io: return "io";
        case Errc::closed: return "closed";
    }
    return "failed";
}

bool shows_progress(const Context& context) {
    if (context.quiet || context.progress == When::never) return false;
    return context.progress == When::always || isatty(STDERR_FILENO) == 1;
}

bool shows_color(const Context& context, int fd) {
    if (context.color != When::automatic) return context.color == When::always;
    auto set = [](const char* name) {
        const char* value = std::getenv(name);
        return value != nullptr && *value != '\0';
    };
    if (set("NO_COLOR")) return false;
    if (set("CLICOLOR_FORCE") && std::strcmp(std::getenv("CLICOLOR_FORCE"), "0") != 0) return true;
    const char* term = std::getenv("TERM");
    return isatty(fd) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

Exit fail(const Context& context, const Error& error, std::string_view word,
          const std::vector<Tried>& tried) {
    Exit exit = exit_of(error.code);
    if (context.output == Output::text) {
        bool color = shows_color(context, STDERR_FILENO);
        to_stderr((color ? "raftctl: \x1b[31m" : "raftctl: ") + error.what + (color ? "\x1b[0m" : ""));
        if (!error.hint.empty()) to_stderr("hint: " + error.hint);
        return exit;
    }
    Json endpoints = Json::array();
    for (const Tried& one : tried)
        endpoints.add(Json::object().add("endpoint", one.endpoint).add("result", one.result));
    Json inner = Json::object();
    inner.add("code", word.empty() ? std::string_view(name_of(error.code)) : word).add("message", error.what);
    if (error.hint.empty())
        inner.null("hint");
    else
        inner.add("hint", error.hint);
    inner.add("exit", static_cast<int>(exit)).add("endpoints", endpoints);
    write_out(Json::object().add("schema", 1).add("error", inner).text() + "\n");
    return exit;
}

void note(const Context& context, std::string_view line) {
    if (!context.quiet) to_stderr(line);
}
bool agreed(const Context& context, bool yes, const std::string& question) {
    if (yes) return true;
    if (::isatty(STDIN_FILENO) != 1) return false;
    note(context, question + " [y/N]");
    std::string line;
    return std::getline(std::cin, line) && (line == "y" || line == "yes");
}
void detail(const Context& context, std::string_view line) {
    if (context.verbose) to_stderr(line);
}

bool write_out(std::string_view bytes) {
    while (!bytes.empty() && output_error == 0) {
        ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes.remove_prefix(static_cast<size_t>(written));
        } else if (errno == EAGAIN) {
            pollfd waiting{STDOUT_FILENO, POLLOUT, 0};
            ::poll(&waiting, 1, 100);
            if (interrupted()) return false;
        } else if (errno != EINTR || interrupted()) {
            output_error = errno;
        }
    }
    return output_error == 0;
}

Exit finish_output(const Context& context, Exit exit) {
    if (output_error == 0 || output_error == EINTR) return exit;
    if (output_error == EPIPE) return exit == Exit::interrupted ? exit : Exit::done;
    Error error{Errc::io, std::string("standard output: ") + std::strerror(output_error), {}};
    to_stderr("raftctl: can't write to " + error.what);
    static_cast<void>(context);
    return Exit::failed;
}

bool interrupted() { return interrupt_seen != 0; }
int interrupt_fd() { return interrupt_pipe[0]; }

void prepare_process() {
    // Opened the wrong way round: using a closed standard stream fails as it did before.
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (::pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return;
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
}

std::string json_text(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        size_t count = utf8_bytes(text);
        char c = text.front();
        if (count == 0)
            out += "\xef\xbf\xbd";
        else if (c == '"' || c == '\\')
            out.append("\\").push_back(c);
        else if (c == '\n')
            out += "\\n";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            append_hex(out, "\\u00", static_cast<unsigned char>(c));
        else
            out += text.substr(0, count);
        text.remove_prefix(count == 0 ? 1 : count);
    }
    return out + "\"";
}

std::string printable(std::string_view bytes) {
    std::string out;
    while (!bytes.empty()) {
        size_t count = utf8_bytes(bytes);
        auto c = static_cast<unsigned char>(bytes.front());
        bool control =
            c < 0x20 || c == 0x7f || (count == 2 && c == 0xc2 && static_cast<unsigned char>(bytes[1]) < 0xa0);
        if (count == 0 || (control && c != '\t')) {
            for (char each : bytes.substr(0, count == 0 ? 1 : count))
                append_hex(out, "\\x", static_cast<unsigned char>(each));
        } else {
            out += bytes.substr(0, count);
        }
        bytes.remove_prefix(count == 0 ? 1 : count);
    }
    return out;
}

std::string text_of_bytes(uint64_t bytes) {
    static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    double value = static_cast<double>(bytes);
    while (value >= 1024 && unit < 4) value /= 1024, ++unit;
    char text[32];
    bool whole = unit == 0 || value >= 100 || value == static_cast<double>(static_cast<uint64_t>(value));
    std::snprintf(text, sizeof text, whole ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text;
}

std::string text_of_duration(Duration duration) {
    char text[32];
    double ms = static_cast<double>(duration.ns) / 1e6;
    if (ms < 1)
        std::snprintf(text, sizeof text, "%.0f us", ms * 1000);
    else if (ms < 1000)
        std::snprintf(text, sizeof text, "%.4g ms", ms);
    else
        std::snprintf(text, sizeof text, "%.3g s", ms / 1000);
    return text;
}

Json& Json::add(std::string_view key, double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return put(key, text);
}

Json& Json::put(std::string_view key, std::string_view value) {
    if (text_.size() > 1) text_ += ",";
    if (close_ == '}') text_.append(json_text(key)).append(":");
    text_ += value;
    return *this;
}

}  // namespace raftd::cli
