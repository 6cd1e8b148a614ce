// The configurations of a log as the daemon follows them, and the body of a membership entry.
#include "daemon/members.h"

#include <gtest/gtest.h>

namespace raftd::daemon {
namespace {

MemberInfo info(uint64_t id, const std::string& host) {
    MemberInfo made;
    made.id = NodeId{id};
    made.name = "n" + std::to_string(id);
    made.peer = host + ":7101";
    made.client = host + ":7201";
    made.incarnation = {id, id * 7};
    return made;
}

MemberInfos infos(std::initializer_list<uint64_t> ids) {
    MemberInfos made;
    for (uint64_t id : ids) made.emplace(NodeId{id}, info(id, "10.0.0." + std::to_string(id)));
    return made;
}

Membership plain(std::initializer_list<uint64_t> ids) {
    Membership made;
    for (uint64_t id : ids) made.now.push_back({NodeId{id}});
    return made;
}

Configuration config(uint64_t index, std::initializer_list<uint64_t> ids) {
    return {Index{index}, plain(ids), infos(ids)};
}

TEST(ConfigurationBody, ComesBackWithAddressesAndIdentities) {
    Membership joint{{{NodeId{1}, false, false, 3}, {NodeId{2}, true, true, 0}}, {{NodeId{5}}}, true};
    auto body = encode_configuration(joint, infos({1, 2, 5}));
    auto back = decode_configuration(Index{9}, body);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->index, Index{9});
    EXPECT_EQ(back->membership, joint);
    ASSERT_EQ(back->infos.size(), 3u);
    const MemberInfo& second = back->infos.at(NodeId{2});
    EXPECT_EQ(second.peer, "10.0.0.2:7101");
    EXPECT_EQ(second.incarnation, (Incarnation{2, 14}));
    EXPECT_TRUE(second.learner);
    EXPECT_EQ(back->infos.at(NodeId{1}).priority, 3);
}

TEST(ConfigurationBody, IsRefusedWhenCutAnywhereOrWhenItLies) {
    auto body = encode_configuration(plain({1, 2}), infos({1, 2}));
    for (size_t length = 0; length < body.size(); ++length)
        EXPECT_FALSE(decode_configuration(Index{1}, ByteView(body).first(length))) << length;
    auto longer = body;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode_configuration(Index{1}, longer));
    uint32_t many = 1'000'000;
    auto lies = body;
    std::memcpy(lies.data() + 8, &many, 4);
    EXPECT_FALSE(decode_configuration(Index{1}, lies));
    EXPECT_FALSE(decode_configuration(Index{1}, encode_configuration(plain({1, 2}), infos({1}))));
    EXPECT_FALSE(decode_configuration(Index{1}, encode_configuration(plain({1}), infos({1, 2}))));
    EXPECT_FALSE(decode_configuration(Index{1}, encode_configuration(plain({}), infos({}))));
}

TEST(Members, TheNewestIsInForceAndATruncationBringsTheOneBeforeBack) {  // B37
    Members members({config(0, {1, 2, 3})});
    members.push(config(10, {1, 2, 3, 4}));
    members.push(config(20, {2, 3, 4}));
    EXPECT_EQ(members.in_force().index, Index{20});
    uint64_t version = members.version();
    members.cut_after(Index{20});
    EXPECT_EQ(members.version(), version);
    members.cut_after(Index{19});
    EXPECT_EQ(members.in_force().index, Index{10});
    EXPECT_EQ(members.in_force().infos.size(), 4u);
    EXPECT_GT(members.version(), version);
    members.cut_after(Index{5});
    EXPECT_EQ(members.in_force().index, Index{0});
    members.cut_after(Index{0});
    EXPECT_EQ(members.in_force().index, Index{0});
}

TEST(Members, OnlyWhatIsCommittedSettles) {
    Members members({config(0, {1})});
    members.push(config(4, {1, 2}));
    members.push(config(8, {2}));
    members.committed(Index{3});
    EXPECT_EQ(members.settled().index, Index{0});
    members.committed(Index{7});
    EXPECT_EQ(members.settled().index, Index{4});
    members.committed(Index{100});
    EXPECT_EQ(members.settled().index, Index{8});
    EXPECT_EQ(members.in_force().index, Index{8});
}

TEST(Members, WhatWasProposedGoesBeforeWhatIsInForceAndIsForgotten) {  // B50
    Members members({config(0, {1, 2})});
    MemberInfos moved = infos({1, 2, 3});
    moved.at(NodeId{2}).peer = "10.9.9.9:7101";
    members.propose(moved);
    Membership target = plain({1, 2, 3});
    target.now[2].learner = true;
    MemberInfos wanted = members.infos_for(target);
    EXPECT_EQ(wanted.at(NodeId{2}).peer, "10.9.9.9:7101");
    EXPECT_TRUE(wanted.at(NodeId{3}).learner);
    members.propose({});
    EXPECT_EQ(members.infos_for(plain({1, 2})).at(NodeId{2}).peer, "10.0.0.2:7101");
}

}  // namespace
}  // namespace raftd::daemon
