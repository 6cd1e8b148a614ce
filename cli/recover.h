// `raftctl recover --force-new-cluster DATA_DIR`: the way out when the quorum is lost for good.
#pragma once

#include <string>

#include "cli/command.h"

namespace raftd::cli {

struct RecoverOptions {
    std::string data_dir, into;
    bool force_new_cluster = false, dry_run = false, yes = false;
};
Exit recover(const Context& context, const RecoverOptions& options);

}  // namespace raftd::cli
