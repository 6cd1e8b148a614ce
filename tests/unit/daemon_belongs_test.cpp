#include "daemon/belongs.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "conf/load.h"
#include "snapshot/identity.h"
#include "tests/support/memory_files.h"

namespace raftd::daemon {
namespace fs = std::filesystem;
namespace {

class Belongs : public ::testing::Test {
protected:
    void SetUp() override {
        std::string path = (fs::temp_directory_path() / "raftd-test.XXXXXX").string();
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        folder_ = path;
        conf::ClusterSpec spec;
        spec.name = "demo";
        spec.id = {1, 2};
        spec.members = {{NodeId{1}, "n1", "127.0.0.1:7101", "127.0.0.1:7201", "", false, 0, "n1"},
                        {NodeId{2}, "n2", "127.0.0.1:7102", "127.0.0.1:7202", "", false, 0, "n2"}};
        std::ofstream(folder_ / "cluster.toml") << conf::render_cluster_toml(spec);
        settings_.cluster = "../cluster.toml";
        settings_.name = "n1";
        settings_.data_dir = "/data";
        files_.make_dir("/data");
    }
    void TearDown() override { fs::remove_all(folder_); }

    Errc check(const snapshot::Identity& identity) {
        files_.put("/data/identity.toml", snapshot::encode_identity(identity));
        auto result = check_belongs(files_, settings_, (folder_ / "n1" / "raftd.toml").string());
        return result ? Errc::ok : result.error().code;
    }

    fs::path folder_;
    conf::NodeSettings settings_;
    raftd::testing::MemoryFiles files_;
};

// A directory that was copied from a neighbour, or mounted at the wrong place, would vote twice under two
// names.
TEST_F(Belongs, RefusesDirectoriesOfOthers) {
    EXPECT_EQ(check({{1, 2}, "demo", NodeId{1}, "n1", {7, 7}}), Errc::ok);
    EXPECT_EQ(check({{1, 2}, "demo", NodeId{2}, "n2", {7, 7}}), Errc::conflict);
    EXPECT_EQ(check({{9, 9}, "other", NodeId{1}, "n1", {7, 7}}), Errc::conflict);
    settings_.name = "n7";
    EXPECT_EQ(check({{1, 2}, "demo", NodeId{1}, "n1", {7, 7}}), Errc::bad_input);
}

}  // namespace
}  // namespace raftd::daemon
