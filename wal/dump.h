// A segment file in words, for `raftctl debug wal FILE`: header, seal, every group, footer; and what is wrong
// where, also as values for `raftctl fsck`. Works on damaged files: behind damage it goes on at the next good
// group. Blocking; changes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "io/files.h"

namespace raftd::wal {

enum class DumpForm : uint8_t { text, jsonl, none };

/// Which part of a segment isn't as it was written.
enum class Part : uint8_t {
    file,    // shorter than made, or can't be read
    header,  // of the segment
    seal,    // damaged, or its write was torn
    group,   // header or entries; or groups in the wrong order
    marker,  // a group that is lost, and held no entries and no news: the next one goes on where it stood
    footer,  // or not what the groups say
};
struct Damage {
    uint64_t offset = 0;
    Part part = Part::file;
    Index behind{};  // the last good entry before it; 0: not known
    std::string what;
};

struct Dumped {
    std::string text;                 // lines, each ended; empty: DumpForm::none
    uint32_t damages = 0;             // 0: the file is as it was written (a torn end is no damage)
    std::vector<Damage> found;        // so many
    bool unused = false;              // made ahead
    std::optional<uint64_t> torn_at;  // where the last write was under way, or rotted with nothing behind it
};
/// Errors: io, not_found. Damage is no error, it is in the text.
Result<Dumped> dump_segment(io::Files& files, const std::string& path, DumpForm form);

}  // namespace raftd::wal
