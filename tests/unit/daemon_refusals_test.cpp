// H12 in a whole cluster: a leader that is cut off refuses by a log that is no longer the cluster's. It must
// not say so.
#include "tests/support/sim_fixture.h"
#include "tests/support/talker.h"

namespace raftd::sim {
namespace {

using proto::AppendCode;

struct RefusalsTest : SimFixture, testing::Test {
    RefusalsTest() : SimFixture(51) {}
    Talker asker{kernel, network, 150};
    uint32_t old_leader = 0;
    uint64_t producer = 0;

    void SetUp() override {
        start_all();
        ClientLoad load;
        load.appends_per_second = 100;
        load.reads_per_second = 0;
        start_writer(load);
        until([&] { return writer->acked() > 20; });
        old_leader = leader();
        asker.be_client_of(Cluster::name_of(old_leader));
        pb::Answer opened = asked(open());
        ASSERT_TRUE(opened.has_producer());
        producer = opened.producer().id();
    }
    static pb::Request open() {
        pb::Request request;
        request.mutable_open_producer()->set_name("p");
        return request;
    }
    const pb::Answer& asked(const pb::Request& request) {
        uint32_t stream = asker.ask(request);
        until([&] { return asker.heard.answers.contains(stream); });
        return asker.heard.answers[stream];
    }
    /// The leader keeps its clients and loses everybody else; the others go on. Its clock nearly stands
    /// still, so it doesn't step down by itself before they have.
    void depose() {
        isolate(old_leader, true);
        network.cut(101, old_leader, true);
        network.cut(old_leader, 101, true);
        cluster.clock(old_leader).set_rate(kernel.now(), 0.02);
    }
    void others_go_on() {
        uint64_t acked = writer->acked();
        until([&] { return leader() != old_leader && writer->acked() > acked + 50; });
    }
    bool leads(uint32_t member) { return cluster.node(member)->core().role() == raft::Role::leader; }
    AppendCode code(uint32_t stream) {
        until([&] { return asker.heard.done.contains(stream); });
        return asker.heard.done[stream].code;
    }
};

TEST_F(RefusalsTest, OfADeposedLeaderBecomeRetry) {
    depose();
    uint64_t end_of_all = raw(cluster.node(old_leader)->log_end().lsn_next);
    uint32_t lost = asker.append(Draft::of({"lost"}));
    uint32_t opened_again = asker.ask(open());
    // Each rests on one of the two above, which never happen.
    uint32_t condition = asker.append(Draft::of({"a"}).expecting(end_of_all));
    Draft fence = Draft::of({"b"}).numbered(producer, 1, 1);
    uint32_t fenced = asker.append(fence);
    others_go_on();
    // And this one on an end that was, and isn't any more: what it expects is the true end.
    uint32_t stale = asker.append(
        Draft::of({"c"}).numbered(producer, 2, 1).expecting(raw(cluster.truth().committed_lsn_end())));
    run_for(milliseconds(300));
    ASSERT_TRUE(leads(old_leader)) << "else nothing is shown";
    for (uint32_t stream : {condition, fenced, stale}) EXPECT_FALSE(asker.heard.done.contains(stream));

    network.heal_all();
    for (uint32_t stream : {condition, fenced, stale}) EXPECT_EQ(code(stream), AppendCode::retry);
    EXPECT_EQ(code(lost), AppendCode::unknown);
    EXPECT_FALSE(leads(old_leader));
    until([&] { return asker.heard.answers.contains(opened_again); });
    EXPECT_EQ(asker.heard.answers[opened_again].error().code(), static_cast<uint32_t>(Errc::unknown));
}

// The same where it notices by itself that nobody hears it.
TEST_F(RefusalsTest, OfALeaderThatStepsDownBecomeRetry) {
    isolate(old_leader, true);
    uint32_t condition = asker.append(Draft::of({"a"}).expecting(1));
    until([&] { return !leads(old_leader); });
    EXPECT_EQ(code(condition), AppendCode::retry);
    network.heal_all();
    // Healthy again, the refusal itself is said.
    until([&] { return leader() != 0 && cluster.node(leader())->core().accepting(); });
    Talker other(kernel, network, 151);
    other.be_client_of(Cluster::name_of(leader()));
    uint32_t stream = other.append(Draft::of({"a"}).expecting(1));
    until([&] { return other.heard.done.contains(stream); });
    EXPECT_EQ(other.heard.done[stream].code, AppendCode::condition_failed);
    EXPECT_GT(other.heard.done[stream].lsn_first, 20u);
}

}  // namespace
}  // namespace raftd::sim
