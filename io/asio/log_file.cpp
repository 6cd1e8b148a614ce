#include "io/asio/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace raftd::io::asio {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"error", "warn", "info", "debug"};

std::string time_text(int64_t wall_ms) {
    auto seconds = static_cast<std::time_t>(wall_ms / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[40];
    size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(wall_ms % 1000));
    return text;
}

void append_json_text(std::string& into, std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    into += '"';
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            into += '\\';
            into += c;
        } else if (byte < ' ' || byte >= 0x7f) {  // no claim about the encoding of what was logged
            into += "\\u00";
            into += kHex[byte >> 4];
            into += kHex[byte & 15];
        } else {
            into += c;
        }
    }
    into += '"';
}

int hex_digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/// Takes one `word`, or one quoted text as LogLine makes it, from the front.
std::string take_value(std::string_view& rest, bool& quoted) {
    std::string value;
    quoted = !rest.empty() && rest.front() == '"';
    if (!quoted) {
        size_t end = std::min(rest.find(' '), rest.size());
        value = rest.substr(0, end);
        rest.remove_prefix(end);
        return value;
    }
    size_t i = 1;
    for (; i < rest.size() && rest[i] != '"'; ++i) {
        if (rest[i] == '\\' && i + 3 < rest.size() && rest[i + 1] == 'x') {
            value += static_cast<char>(hex_digit(rest[i + 2]) * 16 + hex_digit(rest[i + 3]));
            i += 3;
        } else if (rest[i] == '\\' && i + 1 < rest.size()) {
            value += rest[++i];
        } else {
            value += rest[i];
        }
    }
    rest.remove_prefix(std::min(i + 1, rest.size()));
    return value;
}

/// True for what JSON writes without quotes and reads back as the same.
bool is_plain(std::string_view value) {
    if (value == "true" || value == "false") return true;
    std::string_view digits = value.starts_with('-') ? value.substr(1) : value;
    if (digits.empty() || digits.size() > 15 || (digits.size() > 1 && digits.front() == '0')) return false;
    return digits.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

bool parse_log_level(std::string_view name, LogLevel& level) {
    for (size_t i = 0; i < kLevelNames.size(); ++i)
        if (kLevelNames[i] == name) {
            level = static_cast<LogLevel>(i);
            return true;
        }
    return false;
}

std::string format_log_line(bool json, int64_t wall_ms, LogLevel level, std::string_view line) {
    std::string_view level_name = kLevelNames[static_cast<size_t>(level)];
    std::string text;
    text.reserve(line.size() + 48);
    if (!json) {
        text.append(time_text(wall_ms)).append(" ").append(level_name).append(" ").append(line).append("\n");
        return text;
    }
    text.append("{\"time\":\"").append(time_text(wall_ms)).append("\",\"level\":\"").append(level_name);
    text += "\",\"event\":";
    bool quoted = false;
    append_json_text(text, take_value(line, quoted));
    while (line.size() > 1) {
        line.remove_prefix(1);
        size_t equals = line.find('=');
        if (equals == std::string_view::npos) break;
        text += ',';
        append_json_text(text, line.substr(0, equals));
        text += ':';
        line.remove_prefix(equals + 1);
        std::string value = take_value(line, quoted);
        if (!quoted && is_plain(value))
            text += value;
        else
            append_json_text(text, value);
    }
    return text.append("}\n");
}

LogFile::LogFile(LogFileOptions options) : options_(std::move(options)), level_(options_.level) {}

LogFile::~LogFile() {
    if (descriptor_ > 2) ::close(descriptor_);
}

int LogFile::open() {
    std::lock_guard lock(mutex_);
    return open_locked();
}

int LogFile::reopen() { return open(); }

int LogFile::open_locked() {
    if (options_.path.empty()) return 0;
    int opened = ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (opened < 0) return errno;
    if (descriptor_ > 2) ::close(descriptor_);
    descriptor_ = opened;
    if (options_.take_stderr) ::dup2(opened, 2);
    struct stat about {};
    bytes_ = ::fstat(opened, &about) == 0 ? static_cast<uint64_t>(about.st_size) : 0;
    return 0;
}

void LogFile::set(LogLevel level, bool json, uint64_t bytes_max) {
    level_.store(level, std::memory_order_relaxed);
    std::lock_guard lock(mutex_);
    options_.json = json;
    options_.bytes_max = bytes_max;
}

void LogFile::turn_over() {
    std::string old = options_.path + ".1";
    if (std::rename(options_.path.c_str(), old.c_str()) != 0 || open_locked() != 0)
        bytes_ = 0;  // tries again later
}

void LogFile::write(LogLevel level, std::string_view line) {
    int64_t wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
    std::lock_guard lock(mutex_);
    std::string text = format_log_line(options_.json, wall_ms, level, line);
    if (descriptor_ > 2 && bytes_ > 0 && bytes_ + text.size() > options_.bytes_max) turn_over();
    bytes_ += text.size();
    // A log that can't be written is no reason to stop replicating.
    [[maybe_unused]] ssize_t written = ::write(descriptor_, text.data(), text.size());
}

}  // namespace raftd::io::asio
