// `raftctl freeze` and `thaw`: nothing is compacted or removed for a bounded time.
#pragma once

#include "cli/command.h"

namespace raftd::cli {

struct FreezeOptions {
    Duration span = seconds(3600);
};
Exit freeze(const Context& context, const FreezeOptions& options);
Exit thaw(const Context& context);

}  // namespace raftd::cli
