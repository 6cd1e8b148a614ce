// Reads and writes the two files: NODE/raftd.toml (one member's settings) and cluster.toml (the wanted
// members). Every problem names file, line and column and the right form. Nothing here changes a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/settings.h"

namespace raftd::conf {

/// One thing that is wrong, in the order of the file.
struct Problem {
    std::string where;  // "raftd.toml:12:3", or the file alone
    std::string what;   // "raft.heartbeat_interval: ..."
    std::string hint;   // may be empty
};

/// What stands in the file, with defaults for the rest; `path` gives the folder for relative paths. `given`,
/// when not null, gets the paths of the settings that the file names.
NodeSettings parse_node_settings(std::string_view text, const std::string& path,
                                 std::vector<Problem>& problems, std::vector<std::string>* given = nullptr);
ClusterSpec parse_cluster_spec(std::string_view text, const std::string& path,
                               std::vector<Problem>& problems);

/// Errors: not_found (no such file), bad_input (the first problem, and how many more there are).
Result<NodeSettings> load_node_settings(const std::string& path);
Result<ClusterSpec> load_cluster_spec(const std::string& path);
/// The text of a file. Errors: not_found, io.
Result<std::string> read_text(const std::string& path);
/// The first problem as an error of code bad_input. Requires: there is one.
Error error_of(const std::vector<Problem>& problems);

/// A file named in another one: relative to that one's folder.
std::string resolve_beside(const std::string& file, const std::string& path);

/// Settings that aren't defaults, and all others as comments.
std::string render_node_toml(const NodeSettings& settings);
std::string render_cluster_toml(const ClusterSpec& spec);

const MemberSpec* find_member(const ClusterSpec& spec, std::string_view name);

}  // namespace raftd::conf
