// Appends over a cluster in memory: order, redirects, and the three outcomes of H10.
#include <gtest/gtest.h>

#include "client/session.h"
#include "tests/support/fake_cluster.h"

namespace raftd::client {
namespace {

using proto::AppendCode;
using raftd::fakes::FakeCluster;
using raftd::fakes::FakeMember;

SessionOptions options_for(const FakeCluster& cluster) {
    SessionOptions options;
    options.endpoints = cluster.addresses();
    return options;
}

struct ClientAppend : ::testing::Test {
    FakeCluster cluster{3};
    std::unique_ptr<Session> session;
    std::vector<Appended> done;

    void start(SessionOptions options) {
        session = std::make_unique<Session>(cluster, cluster, options);
        cluster.attach(*session);
    }
    void start() { start(options_for(cluster)); }
    uint64_t submit(std::string_view text) { return session->submit(Batch::of(as_bytes(text))); }
    void submit_many(int first, int last) {
        for (int i = first; i <= last; ++i) submit("r" + std::to_string(i));
    }
    bool wait_for(size_t count, Duration limit = seconds(60)) {
        return cluster.run_until(
            [&] {
                Appended one;
                while (session->take(one)) done.push_back(one);
                return done.size() >= count;
            },
            limit);
    }
    std::vector<std::string> numbered(int first, int last) {
        std::vector<std::string> all;
        for (int i = first; i <= last; ++i) all.push_back("r" + std::to_string(i));
        return all;
    }
    size_t count(Outcome outcome) const {
        return static_cast<size_t>(std::count_if(
            done.begin(), done.end(), [&](const Appended& one) { return one.outcome == outcome; }));
    }
};

TEST_F(ClientAppend, FindsTheLeaderAndCommitsInOrder) {
    cluster.set_leader(3);
    start();
    submit_many(1, 50);
    ASSERT_TRUE(wait_for(50));
    for (size_t i = 0; i < done.size(); ++i) {
        EXPECT_EQ(done[i].outcome, Outcome::committed);
        EXPECT_EQ(done[i].ticket, i + 1);
        EXPECT_EQ(raw(done[i].first), i + 1);
    }
    EXPECT_EQ(cluster.log().records(), numbered(1, 50));
    // A handshake names the leader, so that nobody else is ever asked.
    EXPECT_EQ(cluster.member(1).appends + cluster.member(2).appends, 0u);
}

TEST_F(ClientAppend, FollowsTheMembersThoughAllThatItKnewAreGone) {
    for (uint64_t id : {1, 2, 3}) cluster.member(id).members = {1, 2};
    cluster.set_leader(1);
    SessionOptions options = options_for(cluster);
    options.endpoints.resize(1);
    start(options);
    submit_many(1, 5);
    ASSERT_TRUE(wait_for(5));
    // Member 3 joins; the connected member says so, and a list that is older changes nothing.
    cluster.member(1).members = {2, 3};
    cluster.member(1).config_index = 9;
    cluster.tell_members(1);
    cluster.run_for(milliseconds(10));
    cluster.member(1).members = {1, 2};
    cluster.member(1).config_index = 4;
    cluster.tell_members(1);
    cluster.run_for(milliseconds(10));
    cluster.set_leader(3);
    cluster.cut(1);
    cluster.cut(2);
    cluster.run_for(milliseconds(1));  // what is sent on a connection that has ended is in doubt
    submit_many(6, 10);
    ASSERT_TRUE(wait_for(10));
    for (const Appended& one : done) EXPECT_EQ(one.outcome, Outcome::committed) << one.why->what;
    EXPECT_EQ(count(Outcome::committed), 10u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 10));
}

TEST_F(ClientAppend, ABatchIsOneEntryAndGetsConsecutiveNumbers) {
    start();
    std::vector<ByteView> records{as_bytes("a"), as_bytes(""), as_bytes("c")};
    session->submit(Batch::of(records));
    submit("d");
    ASSERT_TRUE(wait_for(2));
    EXPECT_EQ(done[0].first, Lsn{1});
    EXPECT_EQ(done[0].last(), Lsn{3});
    EXPECT_EQ(done[1].first, Lsn{4});
    EXPECT_EQ(cluster.log().entries.size(), 2u);
}

TEST_F(ClientAppend, FollowsARedirectAtOnce) {
    start();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    cluster.set_leader(2);
    Instant before = cluster.now();
    submit_many(2, 20);
    ASSERT_TRUE(wait_for(20));
    EXPECT_EQ(count(Outcome::committed), 20u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 20));
    EXPECT_LT(cluster.now() - before, milliseconds(5));  // no back-off: dial, handshake, append
}

// Without the end of the run, r3 would land before r2: it was on its way when the member had room again.
TEST_F(ClientAppend, NothingOvertakesABatchThatWasPutOff) {
    for (AppendCode code :
         {AppendCode::busy, AppendCode::retry, AppendCode::disk_full, AppendCode::not_leader}) {
        cluster.log() = {};
        done.clear();
        start();
        submit("r1");
        ASSERT_TRUE(wait_for(1));
        cluster.member(1).script = {AppendCode::committed, code};
        submit_many(2, 30);
        ASSERT_TRUE(wait_for(30)) << static_cast<int>(code);
        EXPECT_EQ(count(Outcome::committed), 30u);
        EXPECT_EQ(cluster.log().records(), numbered(1, 30));
        EXPECT_GT(session->appends().resent(), 0u);
    }
}

TEST_F(ClientAppend, FindsALeaderThatNobodyNames) {
    cluster.set_leader(0);
    cluster.member(3).leader = 3;
    start();
    submit_many(1, 10);
    ASSERT_TRUE(wait_for(10));
    EXPECT_EQ(cluster.log().records(), numbered(1, 10));
    // While nobody is known to lead, one batch at a time goes round.
    EXPECT_LT(cluster.member(1).appends, 10u);
}

// H10, B81: what a leader had when the connection broke may have landed, so it is never sent a second time.
TEST_F(ClientAppend, WhatALeaderMayHaveIsUnknownAndNeverSentAgain) {
    start();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    cluster.member(1).hold = true;
    submit_many(2, 11);
    cluster.run_for(milliseconds(10));
    cluster.set_leader(2);
    cluster.cut(1);
    cluster.run_for(milliseconds(1));
    submit_many(12, 14);
    ASSERT_TRUE(wait_for(14));
    EXPECT_EQ(count(Outcome::unknown), 10u);
    for (size_t i = 0; i < done.size(); ++i) {
        bool sent_to_the_old = i >= 1 && i <= 10;
        EXPECT_EQ(done[i].outcome, sent_to_the_old ? Outcome::unknown : Outcome::committed) << i;
        EXPECT_EQ(done[i].why != nullptr && done[i].why->code == Errc::unknown, sent_to_the_old) << i;
    }
    EXPECT_EQ(cluster.log().records(), numbered(1, 14));  // here they did land, once
}

// B88: behind a refusal nothing can have happened, so that nothing there is reported as unknown.
TEST_F(ClientAppend, ARefusalMakesWhatStandsBehindItCertain) {
    start();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    cluster.member(1).script = {AppendCode::busy};
    submit_many(2, 6);
    cluster.member(1).answers_left = 1;  // the others are lost with the connection
    ASSERT_TRUE(cluster.run_until([&] { return session->appends().in_flight() == 4; }));
    cluster.set_leader(2);
    cluster.cut(1);
    ASSERT_TRUE(wait_for(6));
    EXPECT_EQ(count(Outcome::committed), 6u);
    EXPECT_EQ(cluster.log().records(), numbered(1, 6));
}

TEST_F(ClientAppend, ALostOfficeIsUnknownAndAReplacedEntryIsRefused) {
    start();
    cluster.member(1).script = {AppendCode::committed, AppendCode::unknown, AppendCode::refused};
    submit_many(1, 4);
    ASSERT_TRUE(wait_for(4));
    EXPECT_EQ(done[0].outcome, Outcome::committed);
    EXPECT_EQ(done[1].outcome, Outcome::unknown);
    EXPECT_EQ(done[2].outcome, Outcome::refused);
    EXPECT_EQ(done[3].outcome, Outcome::committed);
}

TEST_F(ClientAppend, ATimeOutAfterSendingIsUnknownBeforeSendingRefused) {
    SessionOptions options = options_for(cluster);
    options.window_batches = 100;
    start(options);
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    cluster.member(1).mute = true;
    Instant before = cluster.now();
    submit_many(2, 4);
    ASSERT_TRUE(wait_for(4));
    EXPECT_EQ(count(Outcome::unknown), 3u);
    EXPECT_GE(cluster.now() - before, options.timeout);
    EXPECT_LT(cluster.now() - before, options.timeout + seconds(1));
}

TEST_F(ClientAppend, WithoutALeaderItIsRefusedInTime) {
    cluster.set_leader(0);
    start();
    Instant before = cluster.now();
    submit_many(1, 3);
    ASSERT_TRUE(wait_for(3));
    EXPECT_EQ(count(Outcome::refused), 3u);
    EXPECT_EQ(done[0].why->code, Errc::unavailable);
    EXPECT_TRUE(cluster.log().entries.empty());
    EXPECT_LT(cluster.now() - before, seconds(11));
    // Bounded asking: back-off, not a storm.
    EXPECT_LT(cluster.member(1).appends + cluster.member(2).appends + cluster.member(3).appends, 60u);
}

TEST_F(ClientAppend, WithNobodyThereItIsUnreachable) {
    for (uint64_t id = 1; id <= 3; ++id) cluster.member(id).reach = FakeMember::Reach::refuses;
    start();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    EXPECT_EQ(done[0].outcome, Outcome::refused);
    EXPECT_EQ(done[0].why->code, Errc::unreachable);
    EXPECT_NE(done[0].why->what.find("connection refused"), std::string::npos) << done[0].why->what;
}

TEST_F(ClientAppend, FailFastDoesNotWaitWhenEachEndpointRefuses) {
    for (uint64_t id = 1; id <= 3; ++id) cluster.member(id).reach = FakeMember::Reach::refuses;
    SessionOptions options = options_for(cluster);
    options.fail_fast = true;
    start(options);
    Instant before = cluster.now();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    EXPECT_EQ(done[0].why->code, Errc::unreachable);
    EXPECT_LT(cluster.now() - before, seconds(2));
}

TEST_F(ClientAppend, ASilentMemberDoesNotHoldUpTheOthers) {
    cluster.member(1).reach = FakeMember::Reach::silent;
    cluster.set_leader(2);
    start();
    Instant before = cluster.now();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    EXPECT_EQ(done[0].outcome, Outcome::committed);
    EXPECT_LT(cluster.now() - before, milliseconds(500));
}

TEST_F(ClientAppend, AnotherClusterIsRefusedAndNotAskedAgain) {
    SessionOptions options = options_for(cluster);
    options.cluster = ClusterId{1, 1};
    start(options);
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    EXPECT_EQ(done[0].outcome, Outcome::refused);
    EXPECT_EQ(done[0].why->code, Errc::conflict);
    cluster.run_for(seconds(60));
    for (uint64_t id = 1; id <= 3; ++id) EXPECT_EQ(cluster.member(id).hellos, 1u) << id;
}

TEST_F(ClientAppend, AMemberOfAnotherClusterAmongTheEndpointsIsLeftOut) {
    cluster.member(2).cluster = ClusterId{66, 66};
    cluster.set_leader(2);  // even when it is believed to lead
    cluster.member(3).leader = 3;
    cluster.member(1).leader = 0;
    start();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    EXPECT_EQ(done[0].outcome, Outcome::committed);
    EXPECT_LE(cluster.member(2).hellos, 1u);
}

// B92: sizes at the limit, checked before anything is sent.
TEST_F(ClientAppend, SizesAreCheckedBeforeSending) {
    start();
    std::string exact(1u << 20, 'x'), over((1u << 20) + 1, 'y');
    session->submit(Batch::of(as_bytes(exact)));
    session->submit(Batch::of(as_bytes(over)));
    std::vector<ByteView> two{as_bytes(exact), as_bytes("z")};
    session->submit(Batch::of(two));
    submit("after");
    ASSERT_TRUE(wait_for(4));
    EXPECT_EQ(done[0].outcome, Outcome::committed);
    EXPECT_EQ(done[1].outcome, Outcome::refused);
    EXPECT_EQ(done[1].why->code, Errc::bad_input);
    EXPECT_EQ(done[2].outcome, Outcome::refused);
    EXPECT_EQ(done[3].outcome, Outcome::committed);
    EXPECT_EQ(cluster.member(1).appends, 2u);
}

TEST_F(ClientAppend, TheWindowIsBounded) {
    SessionOptions options = options_for(cluster);
    options.window_batches = 5;
    start(options);
    cluster.member(1).hold = true;
    for (int i = 1; i <= 5; ++i) EXPECT_NE(submit("x"), 0u);
    EXPECT_EQ(submit("too many"), 0u);
    cluster.run_for(milliseconds(10));
    EXPECT_EQ(submit("too many"), 0u);
    cluster.release(1);
    ASSERT_TRUE(wait_for(5));
    EXPECT_NE(submit("room again"), 0u);
    EXPECT_EQ(session->appends().in_flight(), 0u);
}

// A stream that stops at the first loss has no hole in it.
TEST_F(ClientAppend, StopAtFailureSendsNothingBehindALoss) {
    SessionOptions options = options_for(cluster);
    options.stop_at_failure = true;
    start(options);
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    std::string over((1u << 20) + 1, 'y');
    submit("r2");
    session->submit(Batch::of(as_bytes(over)));
    submit_many(4, 9);
    ASSERT_TRUE(wait_for(9));
    EXPECT_EQ(cluster.log().records(), numbered(1, 2));
    EXPECT_EQ(count(Outcome::refused), 7u);
    submit("later");
    ASSERT_TRUE(wait_for(10));
    EXPECT_EQ(done[9].outcome, Outcome::refused);
}

TEST_F(ClientAppend, CancelLeavesNothingUndecidedButWhatWasSent) {
    start();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    cluster.member(1).hold = true;
    submit("r2");
    cluster.run_for(milliseconds(5));
    submit("r3");
    session->cancel_unsent(error(Errc::unavailable, "interrupted"));
    cluster.release(1);
    ASSERT_TRUE(wait_for(3));
    EXPECT_EQ(done[1].outcome, Outcome::committed);
    EXPECT_EQ(done[2].outcome, Outcome::refused);
    EXPECT_EQ(cluster.log().records(), numbered(1, 2));
}

// An idle session wakes for nothing; a waiting one notices a member that fell silent without a word.
TEST_F(ClientAppend, IdleMeansIdle) {
    start();
    submit("r1");
    ASSERT_TRUE(wait_for(1));
    cluster.run_for(seconds(100));
    EXPECT_EQ(cluster.member(1).pings, 0u);
    cluster.cut(1, FakeMember::Reach::silent);
    cluster.set_leader(2);
    submit("r2");
    ASSERT_TRUE(wait_for(2));
    EXPECT_EQ(done[1].outcome, Outcome::unknown);
    submit("r3");
    ASSERT_TRUE(wait_for(3));
    EXPECT_EQ(done[2].outcome, Outcome::committed);
}

// Random refusals, cuts and leader changes: nothing lands twice, nothing out of order, nothing is lost
// silently.
TEST_F(ClientAppend, OutcomesAreTrueUnderRandomTrouble) {
    size_t committed = 0, unknown = 0, resent = 0;
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        FakeCluster world(3);
        SessionOptions options = options_for(world);
        options.seed = seed;
        Session client(world, world, options);
        world.attach(client);
        Random random(seed);
        std::vector<Appended> results;
        int submitted = 0;
        auto collect = [&] {
            Appended one;
            while (client.take(one)) results.push_back(one);
        };
        for (int round = 0; round < 60; ++round) {
            for (uint64_t n = random.below(6); n > 0; --n)
                if (client.submit(Batch::of(as_bytes(std::to_string(submitted)))) != 0) ++submitted;
            uint64_t leader = random.between(1, 3);
            switch (random.below(8)) {
                case 0: world.set_leader(leader); break;
                case 1: world.member(leader).script = {AppendCode::committed, AppendCode::busy}; break;
                case 2: world.cut(leader, FakeMember::Reach::up); break;
                case 3: world.member(leader).hold = true; break;
                case 4: world.member(leader).script = {AppendCode::retry, AppendCode::not_leader}; break;
                case 5: world.member(1).leader = random.below(4); break;
                default: break;
            }
            world.run_for(microseconds(static_cast<int64_t>(random.below(3000))));
            if (random.chance(0.3))
                for (uint64_t id = 1; id <= 3; ++id) world.release(id);
            collect();
        }
        world.set_leader(1);
        for (uint64_t id = 1; id <= 3; ++id) {
            world.member(id).script.clear();
            world.member(id).reach = FakeMember::Reach::up;
            world.release(id);
        }
        ASSERT_TRUE(world.run_until([&] {
            return collect(), results.size() == static_cast<size_t>(submitted);
        })) << "seed "
            << seed << ": " << results.size() << " of " << submitted;
        std::vector<std::string> landed = world.log().records();
        std::vector<int> order;
        for (const std::string& text : landed) order.push_back(std::stoi(text));
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end())) << "seed " << seed;
        EXPECT_EQ(std::adjacent_find(order.begin(), order.end()), order.end()) << "twice, seed " << seed;
        resent += client.appends().resent();
        for (size_t i = 0; i < results.size(); ++i) {
            committed += results[i].outcome == Outcome::committed;
            unknown += results[i].outcome == Outcome::unknown;
            bool there = std::binary_search(order.begin(), order.end(), static_cast<int>(i));
            if (results[i].outcome == Outcome::committed) {
                ASSERT_TRUE(there) << "seed " << seed;
                EXPECT_EQ(landed[raw(results[i].first) - 1], std::to_string(i));
            } else if (results[i].outcome == Outcome::refused) {
                EXPECT_FALSE(there) << "seed " << seed << " append " << i;
            }
        }
    }
    // The trouble did happen, and unknown is the exception even so.
    EXPECT_GT(resent, 1000u);
    EXPECT_GT(unknown, 100u);
    EXPECT_GT(committed, unknown * 5);
}

}  // namespace
}  // namespace raftd::client
