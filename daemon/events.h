// What happened to this member lately, for whoever asks: leadership, membership, links, alarms. An event is a
// log line of one of these kinds, so nothing is told twice. The newest ones are kept in memory. Loop thread
// only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/log.h"
#include "io/clock.h"

namespace raftd::daemon {

struct MemberEvent {
    uint64_t number;  // 1, 2, 3 ... since the start of the process
    int64_t wall_ms;
    LogLevel level;
    std::string line;  // `kind key=value ...`, as in the log
};

class Events : public LogSink {
public:
    /// Passes every line on to `log`.
    Events(LogSink& log, io::Clock& clock) : log_(log), clock_(clock) {}

    bool wants(LogLevel level) const override { return level <= LogLevel::info || log_.wants(level); }
    void write(LogLevel level, std::string_view line) override;

    /// Those behind `number`, at most so many; older ones than are kept are passed over.
    std::deque<MemberEvent> since(uint64_t number, size_t count_max) const;
    uint64_t last() const { return last_; }

    /// A longer line is kept cut, with `...` at its end.
    static constexpr size_t kLineBytesMax = 1024;
    /// Whether lines of this kind are events.
    static bool is_event(std::string_view kind);

private:
    static constexpr size_t kKept = 1000;
    LogSink& log_;
    io::Clock& clock_;
    std::deque<MemberEvent> kept_;
    uint64_t last_ = 0;
};

}  // namespace raftd::daemon
