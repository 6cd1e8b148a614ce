// Log lines of `event key=value ...`. Event names are stable API (docs/operations.md). The sink decides
// where lines go and stamps the time; the builder costs nothing when the level is off.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/printable.h"

namespace raftd {

enum class LogLevel : uint8_t { error, warn, info, debug };

class LogSink {
public:
    virtual ~LogSink() = default;
    virtual bool wants(LogLevel level) const = 0;
    /// One line without time or newline, e.g. `became_leader term=7`.
    virtual void write(LogLevel level, std::string_view line) = 0;
};

/// Builds one line and hands it over when destroyed: `LogLine(sink, LogLevel::info, "started")("pid", 7);`
class LogLine {
public:
    LogLine(LogSink& sink, LogLevel level, std::string_view event)
        : sink_(sink.wants(level) ? &sink : nullptr), level_(level) {
        if (sink_ != nullptr) line_ = event;
    }
    ~LogLine() {
        if (sink_ != nullptr) sink_->write(level_, line_);
    }
    LogLine(const LogLine&) = delete;
    LogLine& operator=(const LogLine&) = delete;

    template <class T>
    LogLine& operator()(std::string_view key, const T& value) {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                      std::is_convertible_v<const T&, std::string_view>);
        if (sink_ != nullptr) put(key, printable_of(value));
        return *this;
    }

private:
    void put(std::string_view key, const Printable& value);
    void quote(std::string_view text);  // quotes and escapes only when a reader would need it

    LogSink* sink_;
    LogLevel level_;
    std::string line_;
};

}  // namespace raftd
