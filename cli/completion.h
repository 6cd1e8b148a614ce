// Completion scripts for shells, made from the tree of commands that main.cpp declares: a new command or flag
// needs no word here. `source <(raftctl completion bash)`.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace raftd::cli {

enum class Shell : uint8_t { bash, zsh, fish };

/// A flag's or argument's type name says what completes it: words split by `|`; PATH, FILE, DIR and F are
/// files; NODE and NAME are the members of the cluster here.
std::string completion_script(const CLI::App& app, Shell shell);

}  // namespace raftd::cli
