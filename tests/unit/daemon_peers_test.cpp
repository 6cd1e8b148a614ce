// Links to the other members, and where files are fetched from.
#include <gtest/gtest.h>

#include "tests/support/stage.h"

namespace raftd::sim {
namespace {

// It said once where it listens, and has moved since: where it answers counts for more.
TEST(Peers, FilesAreFetchedFromWhereAMemberAnswers) {
    Stage stage;
    stage.start();
    Stage::Peer& leader = stage.peer(2);
    stage.hang_up(leader);
    stage.connect(leader, "n2.before:7001");
    ASSERT_TRUE(stage.until([&] { return leader.linked; }));
    stage.hang_up(leader);
    stage.dialed.clear();
    ASSERT_TRUE(stage.until([&] { return !stage.dialed.empty(); }));
    EXPECT_EQ(stage.dialed.front().address, "n2:7001");
    stage.take_dial(leader, stage.dialed.front().conn);
    stage.run_for(milliseconds(5));

    stage.dialed.clear();
    stage.say_append(leader, {Term{9}, {Term{}, Index{}}, Index{}, Index{}, 1}, 0, {});
    stage.say(leader, raft::msg::Snapshot{Term{9}, {Term{8}, Index{1000}}});
    stage.run_for(milliseconds(5));
    ASSERT_EQ(stage.dialed.size(), 1u);
    EXPECT_EQ(stage.dialed.front().kind, io::ConnClass::peer_bulk);
    EXPECT_EQ(stage.dialed.front().address, "n2:7001");
}

}  // namespace
}  // namespace raftd::sim
