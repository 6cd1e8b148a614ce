// `raftctl events`: what happened to the members, merged by time.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raftd::cli {

struct EventsOptions {
    std::vector<std::string> nodes;  // empty: all
    bool follow = false;
    uint64_t lines = 20;
};
Exit events(const Context& context, const EventsOptions& options);

/// Fields of `kind key=value key="quoted value"`: the kind under "event" first.
std::vector<std::pair<std::string, std::string>> event_fields(const std::string& line);

}  // namespace raftd::cli
