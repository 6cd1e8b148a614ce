// `raftctl config check` and `config show`: the files that people edit.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raftd::cli {

struct ConfigOptions {
    std::vector<std::string> files;  // empty: cluster.toml and every raftd.toml on this machine
};
/// Every problem of every file, one a line; exit 2 when there is one.
Exit config_check(const Context& context, const ConfigOptions& options);
/// Every setting with value, default and where the value comes from.
Exit config_show(const Context& context, const ConfigOptions& options);

}  // namespace raftd::cli
