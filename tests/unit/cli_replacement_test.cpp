#include "cli/replacement.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

pb::MemberInfo member_with(uint64_t id, const std::string& name, bool voter) {
    pb::MemberInfo info;
    info.set_id(id);
    info.set_name(name);
    info.set_voter(voter);
    return info;
}
pb::MemberList list_of(const Wanted& members) {
    pb::MemberList list;
    uint64_t highest = 0;
    for (const pb::MemberInfo& one : members) {
        *list.add_members() = one;
        highest = std::max(highest, one.id());
    }
    list.set_next_id(highest + 1);
    return list;
}
/// `1n1+ 9n2`: ids, names, + for a voter.
std::string text(const Wanted& members) {
    std::string all;
    for (const pb::MemberInfo& one : members)
        all += (all.empty() ? "" : " ") + std::to_string(one.id()) + one.name() + (one.voter() ? "+" : "");
    return all;
}
conf::MemberSpec in_file(uint64_t id, const std::string& name) {
    conf::MemberSpec spec;
    spec.id = NodeId{id};
    spec.name = name;
    return spec;
}

// One after the other, as member_replace() does.
TEST(Replacement, OfAVoter) {
    const auto before = list_of({member_with(1, "n1", true), member_with(2, "n2", true)});
    EXPECT_TRUE(voter_before(before, "n2", 3));
    const auto grown = with_learner(before, member_with(3, "n2", false));
    EXPECT_EQ(text(grown), "1n1+ 2n2+ 3n2");
    EXPECT_EQ(text(with_learner(list_of(grown), member_with(3, "n2", false))), "1n1+ 2n2+ 3n2");
    EXPECT_EQ(text(in_its_place(list_of(grown), "n2", 3, true)), "1n1+ 3n2+");
}

// Two learners of one name were refused, whatever was tried: a lost learner couldn't be replaced.
TEST(Replacement, OfALearner) {
    const auto before = list_of({member_with(1, "n1", true), member_with(2, "n2", false)});
    EXPECT_FALSE(voter_before(before, "n2", 3));
    const auto grown = with_learner(before, member_with(3, "n2", false));
    EXPECT_EQ(text(grown), "1n1+ 3n2");
    EXPECT_EQ(text(in_its_place(list_of(grown), "n2", 3, false)), "1n1+ 3n2");
}

// A call that ended when the new one was a learner: the next one made another, and was refused for ever.
TEST(Replacement, GoesOnWithWhatAnEarlierCallMade) {
    const auto half =
        list_of({member_with(1, "n1", true), member_with(2, "n2", true), member_with(3, "n2", false)});
    EXPECT_TRUE(made_before(half, in_file(3, "n2")));
    EXPECT_TRUE(made_before(half, in_file(4, "n2"))) << "not in the cluster yet";
    EXPECT_FALSE(made_before(half, in_file(2, "n2")));
    EXPECT_TRUE(voter_before(half, "n2", 3));
    EXPECT_EQ(text(with_learner(half, member_with(3, "n2", false))), "1n1+ 2n2+ 3n2");
    EXPECT_EQ(text(in_its_place(half, "n2", 3, true)), "1n1+ 3n2+");
    // What it made is lost as well.
    EXPECT_EQ(text(with_learner(half, member_with(4, "n2", false))), "1n1+ 2n2+ 4n2");
    const auto learner = list_of({member_with(1, "n1", true), member_with(2, "n2", false)});
    EXPECT_FALSE(made_before(learner, in_file(2, "n2"))) << "that is who is to be replaced";
}

}  // namespace
}  // namespace raftd::cli
