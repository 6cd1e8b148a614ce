// Runs the golden scripts of tests/scenarios/raft, each as a test of its own. RAFTD_REWRITE=1 writes the
// output a script had into its file: look at each difference. One file by hand:
//   test_raft --gtest_filter='*append_conflict_replaces_tail*'
#include "tests/support/raft_script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace raftd::raft::test {
namespace {

std::vector<std::filesystem::path> scripts() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(RAFTD_SOURCE_DIR "/tests/scenarios/raft"))
        if (entry.path().extension() == ".txt") found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

class RaftScript : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(RaftScript, DoesWhatItSays) {
    std::ifstream in(GetParam());
    std::stringstream text;
    text << in.rdbuf();
    ASSERT_EQ(text.str().rfind("# ", 0), 0u) << "a script begins with what it is about";
    const ScriptResult result = run_script(text.str());
    if (std::getenv("RAFTD_REWRITE") != nullptr && !result.rewritten.empty()) {
        std::ofstream(GetParam()) << result.rewritten;
        return;
    }
    if (!result.failure.empty()) FAIL() << GetParam().filename().string() << " " << result.failure;
}

INSTANTIATE_TEST_SUITE_P(Scenarios, RaftScript, testing::ValuesIn(scripts()),
                         [](const auto& script) { return script.param.stem().string(); });

}  // namespace
}  // namespace raftd::raft::test
