// `raftctl member diff FILE` and `member apply FILE`: from the members as they are to those of a
// cluster.toml.
#pragma once

#include <string>

#include "cli/command.h"

namespace raftd::cli {

struct MemberFileOptions {
    std::string file;
    bool dry_run = false, yes = false;
};
Exit member_diff(const Context& context, const MemberFileOptions& options);
Exit member_apply(const Context& context, const MemberFileOptions& options);

}  // namespace raftd::cli
