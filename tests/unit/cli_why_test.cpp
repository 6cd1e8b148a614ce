// Each situation is told by its cause, the member it is about, and a step that helps.
#include "cli/why.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

using Words = std::map<std::string, LastWords>;

conf::ClusterSpec three_members() {
    conf::ClusterSpec spec;
    spec.name = "demo";
    for (uint64_t id = 1; id <= 3; ++id)
        spec.members.push_back({NodeId{id}, "n" + std::to_string(id), "127.0.0.1:710" + std::to_string(id),
                                "127.0.0.1:720" + std::to_string(id), "", false, 0, ""});
    return spec;
}

MemberAnswer silent_member(uint64_t id, const char* why = "connection refused") {
    MemberAnswer answer;
    answer.endpoint = "127.0.0.1:720" + std::to_string(id);
    answer.failure = why;
    return answer;
}

MemberAnswer why_says(uint64_t id, const char* role, const std::vector<std::string>& alarms = {}) {
    MemberAnswer answer;
    answer.endpoint = "127.0.0.1:720" + std::to_string(id);
    pb::Status& status = *answer.answer.emplace().mutable_status();
    status.set_cluster_name("demo");
    status.set_node_id(id);
    status.set_name("n" + std::to_string(id));
    status.set_role(role);
    status.set_term(2);
    status.set_first_lsn(1);
    status.set_commit_lsn(5);
    status.set_last_lsn(7);
    status.set_last_index(9);
    for (const std::string& alarm : alarms) status.add_alarms(alarm);
    for (uint64_t other = 1; other <= 3; ++other) {
        pb::MemberInfo& info = *status.add_members();
        info.set_id(other);
        info.set_name("n" + std::to_string(other));
        info.set_client("127.0.0.1:720" + std::to_string(other));
        info.set_voter(true);
        status.add_voters(other);
        if (std::string_view(role) != "leader" || other == id) continue;
        pb::FollowerStatus& follower = *status.add_followers();
        follower.set_id(other);
        follower.set_connected(true);
        follower.set_match_index(9);
        follower.set_match_lsn(7);
    }
    return answer;
}

pb::FollowerStatus& follower(MemberAnswer& leader, int place) {
    return *leader.answer->mutable_status()->mutable_followers(place);
}

std::vector<Finding> found(const std::vector<MemberAnswer>& answers, const Words& words = {},
                           uint64_t lsn = 0) {
    return diagnose(view_of(answers, three_members()), words, lsn);
}

/// "cause member blocks" of each finding, all with a hint.
std::string told(const std::vector<Finding>& findings) {
    std::string text;
    for (const Finding& one : findings) {
        text += (text.empty() ? "" : ", ") + one.cause + (one.member.empty() ? "" : " " + one.member) +
                (one.blocks ? "!" : "");
        EXPECT_FALSE(one.hint.empty()) << one.cause;
    }
    return text;
}

TEST(Why, AWholeClusterHasNoReason) {
    EXPECT_EQ(told(found({why_says(1, "leader"), why_says(2, "follower"), why_says(3, "follower")})), "");
}

TEST(Why, NobodyAnswers) {
    Words words = {{"n1", {true, false, ""}}, {"n2", {true, false, ""}}, {"n3", {true, false, ""}}};
    auto findings = found({silent_member(1), silent_member(2), silent_member(3)}, words);
    EXPECT_EQ(findings.front().cause, "nobody_answers");
    EXPECT_EQ(findings.front().hint, "raftctl start");
    EXPECT_TRUE(findings.front().blocks);
}

TEST(Why, TooFewVotersAnswer) {
    Words words = {{"n1", {true, true, ""}}, {"n2", {true, false, ""}}, {"n3", {true, false, ""}}};
    auto findings = found({why_says(1, "candidate"), silent_member(2), silent_member(3)}, words);
    EXPECT_EQ(told(findings), "no_quorum!, member_down n2, member_down n3");
    EXPECT_EQ(findings.front().what, "only 1 of 3 voters answer, 2 are needed");
    EXPECT_EQ(findings.front().hint, "raftctl start n2 n3");
}

TEST(Why, AnElectionIsUnderWay) {
    EXPECT_EQ(told(found({why_says(1, "candidate"), why_says(2, "follower"), why_says(3, "follower")})),
              "no_leader!");
}

TEST(Why, AMemberIsDown) {
    Words words = {{"n3", {true, false, ""}}};
    EXPECT_EQ(told(found({why_says(1, "leader"), why_says(2, "follower"), silent_member(3)}, words)),
              "member_down n3");
}

TEST(Why, AMemberOfAnotherMachineDoesNotAnswer) {
    auto findings = found({why_says(1, "leader"), why_says(2, "follower"), silent_member(3, "no route")});
    EXPECT_EQ(told(findings), "member_down n3");
    EXPECT_EQ(findings.front().hint, "raftctl start n3 on its machine");
}

TEST(Why, AMemberIsPaused) {
    Words words = {{"n3", {true, true, ""}}};
    EXPECT_EQ(
        told(found({why_says(1, "leader"), why_says(2, "follower"), silent_member(3, "no answer within 2 s")},
                   words)),
        "member_silent n3");
}

TEST(Why, AMemberEndedByItself) {
    Words words = {{"n3", {true, false, "fatal why=\"the disk failed to sync\" exit=20"}}};
    auto findings = found({why_says(1, "leader"), why_says(2, "follower"), silent_member(3)}, words);
    EXPECT_EQ(told(findings), "member_ended n3");
    EXPECT_NE(findings.front().what.find("exit=20"), std::string::npos);
}

TEST(Why, AFollowerIsCutOff) {
    MemberAnswer leader = why_says(1, "leader");
    follower(leader, 1).set_connected(false);
    EXPECT_EQ(told(found({leader, why_says(2, "follower"), why_says(3, "follower")})), "not_connected n3");
}

// It was said to be a matter of the network.
TEST(Why, AMemberWhoseAdditionWasCutShort) {
    MemberAnswer leader = why_says(1, "leader");
    leader.answer->mutable_status()->mutable_members()->RemoveLast();
    leader.answer->mutable_status()->mutable_followers()->RemoveLast();
    leader.answer->mutable_status()->mutable_voters()->RemoveLast();
    MemberAnswer waits = why_says(3, "follower");
    waits.answer->mutable_status()->clear_members();
    EXPECT_EQ(told(found({leader, why_says(2, "follower"), waits})), "not_a_member n3");
}

// Which way is cut is seen at the member: whether it still hears the leader.
TEST(Why, OneWayOfALinkIsCut) {
    MemberAnswer leader = why_says(1, "leader"), three = why_says(3, "follower");
    leader.answer->mutable_status()->set_election_timeout_ms(1000);
    follower(leader, 1).set_heard_ago_ms(1500);
    auto findings = found({leader, why_says(2, "follower"), three});
    EXPECT_EQ(told(findings), "link_cut n3");
    EXPECT_EQ(findings.front().what, "nothing gets from the leader n1 to n3, though they are connected");
    three.answer->mutable_status()->set_leader(1);
    findings = found({leader, why_says(2, "follower"), three});
    EXPECT_EQ(findings.front().what, "nothing gets from n3 to the leader n1, though they are connected");
}

TEST(Why, AMemberIsRefusedAndSaysWhy) {
    MemberAnswer leader = why_says(1, "leader");
    follower(leader, 1).set_connected(false);
    follower(leader, 1).set_link_failure("refused: its directory is a copy");
    auto findings = found({leader, why_says(2, "follower"), why_says(3, "follower")});
    EXPECT_NE(findings.front().what.find("its directory is a copy"), std::string::npos)
        << findings.front().what;
}

TEST(Why, AnotherClusterAnswersAtAnAddress) {
    MemberAnswer stranger = silent_member(3, "belongs to cluster 7");
    stranger.other_cluster = true;
    auto findings = found({why_says(1, "leader"), why_says(2, "follower"), stranger});
    EXPECT_EQ(told(findings), "other_cluster n3");
}

TEST(Why, LeadershipIsHandedOver) {
    MemberAnswer leader = why_says(1, "leader");
    leader.answer->mutable_status()->set_transfer_to(2);
    leader.answer->mutable_status()->set_election_timeout_ms(1000);
    EXPECT_EQ(told(found({leader, why_says(2, "follower"), why_says(3, "follower")})), "transfer n2!");
}

TEST(Why, FaultsOnPurposeAndAlarmsWithDetails) {
    auto findings = found({why_says(1, "leader", {"clock_skew member=n2 difference=+9s"}),
                           why_says(2, "follower"), why_says(3, "follower", {"fault disconnect to all"})});
    EXPECT_EQ(told(findings), "clock_skew n1, fault n3");
    EXPECT_NE(findings[0].what.find("member=n2"), std::string::npos) << findings[0].what;
    EXPECT_EQ(findings[1].hint, "raftctl fault clear n3");
}

TEST(Why, NobodyLeadsAJointConfigurationWhoseNewHalfIsDown) {
    MemberAnswer one = why_says(1, "follower");
    one.answer->mutable_status()->set_config_joint(true);
    for (uint64_t id : {1, 4, 5}) one.answer->mutable_status()->add_next_voters(id);
    EXPECT_EQ(told(found({one, why_says(2, "follower"), why_says(3, "follower")})), "joint_half!");
    one.answer->mutable_status()->clear_next_voters();
    for (uint64_t id : {1, 2}) one.answer->mutable_status()->add_next_voters(id);
    EXPECT_EQ(told(found({one, why_says(2, "follower"), why_says(3, "follower")})), "no_leader!")
        << "both halves are up";
}

TEST(Why, ARecordThatWaitsWhileNobodyLeads) {
    auto findings = found({why_says(1, "follower"), silent_member(2), silent_member(3)}, {}, 7);
    auto waits = std::find_if(findings.begin(), findings.end(),
                              [](const Finding& one) { return one.cause == "lsn_waits"; });
    ASSERT_NE(waits, findings.end());
    EXPECT_NE(waits->what.find("nobody leads"), std::string::npos) << waits->what;
}

TEST(Why, ARecordThatWasTrimmed) {
    MemberAnswer leader = why_says(1, "leader");
    leader.answer->mutable_status()->set_first_lsn(4);
    EXPECT_EQ(told(found({leader, why_says(2, "follower"), why_says(3, "follower")}, {}, 3)), "lsn_trimmed");
}

TEST(Why, TheLeadersDiskIsFull) {
    EXPECT_EQ(told(found({why_says(1, "leader", {"disk_full"}), why_says(2, "follower"),
                          why_says(3, "follower", {"disk_stalled"})})),
              "disk_full n1!, disk_stalled n3");
}

TEST(Why, TellsHowLongAWriteWaitsAndHowMuchIsFree) {
    MemberAnswer full = why_says(1, "leader", {"disk_full"}),
                 hung = why_says(2, "follower", {"disk_stalled"});
    full.answer->mutable_status()->set_disk_free_bytes(3 << 20);
    hung.answer->mutable_status()->set_unsynced_ms(12'300);
    auto findings = found({full, hung, why_says(3, "follower")});
    ASSERT_EQ(findings.size(), 2u);
    EXPECT_EQ(findings[0].what, "n1 has too little disk space left (3 MiB)");
    EXPECT_EQ(findings[1].what,
              "n2 has a disk that doesn't finish writing (a write waits for its sync for 12.3 s)");
}

TEST(Why, AnUnknownAlarmIsShownAsItIs) {
    EXPECT_EQ(
        told(found({why_says(1, "leader", {"too_hot"}), why_says(2, "follower"), why_says(3, "follower")})),
        "too_hot n1");
}

TEST(Why, TheNewHalfOfAChangeHasNoMajority) {
    MemberAnswer leader = why_says(1, "leader");
    leader.answer->mutable_status()->set_config_joint(true);
    for (uint64_t id : {3, 4, 5}) leader.answer->mutable_status()->add_next_voters(id);
    auto findings = found({leader, why_says(2, "follower"), why_says(3, "follower")});
    EXPECT_EQ(told(findings), "joint_half!");
    EXPECT_NE(findings.front().what.find("new half; missing: member 4, member 5"), std::string::npos);
}

TEST(Why, AFollowerIsFarBehind) {
    MemberAnswer leader = why_says(1, "leader");
    leader.answer->mutable_status()->set_last_index(50'000);
    follower(leader, 0).set_match_index(50'000);
    EXPECT_EQ(told(found({leader, why_says(2, "follower"), why_says(3, "follower")})), "follower_behind n3");
}

TEST(Why, OneRecord) {
    MemberAnswer leader = why_says(1, "leader");
    follower(leader, 1).set_match_lsn(5);
    std::vector<MemberAnswer> all = {leader, why_says(2, "follower"), why_says(3, "follower")};
    EXPECT_EQ(told(found(all, {}, 5)), "lsn_committed");
    EXPECT_EQ(told(found(all, {}, 8)), "lsn_beyond_end");
    auto findings = found(all, {}, 6);
    EXPECT_EQ(told(findings), "lsn_waits!");
    EXPECT_NE(findings.front().what.find("missing on n3"), std::string::npos);
}

}  // namespace
}  // namespace raftd::cli
