// The file `boots`: starts seen, mine and my peers'. Nothing may be said before it is durable, so it must be
// writable when the disk is full (B74): it is made once, with room to grow, and then written in place, two
// copies one after the other, each with a number and a checksum. Byte format: docs/formats.md. Blocking.
#pragma once

#include "snapshot/data_dir.h"

namespace raftd::snapshot {

struct BootsFile {
    Boots boots;           // of the newest good copy
    uint64_t version = 0;  // rises with each write; 0: of a format before copies
    uint64_t copies = 0;   // good ones with that version, of two; fewer: a crash, or rot
    size_t newest = 0;     // which copy
};
/// Errors: damaged (no copy is good), too_new.
Result<BootsFile> parse_boots(ByteView bytes);

/// A whole file of two equal copies.
std::vector<std::byte> encode_boots(const Boots& boots, uint64_t version);

}  // namespace raftd::snapshot
