// A change of members that meets a cluster which loses answers and changes under its hands.
#include "cli/membership.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

/// A leader in memory. Carries out what it is asked, and may then lose the answer: who asks again, as
/// ask_leader() does, hears that the members changed meanwhile.
struct FakeCluster {
    pb::MemberList list;
    int changes_asked = 0, changes_done = 0;
    bool lose_next_answer = false;
    bool refuse_all = false;
    std::function<void()> before_change = [] {};

    FakeCluster() {
        list.set_config_index(4);
        list.set_settled(true);
        for (uint64_t id = 1; id <= 3; ++id) {
            pb::MemberInfo& member = *list.add_members();
            member.set_id(id);
            member.set_name("n" + std::to_string(id));
            member.set_voter(true);
        }
    }

    pb::Answer conflict() const {
        pb::Answer answer;
        answer.mutable_error()->set_code(static_cast<uint32_t>(Errc::conflict));
        answer.mutable_error()->set_what("configuration " + std::to_string(list.config_index()) +
                                         " is in force");
        return answer;
    }

    pb::Answer change(const pb::ChangeMembers& wanted) {
        ++changes_asked;
        before_change();
        if (refuse_all || wanted.expected_config_index() != list.config_index()) return conflict();
        ++changes_done;
        list.set_config_index(list.config_index() + 2);
        *list.mutable_members() = wanted.target();
        if (lose_next_answer) {
            lose_next_answer = false;
            return change(wanted);
        }
        pb::Answer answer;
        *answer.mutable_member_list() = list;
        return answer;
    }

    ClusterAccess access() {
        return {[this](const pb::Request& request) -> Result<pb::Answer> {
                    if (request.has_change_members()) return change(request.change_members());
                    pb::Answer answer;
                    *answer.mutable_member_list() = list;
                    return answer;
                },
                [] { return ClusterView(); }};
    }
};

Result<Wanted> without_n3(const pb::MemberList& list) {
    Wanted target;
    for (const pb::MemberInfo& member : list.members())
        if (member.name() != "n3") target.push_back(member);
    return target;
}

TEST(ChangeMembers, GoesOnWhenItsAnswerWasLost) {
    FakeCluster cluster;
    cluster.lose_next_answer = true;
    auto list = change_members(Context{}, cluster.access(), without_n3);
    ASSERT_TRUE(list) << list.error().what;
    EXPECT_EQ(list->members_size(), 2);
    EXPECT_EQ(cluster.changes_done, 1);
    EXPECT_EQ(cluster.changes_asked, 2);
}

TEST(ChangeMembers, StartsFromTheListThatSomebodyElseMade) {
    FakeCluster cluster;
    cluster.before_change = [&] {
        if (cluster.changes_asked > 1) return;
        cluster.list.set_config_index(6);
        cluster.list.mutable_members(0)->set_priority(5);
    };
    auto list = change_members(Context{}, cluster.access(), without_n3);
    ASSERT_TRUE(list) << list.error().what;
    EXPECT_EQ(list->members_size(), 2);
    EXPECT_EQ(list->members(0).priority(), 5u);
}

TEST(ChangeMembers, AConflictThatIsNotAboutTheListIsTheAnswer) {
    FakeCluster cluster;
    cluster.refuse_all = true;
    auto list = change_members(Context{}, cluster.access(), without_n3);
    ASSERT_FALSE(list);
    EXPECT_EQ(list.error().code, Errc::conflict);
    EXPECT_EQ(list.error().what, "configuration 4 is in force");
    EXPECT_EQ(cluster.changes_asked, 1);
}

TEST(ChangeMembers, NothingIsAskedWhenAllIsAsWanted) {
    FakeCluster cluster;
    cluster.list.mutable_members()->RemoveLast();
    auto list = change_members(Context{}, cluster.access(), without_n3);
    ASSERT_TRUE(list);
    EXPECT_EQ(cluster.changes_asked, 0);
}

}  // namespace
}  // namespace raftd::cli
