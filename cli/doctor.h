// `raftctl doctor`: what on this machine could hurt its members: programs, settings, ports, disk, limits.
#pragma once

#include "cli/command.h"

namespace raftd::cli {

/// Looks only; for the speed of a sync it writes a nameless file in each data directory, for 2 s at most.
/// Exit 1 when something is bad.
Exit doctor(const Context& context);

}  // namespace raftd::cli
