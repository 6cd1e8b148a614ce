// What all commands of raftctl share: the global flags, how results, notes and errors are shown, and the exit
// codes. A command is a function `Exit name(const Context&, const NameOptions&)`; main.cpp parses flags into
// the options. Standard output is data only; everything for people goes to standard error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"

namespace raftd::cli {

/// One table for all commands; `raftctl help exit-codes` prints it.
enum class Exit : int {
    done = 0,
    failed = 1,
    usage = 2,        // also bad configuration and bad input
    unreachable = 3,  // no endpoint answered, nothing was sent
    unavailable = 4,  // no leader, no quorum, busy, disk full: nothing happened
    unknown = 5,      // an append may have landed
    not_found = 6,
    conflict = 7,
    damaged = 8,
    denied = 9,
    degraded = 10,
    interrupted = 130,
};
Exit exit_of(Errc code);
/// The stable word for a code in JSON, e.g. "unavailable".
const char* name_of(Errc code);

enum class Output : uint8_t { text, json, jsonl };
enum class When : uint8_t { automatic, always, never };

/// Global flags; they work anywhere on the line.
struct Context {
    std::vector<std::string> endpoints;  // --endpoint, split at commas; empty: not given
    std::string cluster;                 // --cluster PATH; empty: not given
    Output output = Output::text;
    bool quiet = false;
    bool verbose = false;
    Duration timeout = seconds(10);  // without progress
    When progress = When::automatic;
    When color = When::automatic;
};
/// Progress is shown on a terminal's standard error only (or when asked for), never with -q.
bool shows_progress(const Context& context);
/// Colour on file descriptor `fd`; NO_COLOR, CLICOLOR_FORCE and TERM=dumb are respected.
bool shows_color(const Context& context, int fd);

/// How one endpoint answered, for the error document.
struct Tried {
    std::string endpoint, result;
};
/// Prints `raftctl: what` and `hint: ...` (text), or the one error document on standard output (json, jsonl).
/// Returns the exit code. `word` is the error's stable name where it is finer than its code ("no_leader").
Exit fail(const Context& context, const Error& error, std::string_view word = {},
          const std::vector<Tried>& tried = {});
/// A line on standard error unless -q; `hint:` and `warning:` belong to the text.
void note(const Context& context, std::string_view line);
/// Whether somebody at a terminal answers `question` with y, or has said --yes. False without a terminal.
bool agreed(const Context& context, bool yes, const std::string& question);
/// A line on standard error with -v.
void detail(const Context& context, std::string_view line);

/// Writes to standard output, all of it. False when the reader has gone (the command then ends silently with
/// 0); another failure is reported once and makes finish_output() return `failed`.
bool write_out(std::string_view bytes);
/// Call at the end of a command that wrote data: `exit`, or `failed` when standard output refused bytes.
Exit finish_output(const Context& context, Exit exit);

/// True once Ctrl-C (or SIGTERM) came; commands that wait look at it at least every 100 ms.
bool interrupted();
/// A file descriptor that becomes readable then, for poll().
int interrupt_fd();
/// Installs the handlers above, ignores SIGPIPE, and fills closed standard descriptors, so that no file or
/// socket ever gets their numbers; main() calls it first.
void prepare_process();

/// Text of a JSON string with its quotes. Bytes that aren't UTF-8 become U+FFFD.
std::string json_text(std::string_view text);
/// Numbers as people read them: "64 MiB", "1.5 s", "150 ms".
std::string text_of_bytes(uint64_t bytes);
std::string text_of_duration(Duration duration);
/// On a terminal control bytes and invalid UTF-8 are shown as \xNN; into a pipe the bytes are exact.
std::string printable(std::string_view bytes);

/// Builds one JSON object or array, in the order of the calls; numbers above 2^53 are the caller's to avoid.
class Json {
public:
    static Json object() { return Json('{', '}'); }
    static Json array() { return Json('[', ']'); }
    Json& add(std::string_view key, std::string_view value) { return put(key, json_text(value)); }
    Json& add(std::string_view key, const char* value) { return put(key, json_text(value)); }
    Json& add(std::string_view key, uint64_t value) { return put(key, std::to_string(value)); }
    Json& add(std::string_view key, int value) { return put(key, std::to_string(value)); }
    Json& add(std::string_view key, double value);
    Json& add(std::string_view key, bool value) { return put(key, value ? "true" : "false"); }
    Json& add(std::string_view key, const Json& value) { return put(key, value.text()); }
    Json& null(std::string_view key) { return put(key, "null"); }
    /// For arrays.
    Json& add(const Json& value) { return put({}, value.text()); }
    Json& add(std::string_view value) { return put({}, json_text(value)); }
    std::string text() const { return text_ + close_; }

private:
    Json(char open, char close) : text_(1, open), close_(close) {}
    Json& put(std::string_view key, std::string_view value);
    std::string text_;
    char close_;
};

}  // namespace raftd::cli
