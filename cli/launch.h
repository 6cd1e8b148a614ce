// Makes a daemon: a detached process (own session, no terminal) whose output goes to the end of
// NODE/raftd.log.
#pragma once

#include <optional>

#include "cli/local.h"

namespace raftd::cli {

/// A daemon that this process started and so can learn the end of.
struct Launched {
    LocalMember member;
    pid_t process = 0;
    std::optional<int> exit;  // once it has ended: exit code, or 128 + signal
    uint64_t log_from = 0;    // where in raftd.log its lines begin
};

/// Errors: io. Writes NODE/raftd.pid.
Result<Launched> launch(const std::string& daemon, const LocalMember& member);
/// Sets `exit` when the process has ended.
void look_after(Launched& launched);
/// What a daemon that ended at once said: its last log lines.
std::vector<std::string> its_log(const Launched& launched, size_t lines);
/// Replaces this process by the daemon; returns only when that fails.
Error become(const std::string& daemon, const LocalMember& member);

}  // namespace raftd::cli
