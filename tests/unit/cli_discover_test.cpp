#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "cli/discover.h"
#include "cli/local.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

constexpr const char* kCluster =
    "format = 1\n[cluster]\nname = \"demo\"\nid = \"6f1c00000000000180000000000000aa\"\n"
    "[[member]]\nid = 1\nname = \"n1\"\npeer = \"127.0.0.1:7101\"\nclient = \"127.0.0.1:7201\"\ndata = "
    "\"n1\"\n"
    "[[member]]\nid = 2\nname = \"n2\"\npeer = \"10.0.0.2:7101\"\nclient = \"10.0.0.2:7201\"\ndata = "
    "\"n2\"\n";

class Discover : public ::testing::Test {
protected:
    void SetUp() override {
        std::string path = (fs::temp_directory_path() / "raftctl-test.XXXXXX").string();
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        folder_ = fs::canonical(path);
        fs::create_directories(folder_ / "n1" / "data");
        std::ofstream(folder_ / "cluster.toml") << kCluster;
        before_ = fs::current_path();
        ::unsetenv("RAFTCTL_ENDPOINTS");
        ::unsetenv("RAFTCTL_CLUSTER");
    }
    void TearDown() override {
        fs::current_path(before_);
        fs::remove_all(folder_);
    }
    fs::path folder_, before_;
};

TEST_F(Discover, FindsTheFileInAFolderAbove) {
    fs::current_path(folder_ / "n1" / "data");
    auto found = find_cluster({});
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->folder, folder_.string());
    EXPECT_EQ(found->endpoints, (std::vector<std::string>{"127.0.0.1:7201", "10.0.0.2:7201"}));
}

// The first source wins and no other is looked at: a wrong one is an error, not a reason to try the next.
TEST_F(Discover, FirstSourceWins) {
    fs::current_path(folder_);
    ::setenv("RAFTCTL_ENDPOINTS", "127.0.0.1:1,127.0.0.1:2", 1);
    Context context;
    EXPECT_EQ(find_cluster(context)->endpoints.size(), 2u);
    EXPECT_EQ(find_cluster(context)->origin, "$RAFTCTL_ENDPOINTS");
    context.cluster = folder_.string();
    EXPECT_EQ(find_cluster(context)->origin, "--cluster");
    context.endpoints = {"127.0.0.1:9"};
    EXPECT_EQ(find_cluster(context)->endpoints, (std::vector<std::string>{"127.0.0.1:9"}));
    context.endpoints = {"nonsense"};
    auto bad = find_cluster(context);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, Errc::bad_input);
    ::unsetenv("RAFTCTL_ENDPOINTS");
    context = {};
    context.cluster = "/nonexistent";
    EXPECT_EQ(find_cluster(context).error().code, Errc::not_found);
}

TEST_F(Discover, LocalMembersAreThoseWithAFolderHere) {
    Context context;
    context.cluster = folder_.string();
    auto found = find_local_cluster(context);
    ASSERT_TRUE(found);
    auto all = local_members(*found, {});
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 1u);
    EXPECT_EQ(all->front().folder, (folder_ / "n1").string());
    EXPECT_EQ(running_process(all->front()), 0);
    EXPECT_EQ(local_members(*found, {"n2"}).error().code, Errc::not_found);
    auto unknown = local_members(*found, {"m1"});
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().hint, "did you mean n1?");
}

}  // namespace
}  // namespace raftd::cli
