// cluster.toml is edited as text: what isn't concerned stays byte for byte.
#include "conf/edit.h"

#include <gtest/gtest.h>

#include "conf/load.h"

namespace raftd::conf {
namespace {

constexpr const char* kFile = R"(# our cluster
format = 1

[cluster]
name = "demo"       # the spine
id = "6f1c0000000000000000000000000001"
config_index = 1

# the first
[[member]]
id = 1
name = "n1"
peer   = "127.0.0.1:7101"   # rack 1
client = "127.0.0.1:7201"
role = "voter"
data = "n1"

# the second, on loan
[[member]]
id = 2
name = "n2"
peer = "127.0.0.1:7102"
client = "127.0.0.1:7202"

# the third
[[member]]
id = 3
name = "n3"
peer = "127.0.0.1:7103"
client = "127.0.0.1:7203"
priority = 0 # equal
)";

ClusterSpec spec_of(const std::string& text) {
    std::vector<Problem> problems;
    ClusterSpec spec = parse_cluster_spec(text, "cluster.toml", problems);
    EXPECT_TRUE(problems.empty()) << problems.front().what;
    return spec;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

TEST(ClusterFileEdit, ChangesNothingWhenNothingDiffers) {
    EXPECT_EQ(*edit_cluster_toml(kFile, spec_of(kFile)), kFile);
}

TEST(ClusterFileEdit, RewritesOnlyTheValuesThatDiffer) {
    ClusterSpec spec = spec_of(kFile);
    spec.config_index = 42;
    spec.members[0].peer = "10.0.0.1:7101";
    spec.members[2].priority = 7;
    std::string expected = replaced(kFile, "config_index = 1", "config_index = 42");
    expected = replaced(expected, "\"127.0.0.1:7101\"   # rack 1", "\"10.0.0.1:7101\"   # rack 1");
    expected = replaced(expected, "priority = 0 # equal", "priority = 7 # equal");
    EXPECT_EQ(*edit_cluster_toml(kFile, spec), expected);
}

TEST(ClusterFileEdit, AddsAKeyThatIsMissing) {
    ClusterSpec spec = spec_of(kFile);
    spec.members[1].learner = true;
    ClusterSpec back = spec_of(*edit_cluster_toml(kFile, spec));
    EXPECT_TRUE(back.members[1].learner);
    EXPECT_FALSE(back.members[2].learner);
}

TEST(ClusterFileEdit, TakesABlockOutAndLeavesTheOthersComments) {
    ClusterSpec spec = spec_of(kFile);
    spec.members.erase(spec.members.begin() + 1);
    std::string edited = *edit_cluster_toml(kFile, spec);
    EXPECT_EQ(edited.find("7102"), std::string::npos);
    EXPECT_NE(edited.find("# the third\n[[member]]\nid = 3"), std::string::npos) << edited;
    EXPECT_NE(edited.find("# rack 1"), std::string::npos);
    EXPECT_EQ(spec_of(edited).members.size(), 2u);
}

TEST(ClusterFileEdit, PutsNewBlocksAtTheEnd) {
    ClusterSpec spec = spec_of(kFile);
    MemberSpec fresh;
    fresh.id = NodeId{4};
    fresh.name = fresh.data = "n4";
    fresh.peer = "127.0.0.1:7104";
    fresh.client = "127.0.0.1:7204";
    spec.members.push_back(fresh);
    std::string edited = *edit_cluster_toml(kFile, spec);
    EXPECT_EQ(edited.substr(0, std::string(kFile).size()), kFile);
    EXPECT_EQ(spec_of(edited).members.back().data, "n4");
}

TEST(ClusterFileEdit, RefusesAFileThatIsWrong) {
    EXPECT_EQ(edit_cluster_toml("format = 1\n[cluster", spec_of(kFile)).error().code, Errc::bad_input);
}

}  // namespace
}  // namespace raftd::conf
