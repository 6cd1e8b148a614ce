// A save on a simulated disk. Read next: sim/former.h.
#pragma once

#include <string>

#include "io/files.h"
#include "snapshot/saved.h"

namespace raftd::sim {

/// A snapshot folder's snapshot as a save has it. Requires: there is one.
std::string save_of(io::Files& files, const std::string& folder);
/// The save as a file; then what is in it, all of it verified.
snapshot::Saved put_save(io::Files& files, const std::string& path, const std::string& save);

}  // namespace raftd::sim
