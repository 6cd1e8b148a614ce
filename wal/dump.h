// A segment file in words, for `raftctl debug wal FILE`: header, seal, every group, footer; and what is wrong
// where. Works on damaged files: behind damage it goes on at the next good group. Blocking; changes nothing.
#pragma once

#include <string>

#include "base/result.h"
#include "io/files.h"

namespace raftd::wal {

enum class DumpForm : uint8_t { text, jsonl };

struct Dumped {
    std::string text;      // lines, each ended
    uint32_t damages = 0;  // 0: the file is as it was written (a torn end is no damage)
};
/// Errors: io, not_found. Damage is no error, it is in the text.
Result<Dumped> dump_segment(io::Files& files, const std::string& path, DumpForm form);

}  // namespace raftd::wal
