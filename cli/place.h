// A place in the log as people write it for --from and --to: an LSN, an end, or a time.
#pragma once

#include <string_view>

#include "base/result.h"

namespace raftd::cli {

struct Place {
    enum class Kind : uint8_t { lsn, first, end, time } kind = Kind::first;
    uint64_t value = 0;  // LSN, or milliseconds since 1970
};
/// `17`, `first`, `end`, `@TIME`, `-2h` (before `now_ms`). Errors: bad_input, with what is wrong and the
/// forms there are.
Result<Place> parse_place(std::string_view text, int64_t now_ms);

/// Milliseconds since 1970 of `1732100000[.5]` (seconds since 1970), `2026-11-20`,
/// `2026-11-20T10:00[:30[.250]][Z|+01:00]` (RFC 3339; a space for the T). Without a zone it is local time.
/// Errors: bad_input, with what is wrong; none before 1970.
Result<int64_t> parse_time(std::string_view text);

}  // namespace raftd::cli
