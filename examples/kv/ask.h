// The client's side: one question, or a stream of them, to the first kvd that answers. One thread; it waits.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace kv {

struct Answer {
    enum class Kind {
        yes,
        no,           // the key has another value, or get: there is none
        unavailable,  // nothing has happened
        unknown,      // it may have happened, or may yet
        refused,      // the command makes no sense
    };
    Kind kind = Kind::unavailable;
    std::string value;  // yes: the value, a text as it is and all else as JSON; else the reason
};

/// The line of a command; values in the order of the command line, as text, or as JSON. Nothing: one isn't
/// JSON.
std::optional<std::string> command_line(const std::string& op, const std::string& key,
                                        const std::vector<std::string>& values, bool json);

/// `servers`: HOST:PORT,HOST:PORT. Asks them in turn for `timeout_s` seconds. What changes something isn't
/// sent again once a kvd may have it: the answer is `unknown` then.
Answer ask(const std::string& servers, const std::string& line, bool changes, double timeout_s);

/// Sends standard input to the first that can be reached, prints the answers, and never sends twice. Gives
/// the number of lines without an answer; nothing: nobody was there.
std::optional<size_t> ask_all(const std::string& servers);

}  // namespace kv
