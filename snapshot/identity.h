// The file `identity.toml`: who this directory belongs to. It ends with a checksum, so that an edit or rot is
// damage and never another identity. Pure functions; any thread.
#pragma once

#include "snapshot/data_dir.h"

namespace raftd::snapshot {

std::string encode_identity(const Identity& identity);
Result<Identity> parse_identity(std::string_view text);

}  // namespace raftd::snapshot
