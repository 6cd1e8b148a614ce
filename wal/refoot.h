// Makes the footer of a sealed segment again from its groups: for `raftctl fsck --repair`, since a footer is
// only an index that saves a scan. Blocking.
#pragma once

#include <string>

#include "base/result.h"
#include "io/files.h"

namespace raftd::wal {

/// Footer, then the seal that names it, each synced: after a crash between them the segment has a damaged
/// footer, as before. Errors: damaged (header, seal or a group isn't whole: nothing was written), io.
Result<void> rebuild_footer(io::Files& files, const std::string& path);

}  // namespace raftd::wal
