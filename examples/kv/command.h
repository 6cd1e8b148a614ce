// A command, as it comes in a line and as it stands in the log. Plain values.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kv {

using Json = nlohmann::json;

struct Command {
    enum class Op : uint8_t { get, set, cas, del };
    Op op = Op::get;
    std::string key;
    Json value;      // set: the new value; cas: too, when `old` is there
    Json old;        // cas; null: the key isn't there
    std::string id;  // in the log: who waits for it
};

/// Reads one JSON object. Errors: bad_input, in words. Anything may be in a line, and in the log.
raftd::Result<Command> parse_command(std::string_view text);

/// As a record of the log: JSON too, so that `raftctl tail` shows it.
std::string text_of(const Command& command);

}  // namespace kv
