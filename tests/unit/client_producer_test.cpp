// Exactly once over a cluster in memory (H8, H10, H12, B81, B82): what is in doubt is sent again under its
// number, lands once, and is answered with the truth; nobody else's numbers are ever taken for one's own.
#include <gtest/gtest.h>

#include "tests/support/client_writer.h"

namespace raftd::client {
namespace {

using proto::AppendCode;
using raftd::fakes::FakeCluster;
using raftd::fakes::FakeMember;
using raftd::fakes::FakeProducer;
using raftd::fakes::Writer;

struct ClientProducer : ::testing::Test {
    FakeCluster cluster{3};
    std::unique_ptr<Writer> writer;

    void SetUp() override { cluster.set_feature_level(2); }
    void start(SessionOptions options = {}) { writer = std::make_unique<Writer>(cluster, options); }
    void start_named(const std::string& name) {
        SessionOptions options;
        options.producer = name;
        start(options);
    }
    FakeProducer& only() {
        EXPECT_EQ(cluster.log().producers.size(), 1u);
        return cluster.log().producers.begin()->second;
    }
    static std::vector<std::string> numbered(int first, int last) {
        std::vector<std::string> all;
        for (int i = first; i <= last; ++i) all.push_back("r" + std::to_string(i));
        return all;
    }
};

TEST_F(ClientProducer, RegistersByItselfAndNumbersInOrder) {
    cluster.set_leader(2);
    start();
    writer->submit_many(1, 40);
    ASSERT_TRUE(writer->wait_for(40));
    EXPECT_EQ(writer->count(Outcome::committed), 40u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 40));
    EXPECT_EQ(only().last, 40u);
    EXPECT_EQ(cluster.member(2).opens, 1u);
    EXPECT_EQ(writer->done[39].producer, only().id);
    EXPECT_EQ(writer->done[39].sequence, 40u);
    EXPECT_FALSE(writer->done[39].repeated);
}

TEST_F(ClientProducer, AnOlderClusterGetsAppendsAsBefore) {
    cluster.set_feature_level(1);
    start();
    writer->submit_many(1, 5);
    ASSERT_TRUE(writer->wait_for(5));
    EXPECT_EQ(cluster.member(1).opens, 0u);
    EXPECT_EQ(writer->done[0].producer, 0u);
    start_named("job");  // it was asked for in words
    writer->submit("x");
    ASSERT_TRUE(writer->wait_for(1));
    EXPECT_EQ(writer->done[0].why->code, Errc::conflict);
    SessionOptions plain;
    plain.exactly_once = false;
    cluster.set_feature_level(2);
    start(plain);
    writer->submit("y");
    ASSERT_TRUE(writer->wait_for(1));
    EXPECT_EQ(writer->done[0].producer, 0u);
}

// The answers of 10 landed batches are lost with their leader.
TEST_F(ClientProducer, LostAnswersAreAskedForAgain) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).hold = true;
    writer->submit_many(2, 11);
    cluster.run_for(milliseconds(10));
    cluster.set_leader(2);
    cluster.cut(1);
    writer->submit_many(12, 14);
    ASSERT_TRUE(writer->wait_for(14));
    EXPECT_EQ(writer->count(Outcome::committed), 14u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 14));
    for (size_t i = 0; i < 14; ++i) {
        EXPECT_EQ(raw(writer->done[i].first), i + 1);
        EXPECT_EQ(writer->done[i].repeated, i >= 1 && i <= 10) << i;
    }
    EXPECT_EQ(only().epoch, 1u);  // nothing was in doubt that a repetition doesn't answer
}

// A leader that hangs without a word is left long before the time-out, with a deep window under way.
TEST_F(ClientProducer, ADeepWindowMovesToTheNextLeader) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    Instant before = cluster.now();
    writer->submit_many(2, 1500);
    cluster.run_for(microseconds(150));
    cluster.member(1).mute = true;
    cluster.set_leader(3);
    ASSERT_TRUE(writer->wait_for(1500));
    EXPECT_EQ(writer->count(Outcome::committed), 1500u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 1500));
    EXPECT_LT(cluster.now() - before, seconds(4));
}

// Not only by patience: it asks another member when the leader gives no answer, and hears of the next one.
TEST_F(ClientProducer, ASilentLeaderIsLeftAsSoonAsAnotherIsElected) {
    cluster.leader_term = 1;
    cluster.election_timeout_ms = 1000;
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    EXPECT_EQ(cluster.connections(2) + cluster.connections(3), 0u);
    Instant before = cluster.now();
    cluster.member(1).mute = true;
    writer->submit_many(2, 500);
    cluster.run_for(milliseconds(700));
    EXPECT_EQ(cluster.connections(2) + cluster.connections(3), 1u) << "it asks another member meanwhile";
    cluster.leader_term = 2;
    cluster.set_leader(3);
    cluster.tell_members(2);
    cluster.tell_members(3);
    ASSERT_TRUE(writer->wait_for(500));
    EXPECT_LT(cluster.now() - before, milliseconds(750));
    EXPECT_EQ(writer->count(Outcome::committed), 500u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 500));
}

// Where nobody says so, two election timeouts of silence are enough.
TEST_F(ClientProducer, ASilentLeaderIsLeftAfterTwoElectionTimeouts) {
    cluster.election_timeout_ms = 300;
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    Instant before = cluster.now();
    cluster.member(1).mute = true;
    cluster.set_leader(2);
    writer->submit("r2");
    ASSERT_TRUE(writer->wait_for(2));
    EXPECT_LT(cluster.now() - before, milliseconds(700));
    EXPECT_EQ(cluster.log().records(), numbered(1, 2));
}

// H8 e: never more under way than answers are remembered.
TEST_F(ClientProducer, NoMoreUnderWayThanIsRemembered) {
    start();
    writer->submit("r0");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).hold = true;
    writer->submit_many(1, 3000);
    cluster.run_for(milliseconds(50));
    EXPECT_EQ(writer->session.appends().in_flight(), proto::kProducerInFlightMax);
    cluster.release(1);
    ASSERT_TRUE(writer->wait_for(3001));
}

TEST_F(ClientProducer, AnUnknownIsSentAgainWhetherItLandedOrNot) {
    for (bool lands : {false, true}) {
        cluster.log() = {};
        cluster.set_leader(1);
        start();
        cluster.member(1).unknown_lands = lands;
        cluster.member(1).script = {AppendCode::committed, AppendCode::unknown};
        writer->submit_many(1, 6);
        ASSERT_TRUE(writer->wait_for(6));
        EXPECT_EQ(writer->count(Outcome::committed), 6u);
        EXPECT_EQ(cluster.log().records(), numbered(1, 6));
        EXPECT_EQ(writer->done[1].repeated, lands);
    }
}

TEST_F(ClientProducer, AReplacedEntryIsSentAgain) {
    start();
    cluster.member(1).script = {AppendCode::committed, AppendCode::refused};
    writer->submit_many(1, 5);
    ASSERT_TRUE(writer->wait_for(5));
    EXPECT_EQ(writer->count(Outcome::committed), 5u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 5));
}

// A batch refused for good in the middle of a pipeline: its number goes to the next one.
TEST_F(ClientProducer, ARefusedBatchLeavesNoGap) {
    for (AppendCode code : {AppendCode::too_large, AppendCode::bad_batch, AppendCode::condition_failed}) {
        cluster.log() = {};
        start();
        writer->submit("r1");
        ASSERT_TRUE(writer->wait_for(1));
        cluster.member(1).script = {AppendCode::committed, code};
        cluster.member(1).refusal_delay = milliseconds(2);
        writer->submit_many(2, 9);
        ASSERT_TRUE(writer->wait_for(9));
        EXPECT_EQ(writer->done[2].outcome, Outcome::refused);
        EXPECT_EQ(writer->count(Outcome::committed), 8u);
        std::vector<std::string> wanted = numbered(1, 9);
        wanted.erase(wanted.begin() + 2);
        EXPECT_EQ(cluster.log().records(), wanted);
        EXPECT_EQ(only().last, 8u);
        EXPECT_EQ(only().epoch, 1u);
    }
}

// But not while a frame may still bring the refused one under that number: r2 and r3 are on their way to the
// old leader when it is left, and r2 is refused by the new one.
TEST_F(ClientProducer, ANumberThatAFrameMayStillBringIsNotGivenAgain) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.latency = milliseconds(5);
    writer->submit_many(2, 3);
    cluster.run_for(milliseconds(1));
    cluster.strand(1, milliseconds(500));
    cluster.set_leader(2);
    cluster.member(2).script = {AppendCode::too_large};
    ASSERT_TRUE(writer->wait_for(3));
    cluster.member(1).leader = 1;  // it takes what comes late
    writer->submit_many(4, 6);
    ASSERT_TRUE(writer->wait_for(6));
    cluster.run_for(seconds(1));
    EXPECT_EQ(writer->done[1].outcome, Outcome::refused);
    EXPECT_EQ(cluster.log().records(), (std::vector<std::string>{"r1", "r3", "r4", "r5", "r6"}));
    EXPECT_EQ(only().epoch, 2u);
    EXPECT_EQ(writer->count(Outcome::committed), 5u);
}

TEST_F(ClientProducer, ConditionsAreCheckedForFreshBatchesOnly) {
    start();
    writer->submit("r1", Lsn{1});
    writer->submit("r2", Lsn{7});
    writer->submit("r3", Lsn{2});
    ASSERT_TRUE(writer->wait_for(3));
    EXPECT_EQ(writer->done[0].outcome, Outcome::committed);
    EXPECT_EQ(writer->done[1].outcome, Outcome::refused);
    EXPECT_EQ(writer->done[1].why->code, Errc::conflict);
    EXPECT_EQ(writer->done[1].observed, Lsn{2});
    EXPECT_EQ(writer->done[2].first, Lsn{2});
    // H12: the retry of one that succeeded is a repetition, although the log ends elsewhere now.
    cluster.member(1).hold = true;
    writer->submit("r4", Lsn{3});
    cluster.run_for(milliseconds(5));
    cluster.log().add_text({"another's"});
    cluster.set_leader(2);
    cluster.cut(1);
    ASSERT_TRUE(writer->wait_for(4));
    EXPECT_EQ(writer->done[3].outcome, Outcome::committed);
    EXPECT_EQ(writer->done[3].first, Lsn{3});
    EXPECT_TRUE(writer->done[3].repeated);
}

// H8 c: a second process with the same name. Of the first one's batches in doubt some landed; none is taken
// for the other's, and nothing of it lands any more.
TEST_F(ClientProducer, AFencedSessionLearnsTheTruth) {
    start_named("job");
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).hold = true;
    writer->submit_many(2, 3);  // land, and the answers are lost
    cluster.run_for(milliseconds(5));
    cluster.member(1).held.clear();
    cluster.member(1).hold = false;
    cluster.member(1).mute = true;
    writer->submit_many(4, 6);  // never arrive
    cluster.run_for(milliseconds(5));
    auto first = std::move(writer);
    cluster.cut(1);
    cluster.member(1).mute = false;
    cluster.set_leader(2);
    start_named("job");
    writer->submit_many(101, 102);
    ASSERT_TRUE(writer->wait_for(2));
    EXPECT_EQ(writer->done[0].sequence, 4u);
    first->submit("r7");
    ASSERT_TRUE(first->wait_for(7));
    EXPECT_EQ(first->count(Outcome::committed), 3u);
    EXPECT_EQ(raw(first->done[2].first), 3u);
    EXPECT_EQ(first->count(Outcome::refused), 4u);
    EXPECT_EQ(first->done[6].why->code, Errc::conflict);
    writer->submit("r103");
    ASSERT_TRUE(writer->wait_for(3));
    EXPECT_EQ(cluster.log().records(), (std::vector<std::string>{"r1", "r2", "r3", "r101", "r102", "r103"}));
    first->submit("too late");
    ASSERT_TRUE(first->wait_for(8));
    EXPECT_EQ(first->done[7].outcome, Outcome::refused);
}

// In doubt and fenced at once: opening again must not take the producer back from its new holder.
TEST_F(ClientProducer, ASessionInDoubtDoesNotStealItsProducerBack) {
    start_named("job");
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.log().open_producer("job", 0);
    cluster.member(1).script = {AppendCode::out_of_order};
    writer->submit_many(2, 3);
    ASSERT_TRUE(writer->wait_for(3));
    EXPECT_EQ(writer->count(Outcome::refused), 2u);
    EXPECT_EQ(only().epoch, 2u);
}

TEST_F(ClientProducer, ANamedOneGoesOnWhereItWas) {
    start_named("job");
    writer->submit_many(1, 3);
    ASSERT_TRUE(writer->wait_for(3));
    start_named("job");
    writer->session.want_producer();
    ASSERT_TRUE(cluster.run_until([&] { return writer->session.appends().producer().open(); }));
    EXPECT_EQ(writer->session.appends().producer().facts().records, 3u);
    writer->submit("r4");
    ASSERT_TRUE(writer->wait_for(1));
    EXPECT_EQ(writer->done[0].sequence, 4u);
    EXPECT_EQ(only().epoch, 2u);
}

// H8 a: an unknown id never begins at 1 again. What may have landed is unknown; what can't have goes on.
TEST_F(ClientProducer, AForgottenProducerMakesDoubtUnknownAndTheRestGoesOn) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).hold = true;
    writer->submit("r2");
    cluster.run_for(milliseconds(5));
    cluster.log().producers.clear();
    cluster.set_leader(2);
    cluster.cut(1);
    cluster.run_for(microseconds(150));
    writer->submit_many(3, 5);
    ASSERT_TRUE(writer->wait_for(5));
    EXPECT_EQ(writer->done[1].outcome, Outcome::unknown);
    EXPECT_EQ(writer->done[1].sequence, 2u);
    EXPECT_EQ(writer->count(Outcome::committed), 4u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 5));
    EXPECT_EQ(only().last, 3u);
}

TEST_F(ClientProducer, AForgottenNamedProducerIsToldOf) {
    start_named("job");
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.log().producers.clear();
    writer->submit("r2");
    ASSERT_TRUE(writer->wait_for(2));
    EXPECT_EQ(writer->done[1].outcome, Outcome::refused);
    EXPECT_EQ(writer->done[1].why->code, Errc::conflict);
}

TEST_F(ClientProducer, NumbersThatDontFitAreLearntAnew) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).script = {AppendCode::out_of_order};
    cluster.member(1).refusal_delay = milliseconds(3);
    writer->submit_many(2, 8);
    ASSERT_TRUE(writer->wait_for(8));
    EXPECT_EQ(writer->count(Outcome::committed), 8u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 8));
    EXPECT_EQ(only().epoch, 2u);
}

TEST_F(ClientProducer, ASequenceOfOtherBytesIsRefusedAndNotTakenOver) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).script = {AppendCode::sequence_reused};
    writer->submit_many(2, 4);
    ASSERT_TRUE(writer->wait_for(4));
    EXPECT_EQ(writer->done[1].outcome, Outcome::refused);
    EXPECT_EQ(writer->done[1].why->code, Errc::conflict);
    EXPECT_EQ(cluster.log().records(), (std::vector<std::string>{"r1", "r3", "r4"}));
}

TEST_F(ClientProducer, AForgottenAnswerIsStillCommitted) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).hold = true;
    writer->submit("r2");
    cluster.run_for(milliseconds(5));
    only().answers.clear();
    cluster.set_leader(2);
    cluster.cut(1);
    ASSERT_TRUE(writer->wait_for(2));
    EXPECT_EQ(writer->done[1].outcome, Outcome::committed);
    EXPECT_EQ(writer->done[1].first, Lsn{});
    EXPECT_TRUE(writer->done[1].repeated);
}

// Openings whose answers were lost raise the epoch too; that isn't somebody else.
TEST_F(ClientProducer, ItsOwnLostOpeningsDoNotFenceIt) {
    start_named("job");
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).script = {AppendCode::out_of_order};
    cluster.member(1).deaf_to_requests = true;
    writer->submit("r2");
    ASSERT_TRUE(cluster.run_until([&] { return cluster.member(1).opens == 2; }));
    cluster.cut(1);
    cluster.set_leader(2);
    ASSERT_TRUE(writer->wait_for(2));
    EXPECT_EQ(writer->done[1].outcome, Outcome::committed);
    EXPECT_EQ(only().epoch, 3u);  // the lost one, and the one that took note of it
}

// Nor does one that landed although its leader lost office.
TEST_F(ClientProducer, AnOpeningOfUnknownOutcomeMayBeItsOwn) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).script = {AppendCode::out_of_order};
    cluster.member(1).opens_unknown = true;
    writer->submit_many(2, 3);
    ASSERT_TRUE(writer->wait_for(3));
    EXPECT_EQ(writer->count(Outcome::committed), 3u);
    EXPECT_EQ(only().epoch, 3u);
}

// A session without a name needs that producer for nothing: it goes on with another.
TEST_F(ClientProducer, AFencedOneWithoutNameGoesOnAnew) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.log().open_producer({}, only().id);
    writer->submit_many(2, 4);
    ASSERT_TRUE(writer->wait_for(4));
    EXPECT_EQ(writer->count(Outcome::committed), 4u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 4));
    EXPECT_EQ(cluster.log().producers.size(), 2u);
}

// Found to be forgotten only when it is opened again: what may have landed is unknown, and nothing is sent
// twice.
TEST_F(ClientProducer, AProducerForgottenWhileInDoubt) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).unknown_lands = true;
    cluster.member(1).script = {AppendCode::unknown, AppendCode::out_of_order};
    writer->submit_many(2, 4);
    cluster.run_for(microseconds(250));
    cluster.log().producers.clear();
    ASSERT_TRUE(writer->wait_for(4));
    EXPECT_EQ(writer->done[1].outcome, Outcome::unknown);
    EXPECT_EQ(cluster.log().records(), numbered(1, 4));
}

// The time-out ends before the truth is known: unknown, and it says which; the session then goes on behind
// it.
TEST_F(ClientProducer, UnknownOnlyWhenTheTimeOutEndsFirst) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).hold = true;
    writer->submit("r2");
    cluster.run_for(milliseconds(5));
    for (uint64_t id : {1, 2, 3}) cluster.cut(id);
    cluster.run_for(milliseconds(1));
    writer->submit("r3");
    ASSERT_TRUE(writer->wait_for(3));
    EXPECT_EQ(writer->done[1].outcome, Outcome::unknown);
    EXPECT_EQ(writer->done[1].producer, only().id);
    EXPECT_EQ(writer->done[1].sequence, 2u);
    EXPECT_EQ(writer->done[2].outcome, Outcome::refused);
    for (uint64_t id : {1, 2, 3}) cluster.member(id).reach = FakeMember::Reach::up;
    cluster.member(1).hold = false;
    writer->submit("r4");
    ASSERT_TRUE(writer->wait_for(4));
    EXPECT_EQ(writer->done[3].outcome, Outcome::committed);
    EXPECT_EQ(writer->done[3].sequence, 3u);
    EXPECT_EQ(cluster.log().records(), (std::vector<std::string>{"r1", "r2", "r4"}));
    EXPECT_EQ(writer->session.appends().farewell().size(), 0u);  // it may still be asked about
}

TEST_F(ClientProducer, CancelLeavesWhatMayHaveLandedToBeResolved) {
    start();
    writer->submit("r1");
    ASSERT_TRUE(writer->wait_for(1));
    cluster.member(1).hold = true;
    writer->submit_many(2, 3);
    cluster.run_for(milliseconds(5));
    cluster.set_leader(2);
    cluster.cut(1);
    cluster.run_for(microseconds(150));
    EXPECT_EQ(writer->session.appends().unresolved().records, 2u);
    EXPECT_EQ(writer->session.appends().unresolved().first_sequence, 2u);
    EXPECT_EQ(writer->session.appends().unresolved().last_sequence, 3u);
    writer->submit("r4");
    writer->session.cancel_unsent(error(Errc::unavailable, "interrupted"));
    ASSERT_TRUE(writer->wait_for(4));
    EXPECT_EQ(writer->done[1].outcome, Outcome::committed);
    EXPECT_EQ(writer->done[2].outcome, Outcome::committed);
    EXPECT_EQ(writer->done[3].outcome, Outcome::refused);
}

}  // namespace
}  // namespace raftd::client
