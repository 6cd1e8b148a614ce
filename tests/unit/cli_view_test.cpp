#include "cli/view.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

conf::ClusterSpec three() {
    conf::ClusterSpec spec;
    spec.name = "demo";
    for (uint64_t id = 1; id <= 3; ++id)
        spec.members.push_back({NodeId{id}, "n" + std::to_string(id), "127.0.0.1:710" + std::to_string(id),
                                "127.0.0.1:720" + std::to_string(id), "", false, 0, ""});
    return spec;
}

MemberAnswer says(uint64_t id, const char* role, uint64_t term) {
    MemberAnswer answer;
    answer.endpoint = "127.0.0.1:720" + std::to_string(id);
    pb::Status& status = *answer.answer.emplace().mutable_status();
    status.set_cluster_name("demo");
    status.set_node_id(id);
    status.set_name("n" + std::to_string(id));
    status.set_role(role);
    status.set_term(term);
    status.set_first_lsn(1);
    status.set_commit_lsn(5);
    status.set_last_lsn(5);
    for (const auto& member : three().members) {
        if (std::string_view(role) == "leader" && raw(member.id) != id) {
            pb::FollowerStatus& follower = *status.add_followers();
            follower.set_id(raw(member.id));
            follower.set_connected(true);
            follower.set_match_lsn(5);
        }
        pb::MemberInfo& info = *status.add_members();
        info.set_id(raw(member.id));
        info.set_name(member.name);
        info.set_client(member.client);
        info.set_voter(true);
    }
    return answer;
}
MemberAnswer silent(uint64_t id, const char* why) {
    MemberAnswer answer;
    answer.endpoint = "127.0.0.1:720" + std::to_string(id);
    answer.failure = why;
    return answer;
}

TEST(View, IsHealthyWhenAllAnswer) {
    ClusterView view =
        view_of({says(1, "follower", 2), says(2, "leader", 2), says(3, "follower", 2)}, three());
    EXPECT_EQ(view.state, State::healthy);
    EXPECT_EQ(closing_sentence(view), "demo is healthy: n2 leads term 2, 3 of 3 members up, 5 records");
}

// Before the first election of all; later the rule means nothing.
TEST(View, SaysHowManyMembersTheFirstElectionWaitsFor) {
    auto fresh = [](uint64_t id, uint64_t last_index) {
        MemberAnswer answer = says(id, "follower", 0);
        answer.answer->mutable_status()->set_min_members(3);
        answer.answer->mutable_status()->set_last_index(last_index);
        return answer;
    };
    auto sentence = [&](uint64_t last_index) {
        return closing_sentence(
            view_of({fresh(1, last_index), fresh(2, last_index), silent(3, "connection refused")}, three()));
    };
    EXPECT_EQ(sentence(0),
              "demo is unavailable: waiting for members (2 of the 3 that the first election needs)");
    EXPECT_EQ(sentence(1), "demo is unavailable: no leader, 2 of 3 members up");
}

TEST(View, NamesWhoIsMissing) {
    ClusterView view =
        view_of({says(1, "leader", 2), silent(2, "connection refused"), says(3, "follower", 2)}, three());
    EXPECT_EQ(view.state, State::degraded);
    EXPECT_EQ(view.members[1].failure, "connection refused");
    EXPECT_EQ(closing_sentence(view), "demo is degraded: n1 leads term 2, 2 of 3 members up, 5 records");
    ASSERT_EQ(view.tried.size(), 1u);
    EXPECT_EQ(view.tried[0].endpoint, "127.0.0.1:7202");
}

// A deposed leader that hasn't heard yet must not be shown as the one that leads.
TEST(View, TakesTheLeaderOfTheNewestTerm) {
    ClusterView view = view_of({says(1, "leader", 3), says(2, "leader", 4), says(3, "follower", 4)}, three());
    ASSERT_NE(view.leader, nullptr);
    EXPECT_EQ(view.leader->name, "n2");
}

TEST(View, WithoutLeaderIsUnavailableAndWithoutAnswersUnknown) {
    ClusterView none = view_of({says(1, "candidate", 9), silent(2, "x"), silent(3, "x")}, three());
    EXPECT_EQ(none.state, State::unavailable);
    EXPECT_EQ(closing_sentence(none), "demo is unavailable: no leader, 1 of 3 members up");
    ClusterView dark = view_of({silent(1, "x"), silent(2, "x"), silent(3, "x")}, three());
    EXPECT_EQ(dark.state, State::unknown);
    EXPECT_EQ(dark.members.size(), 3u);
}

// With --endpoint there is no file: the members come from whoever answers.
TEST(View, LearnsMembersFromAnAnswer) {
    ClusterView view = view_of({says(2, "leader", 1)}, std::nullopt);
    EXPECT_EQ(view.name, "demo");
    EXPECT_EQ(view.members.size(), 3u);
    EXPECT_EQ(view.state, State::degraded);
}

// `wait healthy` before a rolling restart must not be content with a member that the leader can't reach.
TEST(View, IsDegradedWhileAMemberIsCutOffFromTheLeader) {
    MemberAnswer leader = says(1, "leader", 2);
    leader.answer->mutable_status()->mutable_followers(0)->set_connected(false);
    ClusterView view = view_of({leader, says(2, "follower", 2), says(3, "follower", 2)}, three());
    EXPECT_EQ(view.state, State::degraded);
    EXPECT_EQ(view.members[1].failure, "not connected to the leader");
    EXPECT_TRUE(view.members[2].linked);
}

TEST(View, CountsLagByWhatTheLeaderKnows) {
    MemberAnswer leader = says(1, "leader", 2);
    pb::FollowerStatus& follower = *leader.answer->mutable_status()->mutable_followers(1);
    follower.set_match_lsn(2);
    follower.set_match_index(4);
    ClusterView view = view_of({leader, silent(2, "x"), says(3, "follower", 2)}, three());
    EXPECT_EQ(view.members[0].lag_records, 0u);
    EXPECT_FALSE(view.members[1].lag_records);
    EXPECT_EQ(view.members[2].lag_records, 3u);
    EXPECT_EQ(view.members[2].match_index, 4u);
}

}  // namespace
}  // namespace raftd::cli
