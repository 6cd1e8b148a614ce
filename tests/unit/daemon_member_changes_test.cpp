// Changes of members, asked of a real leader: who is new is asked for its identity first.
#include "tests/support/sim_fixture.h"
#include "tests/support/stage.h"
#include "tests/support/talker.h"

namespace raftd::sim {
namespace {

struct MemberChangesTest : SimFixture, testing::Test {
    MemberChangesTest() : SimFixture(41) {}
    Talker asker{kernel, network, 150};

    void SetUp() override {
        start_all();
        asker.be_client_of(Cluster::name_of(leader()));
    }
    const pb::Answer& answer(uint32_t stream) {
        until([&] { return asker.heard.answers.contains(stream); });
        return asker.heard.answers[stream];
    }
    pb::MemberList list() {
        pb::Request request;
        request.mutable_list_members();
        return answer(asker.ask(request)).member_list();
    }
    struct New {
        uint64_t id;
        std::string name, peer;
    };
    /// The members as they are, and these as learners.
    uint32_t add(const std::vector<New>& added) {
        pb::MemberList now = list();
        pb::Request request;
        pb::ChangeMembers& change = *request.mutable_change_members();
        change.set_expected_config_index(now.config_index());
        *change.mutable_target() = now.members();
        for (const New& one : added) {
            pb::MemberInfo& info = *change.add_target();
            info.set_id(one.id);
            info.set_name(one.name);
            info.set_peer(one.peer);
            info.set_client(one.name + ":7002");
        }
        return asker.ask(request);
    }
};

/// Somebody who listens at an address of peers, and answers when it is told to.
struct Newcomer {
    Talker talker;
    Newcomer(Kernel& kernel, SimNetwork& network, uint32_t host, const std::string& address)
        : talker(kernel, network, host) {
        talker.listen(io::ConnClass::peer_control, address);
    }
    bool asked() const { return !talker.got.empty(); }
    void greet(uint64_t id, uint64_t incarnation) {
        auto hello = message_of<pb::Hello>(talker.got.front().bytes.view());
        EXPECT_TRUE(hello.probe());
        pb::HelloOk ok;
        ok.set_version(1);
        *ok.mutable_cluster_id() = hello.cluster_id();
        ok.set_node_id(id);
        ok.mutable_incarnation()->set_high(incarnation);
        ok.mutable_incarnation()->set_low(incarnation);
        ok.set_boot(1);
        talker.send(talker.got.front().conn, message_frame(proto::FrameType::hello_ok, 0, ok));
    }
};

// A change that was refused leaves probes under way. What they find once reached the next change, when that
// wanted the same id at another address: it took the wrong directory for its new member (P6).
TEST_F(MemberChangesTest, AnEarlierProbeSaysNothingToALaterChange) {
    Newcomer first(kernel, network, 151, "first:7001"), second(kernel, network, 152, "second:7001");
    uint32_t refused = add({{4, "n4", "first:7001"}, {5, "n5", "nobody:7001"}});
    until([&] { return first.asked(); });
    ASSERT_TRUE(answer(refused).has_error());
    EXPECT_NE(answer(refused).error().what().find("n5 at nobody:7001"), std::string::npos)
        << answer(refused).error().what();

    uint32_t wanted = add({{4, "n4", "second:7001"}});
    until([&] { return second.asked(); });
    first.greet(4, 111);
    run_for(milliseconds(100));
    EXPECT_FALSE(asker.heard.answers.contains(wanted)) << "only the first directory was heard";
    second.greet(4, 222);
    const pb::Answer& begun = answer(wanted);
    ASSERT_TRUE(begun.has_member_list()) << begun.error().what();
    pb::MemberList now = list();
    ASSERT_EQ(now.members_size(), 4);
    EXPECT_EQ(now.members(3).peer(), "second:7001");
    EXPECT_EQ(now.members(3).incarnation().high(), 222u);
}

// The link to a voter was lost and came back this moment: nothing of it is known, and yet it is there. A
// change that needs it waits for its answer, at most an election time-out, before it is refused.
TEST_F(MemberChangesTest, AVoterWhoseLinkJustCameBackIsWaitedFor) {
    const uint32_t leads = leader();
    std::vector<uint32_t> others;
    for (uint32_t i = 1; i <= 3; ++i)
        if (i != leads) others.push_back(i);
    auto without_leader = [&] {
        pb::MemberList now = list();
        pb::Request request;
        pb::ChangeMembers& change = *request.mutable_change_members();
        change.set_expected_config_index(now.config_index());
        for (const pb::MemberInfo& info : now.members())
            if (info.id() != leads) *change.add_target() = info;
        return asker.ask(request);
    };
    network.cut(leads, others[0], true);
    network.cut(others[0], leads, true);
    run_for(milliseconds(1500));
    ASSERT_EQ(leader(), leads);
    uint32_t refused = without_leader();
    ASSERT_TRUE(answer(refused).has_error()) << "one of the two that stay is cut off";
    EXPECT_NE(answer(refused).error().what().find("majority"), std::string::npos);

    uint32_t wanted = without_leader();
    run_for(milliseconds(100));
    network.cut(leads, others[0], false);
    network.cut(others[0], leads, false);
    EXPECT_TRUE(answer(wanted).has_member_list()) << answer(wanted).error().what();
}

// Ids never return (B79). Once compaction has dropped the entry of a configuration, only the replicated state
// knows who was in it.
TEST(MemberIds, OneThatOnlyTheStateRemembersIsNotGivenAgain) {
    Stage stage;
    auto before = daemon::genesis_configuration(stage.manifest);
    before.membership.now.push_back({NodeId{9}, true, false, 0});
    before.infos[NodeId{9}] = {NodeId{9}, "n9", "n9:7001", "n9:7002", {}, true, 0};
    daemon::State state(stage.options.state_limits, snapshot::genesis_point(stage.manifest),
                        stage.manifest.feature_level, before);
    snapshot::StoreBatch batch;
    state.all_dirty();
    state.take_dirty(batch);
    batch.mark = {stage.manifest.cluster_id, stage.manifest.members[0].incarnation, state.point()};
    ASSERT_TRUE((*SimStoreMaker(stage.store).open())->write(batch).has_value());

    stage.start();
    ASSERT_TRUE(stage.lead());
    EXPECT_EQ(stage.node().state().used_ids().size(), 4u);
    pb::Request list;
    list.mutable_list_members();
    EXPECT_EQ(stage.asked(list).member_list().next_id(), 10u);
    pb::Answer refused = stage.asked(stage.members_wanted({1, 2, 3}, {9}));
    ASSERT_TRUE(refused.has_error());
    EXPECT_NE(refused.error().what().find("former member"), std::string::npos) << refused.error().what();
    EXPECT_TRUE(stage.asked(stage.members_wanted({1, 2, 3}, {10})).has_member_list());
}

}  // namespace
}  // namespace raftd::sim
