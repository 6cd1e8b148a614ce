// `raftctl debug ...`: looks inside a member or its files.
#pragma once

#include <string>

#include "cli/command.h"

namespace raftd::cli {

struct DebugDumpOptions {
    std::string node;
};
/// The live state of one member's core, as it says.
Exit debug_dump(const Context& context, const DebugDumpOptions& options);

}  // namespace raftd::cli
