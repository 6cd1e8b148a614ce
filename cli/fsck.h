// `raftctl fsck`: the files of stopped members, checked and mended without the others' help.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raftd::cli {

struct FsckOptions {
    std::vector<std::string> dirs;  // data directories, or members' folders; empty: all local members'
    bool repair = false;
};
/// Exit 8: damage that is still there; 7: one of the members runs (then nothing was looked at).
Exit fsck(const Context& context, const FsckOptions& options);

}  // namespace raftd::cli
