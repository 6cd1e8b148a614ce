// What a running member takes over from a changed settings file (SIGHUP).
#pragma once

#include <string>
#include <vector>

#include "conf/settings.h"

namespace raftd::conf {

/// Names of settings that differ, as in `logging.level`.
struct Reloaded {
    std::vector<std::string> taken;
    std::vector<std::string> kept;  // differ, but only count at the next start
};

/// Copies into `running` what differs in `fresh` and is reloadable by the table.
Reloaded take_reloadable(NodeSettings& running, const NodeSettings& fresh);

}  // namespace raftd::conf
