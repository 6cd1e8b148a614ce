// `raftctl start`, `stop`, `restart`: daemons of this machine's members.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/local.h"

namespace raftd::cli {

enum class StartWait : uint8_t { leader, ready, none };
struct StartOptions {
    std::vector<std::string> nodes;  // empty: all that are local
    StartWait wait = StartWait::leader;
    bool foreground = false;
};
Exit start(const Context& context, const StartOptions& options);

struct StopOptions {
    std::vector<std::string> nodes;
    bool kill = false;
};
Exit stop(const Context& context, const StopOptions& options);
/// Stops one, gracefully; fine when it doesn't run. Errors: as stop's.
Result<void> stop_process(const Context& context, const LocalMember& member);

struct RestartOptions {
    std::vector<std::string> nodes;
    bool rolling = false;  // one at a time, each healthy before the next
};
Exit restart(const Context& context, const RestartOptions& options);

}  // namespace raftd::cli
