// `raftctl why [LSN]`: what keeps the cluster, or one record, from being committed, and the step that helps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/view.h"

namespace raftd::cli {

struct WhyOptions {
    uint64_t lsn = 0;  // 0: in general
};
Exit why(const Context& context, const WhyOptions& options);

/// One reason, most important first.
struct Finding {
    std::string cause;   // a stable word, e.g. "no_quorum"
    std::string member;  // whom it is about; empty: the cluster
    std::string what, hint;
    bool blocks = false;  // nothing is committed while it lasts
};
/// What is known on this machine of members that don't answer.
struct LastWords {
    bool here = false;  // its folder is on this machine
    bool runs = false;  // somebody holds its lock
    std::string said;   // why it ended, by its log; may be empty
};
/// Pure. `words`: by member's name.
std::vector<Finding> diagnose(const ClusterView& view, const std::map<std::string, LastWords>& words,
                              uint64_t lsn);

}  // namespace raftd::cli
