// `raftctl trim`, `retention show|set` and `cursor ...`: what of the log stays, and who has read how far.
#pragma once

#include <optional>
#include <string>

#include "cli/command.h"

namespace raftd::cli {

struct TrimOptions {
    uint64_t before = 0;  // --before LSN
};
Exit trim(const Context& context, const TrimOptions& options);

/// Texts as on the line; empty: not given.
struct RetentionOptions {
    std::string bytes;             // --bytes SIZE|off
    std::string age;               // --age DUR|off
    std::string records;           // --records N|off
    std::string below_checkpoint;  // --below-checkpoint on|off
};
Exit retention_show(const Context& context);
Exit retention_set(const Context& context, const RetentionOptions& options);

struct CursorOptions {
    std::string name;
    uint64_t lsn = 0;
    bool hold = false;     // --hold
    std::string hold_max;  // --hold-max SIZE: the hold ends where it keeps more
};
Exit cursor_list(const Context& context);
Exit cursor_get(const Context& context, const CursorOptions& options);
Exit cursor_set(const Context& context, const CursorOptions& options);
Exit cursor_delete(const Context& context, const CursorOptions& options);

}  // namespace raftd::cli
