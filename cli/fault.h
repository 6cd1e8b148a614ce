// `raftctl fault ...`: worsens the links of a test cluster's member, or makes it campaign.
#pragma once

#include <string>
#include <vector>

#include "base/instant.h"
#include "cli/command.h"

namespace raftd::cli {

enum class FaultWord : uint8_t { show, disconnect, drop, delay, duplicate, timeout, reconnect, clear };

struct FaultOptions {
    std::string node;
    std::vector<std::string> to, from;  // names of peers; neither: all, both ways
    double percent = 0;                 // of drop and duplicate
    Duration delay{}, lasts = seconds(60);
};
/// Exit 9 when the member's settings don't allow faults.
Exit fault(const Context& context, FaultWord word, const FaultOptions& options);

}  // namespace raftd::cli
