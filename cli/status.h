// `raftctl status` and `raftctl wait`.
#pragma once

#include <string>

#include "cli/command.h"

namespace raftd::cli {

struct StatusOptions {
    bool watch = false;
    bool check = false;  // exit by the state: 10 when a member is missing
};
Exit status(const Context& context, const StatusOptions& options);

enum class WaitFor : uint8_t { leader, healthy, lsn, caught_up, members_stable };
struct WaitOptions {
    WaitFor what = WaitFor::leader;
    uint64_t lsn = 0;    // committed
    std::string member;  // to be caught up
};
/// Waits until it is so, at most the global time-out.
Exit wait(const Context& context, const WaitOptions& options);

}  // namespace raftd::cli
