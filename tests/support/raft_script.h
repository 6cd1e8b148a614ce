// Golden scripts over a cluster of cores. A file is comments, blocks and blank lines; a block is commands, a
// line
// `----`, and the output they must have. A command in parentheses runs without output. After each command the
// invariants are checked; after the last block everything heals and the members must come to agree. The
// commands: tests/scenarios/raft/README.md.
#pragma once

#include <string>

namespace raftd::raft::test {

struct ScriptResult {
    std::string failure;    // empty: passed
    std::string rewritten;  // the file with the output it had
};

ScriptResult run_script(const std::string& text);

}  // namespace raftd::raft::test
