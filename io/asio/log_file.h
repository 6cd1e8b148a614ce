// Where log lines go: standard error, or a file that is capped in size (the one before is kept as FILE.1).
// Lines are `2026-11-21T13:00:00.123Z info event key=value ...`, or one JSON object each. Any thread may
// write.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "base/log.h"

namespace raftd::io::asio {

struct LogFileOptions {
    std::string path;  // empty: standard error
    bool json = false;
    LogLevel level = LogLevel::info;
    uint64_t bytes_max = 16u << 20;
    /// Standard error follows the file: what the run-time library says when it aborts lands there too.
    bool take_stderr = false;
};

class LogFile final : public LogSink {
public:
    explicit LogFile(LogFileOptions options);
    ~LogFile() override;
    LogFile(const LogFile&) = delete;
    LogFile& operator=(const LogFile&) = delete;

    /// An errno value; lines go to standard error until it is open.
    int open();
    /// Opens the path anew: another program may have moved the file away (SIGHUP).
    int reopen();
    /// From the next line on.
    void set(LogLevel level, bool json, uint64_t bytes_max);
    bool wants(LogLevel level) const override { return level <= level_.load(std::memory_order_relaxed); }
    void write(LogLevel level, std::string_view line) override;

private:
    int open_locked();
    void turn_over();

    LogFileOptions options_;  // level apart, under mutex_ like all that follows
    std::atomic<LogLevel> level_;
    std::mutex mutex_;
    int descriptor_ = 2;
    uint64_t bytes_ = 0;
};

/// One line as it is written, with its newline.
std::string format_log_line(bool json, int64_t wall_ms, LogLevel level, std::string_view line);
/// False when the name is none of error, warn, info, debug.
bool parse_log_level(std::string_view name, LogLevel& level);

}  // namespace raftd::io::asio
