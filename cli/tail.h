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
    std::string node;
};
Exit get(const Context& context, const GetOptions& options);

}  // namespace raftd::cli
