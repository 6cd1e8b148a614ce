#include "cli/snapshot.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

pb::Snapshots member(const std::string& name,
                     const std::vector<std::tuple<uint64_t, uint64_t, char>>& archives) {
    pb::Snapshots snapshots;
    snapshots.set_name(name);
    for (const auto& [first, last, digit] : archives) {
        pb::Archive& archive = *snapshots.add_archives();
        archive.set_first(first);
        archive.set_last(last);
        archive.set_hash(std::string(64, digit));
    }
    return snapshots;
}

TEST(SnapshotTake, TellsWhoHasAnotherArchive) {
    EXPECT_TRUE(archive_differences({}).empty());
    EXPECT_TRUE(archive_differences({member("n1", {{1, 20, 'a'}, {21, 40, 'b'}}),
                                     member("n2", {{21, 40, 'b'}, {41, 50, 'c'}}),  // trimmed, and further
                                     member("n3", {})})
                    .empty());
    const auto other_hash = archive_differences(
        {member("n1", {{1, 20, 'a'}}), member("n2", {{1, 20, 'b'}}), member("n3", {{1, 20, 'a'}})});
    ASSERT_EQ(other_hash.size(), 1u);
    EXPECT_EQ(other_hash[0], "n1 has 1-20 " + std::string(32, 'a') + ", n2 has 1-20 " + std::string(32, 'b'));
    const auto other_end = archive_differences({member("n1", {{1, 20, 'a'}}), member("n2", {{1, 30, 'a'}})});
    ASSERT_EQ(other_end.size(), 1u);
    EXPECT_NE(other_end[0].find("n2 has 1-30"), std::string::npos);
}

}  // namespace
}  // namespace raftd::cli
