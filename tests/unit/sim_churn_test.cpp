// The members of a simulated cluster are changed: that an operator does it as raftctl does, and that Truth
// sees each thing that must not happen.
#include <gtest/gtest.h>

#include "sim/operator.h"

namespace raftd::sim {
namespace {

Member voter(uint64_t id) { return {NodeId{id}, false, false, 0}; }
Member learner(uint64_t id) { return {NodeId{id}, true, false, 0}; }

/// A log of three voters, whose leader n1 appends configurations.
struct Configs {
    Reached reached;
    ConfigTruth truth;
    ConfigTruth::Maker maker{1, Term{1}, 100, true, [this](NodeId) { return lag; }, 10};
    uint64_t lag = 0, index = 0;

    static daemon::MemberInfos infos_of(const Membership& membership) {
        daemon::MemberInfos infos;
        for (const auto* half : {&membership.now, &membership.next})
            for (const Member& member : *half) {
                daemon::MemberInfo info;
                info.id = member.id;
                info.incarnation = {raw(member.id), 7};
                infos.emplace(member.id, info);
            }
        return infos;
    }
    static daemon::Configuration genesis() {
        Membership three{{voter(1), voter(2), voter(3)}, {}, false};
        return {Index{0}, three, infos_of(three)};
    }
    Configs() : truth(genesis(), 0, reached) {
        for (int i = 0; i < 3; ++i) truth.add_member();
    }
    /// What is wrong with it, or nothing.
    std::string push(const Membership& membership, daemon::MemberInfos infos = {}) {
        if (infos.empty()) infos = infos_of(membership);
        ++index;
        return truth.push(1, index, index * 1000, membership, &infos, maker).value_or("");
    }
    bool refuses(const Membership& membership, const char* why) {
        return push(membership).find(why) != std::string::npos;
    }
};

const std::vector<Member> kThree{voter(1), voter(2), voter(3)};

TEST(ConfigTruth, AJointChangeInItsOrder) {
    Configs configs;
    const std::vector<Member> with_four{voter(1), voter(2), voter(3), learner(4)};
    const std::vector<Member> four{voter(1), voter(2), voter(3), voter(4)};
    EXPECT_EQ(configs.push({with_four, {}, false}), "");
    EXPECT_EQ(configs.push({with_four, four, true}), "");
    EXPECT_EQ(configs.push({four, {}, false}), "");
    configs.truth.committed(1, 3);
    EXPECT_EQ(configs.truth.at(configs.truth.settled()).index, 3u);
    EXPECT_EQ(configs.truth.settled_at(2).index, 2u);
}

TEST(ConfigTruth, WhatMustNotHappenIsSeen) {
    const std::vector<Member> two{voter(1), voter(2)};
    const std::vector<Member> with_four{voter(1), voter(2), voter(3), learner(4)};
    const std::vector<Member> four{voter(1), voter(2), voter(3), voter(4)};
    EXPECT_TRUE(Configs().refuses({two, {}, false}, "without a joint step"));
    EXPECT_TRUE(Configs().refuses({{learner(1)}, {}, false}, "nobody votes"));
    EXPECT_TRUE(Configs().refuses({kThree, {learner(1)}, true}, "nobody votes"));
    EXPECT_TRUE(Configs().refuses({two, kThree, true}, "the old half isn't"));
    EXPECT_TRUE(Configs().refuses({{voter(2), voter(1), voter(3)}, {}, false}, "not in order"));
    {
        Configs configs;
        ASSERT_EQ(configs.push({kThree, two, true}), "");
        EXPECT_TRUE(configs.refuses({kThree, {}, false}, "new half alone"));
    }
    {
        Configs configs;
        configs.maker.commit = 0;
        ASSERT_EQ(configs.push({kThree, two, true}), "");
        EXPECT_TRUE(configs.refuses({two, {}, false}, "isn't committed"));
    }
    {
        Configs configs;
        configs.maker.own_term = false;
        EXPECT_TRUE(configs.refuses({kThree, two, true}, "nothing of its term"));
    }
    {
        Configs configs;
        ASSERT_EQ(configs.push({with_four, {}, false}), "");
        configs.lag = 11;
        EXPECT_TRUE(configs.refuses({with_four, four, true}, "lacks 11 entries"));
    }
    {
        Configs configs;
        ASSERT_EQ(configs.push({with_four, {}, false}), "");
        ASSERT_EQ(configs.push({kThree, {}, false}), "");
        EXPECT_TRUE(configs.refuses({with_four, {}, false}, "an id that was used"));
    }
    {
        Configs configs;
        daemon::MemberInfos infos = Configs::infos_of({kThree, {}, false});
        infos.at(NodeId{1}).name = infos.at(NodeId{3}).name = "n1";
        EXPECT_NE(configs.push({kThree, {}, false}, infos).find("two voters are n1"), std::string::npos);
    }
    {
        Configs configs;
        daemon::MemberInfos infos = Configs::infos_of({kThree, {}, false});
        infos.at(NodeId{2}).incarnation.low = 8;
        EXPECT_NE(configs.push({kThree, {}, false}, infos).find("another incarnation"), std::string::npos);
    }
}

TEST(ConfigTruth, MajoritiesAreOfVotersAndOfBothHalves) {
    auto from = [](std::set<uint64_t> ids) {
        return [ids = std::move(ids)](NodeId id) { return ids.contains(raw(id)); };
    };
    const Membership three{{voter(1), voter(2), voter(3), learner(4), learner(5)}, {}, false};
    EXPECT_TRUE(ConfigTruth::majority(three, from({1, 3})));
    EXPECT_FALSE(ConfigTruth::majority(three, from({1, 4, 5})));
    const Membership joint{{voter(1), voter(2), voter(3)}, {voter(4), voter(5), voter(6)}, true};
    EXPECT_FALSE(ConfigTruth::majority(joint, from({1, 2, 3, 4})));
    EXPECT_FALSE(ConfigTruth::majority(joint, from({1, 4, 5, 6})));
    EXPECT_TRUE(ConfigTruth::majority(joint, from({1, 2, 4, 6})));
}

TEST(ChangeTotals, AddUpOverRuns) {
    ChangeTotals totals, more;
    totals.note(ChangeKind::remove, ChangeTotals::End::completed);
    totals.note(ChangeKind::transfer, ChangeTotals::End::completed);
    totals.note(ChangeKind::remove_leader, ChangeTotals::End::refused);
    more.parse(totals.text());
    more.parse(totals.text());
    EXPECT_EQ(more.completed(), 2u);  // a transfer changes no members
    totals.add(totals);
    EXPECT_EQ(more.text(), totals.text());
}

struct OperatorTest : testing::Test {
    Kernel kernel{21};
    SimNetwork network{kernel, 22};
    Trace trace;
    Reached reached;
    Cluster cluster{kernel, network, trace, reached, {}};
    Operator it{kernel, network, cluster, trace, reached, 190};

    void SetUp() override {
        for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.start(i);
        until([&] { return cluster.truth().leader() != 0 && cluster.truth().committed() > 0; });
    }
    template <class Done>
    void until(Done&& done) {
        Instant end = kernel.now() + seconds(60);
        while (!done() && kernel.now() < end) kernel.run_until(kernel.now() + milliseconds(5));
        ASSERT_TRUE(done());
    }
    ChangeTotals::End run(ChangeKind kind) {
        it.begin({.kind = kind});
        until([&] { return !it.busy(); });
        return it.ended();
    }
    const Membership& members() {
        const ConfigTruth& configs = cluster.truth().configs;
        return configs.at(configs.settled()).what.membership;
    }
};

using End = ChangeTotals::End;

TEST_F(OperatorTest, EachKindIsCarriedOut) {
    EXPECT_EQ(run(ChangeKind::add_voter), End::completed);
    EXPECT_EQ(members().now.size(), 4u);
    EXPECT_TRUE(ConfigTruth::votes(members(), NodeId{4}));
    EXPECT_EQ(run(ChangeKind::replace), End::completed);
    EXPECT_TRUE(ConfigTruth::votes(members(), NodeId{5}));
    EXPECT_EQ(members().now.size(), 4u);
    EXPECT_EQ(run(ChangeKind::replace_all), End::completed);
    for (uint64_t id = 1; id <= 5; ++id) EXPECT_FALSE(ConfigTruth::names(members(), NodeId{id}));
    EXPECT_EQ(run(ChangeKind::add_learner), End::completed);
    EXPECT_EQ(run(ChangeKind::promote), End::completed);
    EXPECT_EQ(run(ChangeKind::remove_leader), End::completed);
    EXPECT_EQ(run(ChangeKind::address), End::completed);
    EXPECT_EQ(run(ChangeKind::add_voter), End::completed);  // they find each other at the new address
    EXPECT_EQ(it.totals.completed(), 8u);
}

TEST_F(OperatorTest, WhatCantBeIsRefusedAndChangesNothing) {
    const auto before = cluster.truth().configs.settled();
    EXPECT_EQ(run(ChangeKind::dead_address), End::refused);
    EXPECT_EQ(run(ChangeKind::wrong_address), End::refused);
    cluster.kill(1 + cluster.truth().leader() % 3);
    kernel.run_until(kernel.now() + seconds(2));
    EXPECT_EQ(run(ChangeKind::shrink_to_dead), End::refused);
    EXPECT_EQ(cluster.truth().configs.settled(), before);
    EXPECT_EQ(reached[Reach::dead_address_refused], 1u);
    EXPECT_EQ(reached[Reach::wrong_address_refused], 1u);
    EXPECT_GT(reached[Reach::change_would_lose_quorum], 0u);
}

// One that is to take a voter's place has its name: promoted by itself, it made two voters of one name, and
// no change that left both was possible any more.
TEST_F(OperatorTest, ALearnerWithAVotersNameIsNotPromotedByItself) {
    auto with_second = [&](bool promote) -> MakeWanted {
        return [this, promote](const pb::MemberList& list) -> std::optional<Wanted> {
            Wanted wanted = client::members_of(list);
            if (wanted.size() == 3) {
                auto second = it.fresh(list, 0, "n1");
                EXPECT_EQ(second->name(), "n1");
                wanted.push_back(*second);
            }
            wanted.back().set_promote(promote && !wanted.back().voter());
            return wanted;
        };
    };
    it.begin({.wanted = with_second(false)});
    until([&] { return !it.busy(); });
    ASSERT_EQ(it.ended(), End::completed);
    it.begin({.wanted = with_second(true)});
    until([&] { return !it.busy(); });
    EXPECT_EQ(it.ended(), End::refused);
    EXPECT_FALSE(ConfigTruth::votes(members(), NodeId{4}));
}

// The intent stands in the log: whoever leads next promotes the learner and ends what was begun.
TEST_F(OperatorTest, AChangeGoesOnUnderAnotherLeader) {
    const uint32_t first = cluster.truth().leader();
    it.begin({.kind = ChangeKind::add_voter});
    until([&] { return cluster.truth().configs.in_force(first) != 0; });
    cluster.kill(first);
    until([&] { return !it.busy(); });
    EXPECT_EQ(it.ended(), End::completed);
    EXPECT_TRUE(ConfigTruth::votes(members(), NodeId{4}));
    EXPECT_EQ(reached[Reach::change_resumed], 1u);
}

}  // namespace
}  // namespace raftd::sim
