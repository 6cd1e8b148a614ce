// `raftctl destroy`: removes this machine's part of a stopped cluster.
#pragma once

#include "cli/command.h"

namespace raftd::cli {

struct DestroyOptions {
    bool yes = false;  // don't ask
};
/// Removes only what raftctl and raftd make; a folder with anything else in it stays, with that.
Exit destroy(const Context& context, const DestroyOptions& options);

}  // namespace raftd::cli
