// Whether a data directory is the one that raftd.toml and cluster.toml speak of. A directory of another
// member or another cluster (copied, mounted at the wrong place) must not vote or append under this name.
#pragma once

#include <string>

#include "base/result.h"
#include "conf/settings.h"
#include "io/files.h"

namespace raftd::daemon {

/// Reads only; before the directory is opened. A directory without identity passes: opening it says what is
/// wrong. Errors: bad_input (the files contradict each other), conflict (it is somebody else's).
Result<void> check_belongs(io::Files& files, const conf::NodeSettings& settings,
                           const std::string& config_file);

}  // namespace raftd::daemon
