// `raftctl tail` and `raftctl get`: records out of the log.
#pragma once

#include <optional>
#include <string>

#include "cli/command.h"
#include "cli/format.h"

namespace raftd::cli {

struct TailOptions {
    std::string number;                // -n: a count, or "all"; empty: 10, or all with --from
    bool follow = false;               // -f
    std::string from, to;              // an LSN, `first`, `end`, `@TIME`, `-2h`; both ends included
    std::optional<uint64_t> count;     // --count: ends after so many
    Framing framing = Framing::lines;  // --format
    DataAs data = DataAs::automatic;   // --data, of json and jsonl
    bool with_lsn = false;
    bool local = false;   // --local: what this member has, without asking the leader
    Duration max_lag{};   // --max-lag, with --local: only if it lacks nothing older; 0: not given
    bool strict = false;  // --strict: trimmed records are an error
    std::string node;     // --node: ask this member only
    std::string cursor;   // --cursor: begin where it stands
    bool commit = false;  // --commit: move it behind what was shown
};
Exit tail(const Context& context, const TailOptions& options);

struct GetOptions {
    std::string lsn;
    DataAs data = DataAs::automatic;
    bool local = false;
    Duration max_lag{};
    std::string node;
};
/// What --max-lag means for the client. Errors: bad_input (without --local, or when following).
Result<uint32_t> max_lag_ms(Duration max_lag, bool local, bool follow);
Exit get(const Context& context, const GetOptions& options);

}  // namespace raftd::cli
