// The members of a cluster that live on this machine: their folders, and the processes that run them. Who
// runs a member is whoever holds the lock on its data/LOCK; a pid file is only a note for people.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/discover.h"

namespace raftd::cli {

struct LocalMember {
    conf::MemberSpec spec;
    std::string folder;  // absolute; the files below lie in it
    std::string config_file() const { return folder + "/raftd.toml"; }
    std::string log_file() const { return folder + "/raftd.log"; }
    std::string pid_file() const { return folder + "/raftd.pid"; }
    std::string data_dir;  // as its raftd.toml says; data/ when that can't be read
};

/// Members whose folder is on this machine; all, or those named, in the order of cluster.toml. Errors:
/// bad_input (no such member, with the nearest name), not_found (none is local).
Result<std::vector<LocalMember>> local_members(const Found& found, const std::vector<std::string>& names);

/// The process that holds the member's lock; 0: nobody does, -1: somebody does whom we can't see.
pid_t running_process(const LocalMember& member);
/// Whether that process has ended (a zombie has).
bool process_ended(pid_t process);

/// `raftd`, beside this program or in PATH. Errors: not_found.
Result<std::string> find_daemon();

/// Last lines of a file, at most so many.
std::vector<std::string> last_lines(const std::string& path, size_t count);

}  // namespace raftd::cli
