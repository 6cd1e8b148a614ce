// Texts of `raftctl`, `raftctl help all` and `raftctl help exit-codes`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace raftd::cli {

struct CommandInfo {
    std::string_view name, arguments, group, summary;
};
inline constexpr std::string_view kEveryday = "everyday";

/// Everyday verbs with their summaries, then the other groups by name only.
std::string overview(const std::vector<CommandInfo>& commands);
/// Everything, with the global flags.
std::string help_all(const std::vector<CommandInfo>& commands);
std::string help_exit_codes();
/// `raftctl 0.1.0`
std::string version_text();
std::string_view version_number();

}  // namespace raftd::cli
