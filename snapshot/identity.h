// The two small files beside the log: `identity.toml` (who this directory belongs to) and `boots` (starts
// seen). Both end with or contain a checksum, so that an edit or rot is damage and never another identity.
#pragma once

#include "snapshot/data_dir.h"

namespace raftd::snapshot {

std::string encode_identity(const Identity& identity);
Result<Identity> parse_identity(std::string_view text);

std::vector<std::byte> encode_boots(const Boots& boots);
Result<Boots> parse_boots(ByteView bytes);

}  // namespace raftd::snapshot
