// `raftctl doctor`: what on this machine could hurt its members: programs, settings, ports, disk, limits.
#pragma once

#include "cli/command.h"

namespace raftd::cli {

/// Looks only; for the speed of a sync it writes one temporary file beside each data directory. Exit 1 when
/// something is bad.
Exit doctor(const Context& context);

}  // namespace raftd::cli
