// `raftctl feature show` and `raftctl feature raise`.
#pragma once

#include "cli/command.h"

namespace raftd::cli {

struct FeatureOptions {
    uint32_t to = 0;  // --to; 0: the highest that all members take part in
};
Exit feature_show(const Context& context);
Exit feature_raise(const Context& context, const FeatureOptions& options);

}  // namespace raftd::cli
