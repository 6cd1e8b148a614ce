// Random trouble over a cluster in memory: with a producer every outcome is true, and none is unknown.
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/support/client_writer.h"

namespace raftd::client {
namespace {

using proto::AppendCode;
using raftd::fakes::FakeCluster;
using raftd::fakes::FakeMember;
using raftd::fakes::Writer;

/// One world of trouble: refusals, cuts, frames that arrive late, lost answers, changes of leader.
struct Trouble {
    FakeCluster world{3};
    Random random;
    explicit Trouble(uint64_t seed) : random(seed) { world.set_feature_level(2); }

    void step() {
        uint64_t leader = random.between(1, 3);
        FakeMember& member = world.member(leader);
        switch (random.below(12)) {
            case 0: world.set_leader(leader); break;
            case 1: member.script = {AppendCode::committed, AppendCode::busy}; break;
            case 2: world.cut(leader, FakeMember::Reach::up); break;
            case 3: member.hold = true; break;
            case 4: member.script = {AppendCode::retry, AppendCode::not_leader}; break;
            case 5: world.member(1).leader = random.below(4); break;
            case 6: world.strand(leader, milliseconds(static_cast<int64_t>(random.below(40)))); break;
            case 7: member.script = {AppendCode::unknown, AppendCode::out_of_order}; break;
            case 8: member.script = {AppendCode::too_large}; break;
            case 9: member.deaf_to_requests = random.chance(0.3); break;
            case 10: member.refusal_delay = milliseconds(static_cast<int64_t>(random.below(4))); break;
            default: break;
        }
        member.unknown_lands = random.chance(0.5);
        world.latency = microseconds(static_cast<int64_t>(random.between(50, 1500)));
        world.run_for(microseconds(static_cast<int64_t>(random.below(3000))));
        if (random.chance(0.3))
            for (uint64_t id = 1; id <= 3; ++id) world.release(id);
    }
    void heal() {
        world.set_leader(1);
        for (uint64_t id = 1; id <= 3; ++id) {
            FakeMember& member = world.member(id);
            member.script.clear();
            member.reach = FakeMember::Reach::up;
            member.deaf_to_requests = false;
            world.release(id);
        }
    }
};

// Nothing lands twice or out of order, every outcome is true, and none is unknown: with a number everything
// can be found out.
TEST(ClientProducerTrouble, OutcomesAreTrueAndNeverUnknown) {
    size_t resent = 0, repeated = 0, reopened = 0;
    for (uint64_t seed = 1; seed <= 400; ++seed) {
        Trouble trouble(seed);
        SessionOptions options;
        options.seed = seed;
        options.timeout = seconds(1000);
        if (seed % 2 == 0) options.producer = "job";
        Writer writer(trouble.world, options);
        int submitted = 0;
        for (int round = 0; round < 60; ++round) {
            for (uint64_t n = trouble.random.below(6); n > 0; --n)
                if (writer.submit(std::to_string(submitted)) != 0) ++submitted;
            trouble.step();
        }
        trouble.heal();
        ASSERT_TRUE(writer.wait_for(static_cast<size_t>(submitted), seconds(900)))
            << "seed " << seed << ": " << writer.done.size() << " of " << submitted;
        trouble.world.run_for(seconds(1));  // what was late has arrived
        std::vector<std::string> landed = trouble.world.log().records();
        std::vector<int> order;
        for (const std::string& text : landed) order.push_back(std::stoi(text));
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end())) << "seed " << seed;
        EXPECT_EQ(std::adjacent_find(order.begin(), order.end()), order.end()) << "twice, seed " << seed;
        for (size_t i = 0; i < writer.done.size(); ++i) {
            const Appended& one = writer.done[i];
            bool there = std::binary_search(order.begin(), order.end(), static_cast<int>(i));
            EXPECT_NE(one.outcome, Outcome::unknown) << "seed " << seed << " append " << i;
            EXPECT_EQ(there, one.outcome == Outcome::committed) << "seed " << seed << " append " << i;
            if (there) {
                EXPECT_EQ(landed[raw(one.first) - 1], std::to_string(i)) << "seed " << seed;
            }
            repeated += one.repeated;
        }
        resent += writer.session.appends().resent();
        reopened += writer.session.appends().producer().epoch() > 1;
    }
    // The trouble did happen.
    EXPECT_GT(resent, 2000u);
    EXPECT_GT(repeated, 200u);
    EXPECT_GT(reopened, 100u);
}

// Two sessions by turns under one name: each record at most once, each outcome true, whoever holds the name.
TEST(ClientProducerTrouble, TwoSessionsWithOneName) {
    size_t refused = 0;
    for (uint64_t seed = 1; seed <= 150; ++seed) {
        Trouble trouble(seed);
        SessionOptions options;
        options.producer = "job";
        options.seed = seed;
        options.timeout = seconds(1000);
        std::vector<std::unique_ptr<Writer>> writers;
        std::vector<int> submitted;
        for (int turn = 0; turn < 3; ++turn) {
            writers.push_back(std::make_unique<Writer>(trouble.world, options));
            submitted.push_back(0);
            for (int round = 0; round < 25; ++round) {
                size_t who = trouble.random.below(writers.size());
                trouble.world.attach(writers[0]->session);
                for (size_t i = 1; i < writers.size(); ++i) trouble.world.attach_beside(writers[i]->session);
                for (uint64_t n = trouble.random.below(4); n > 0; --n)
                    if (writers[who]->submit(std::to_string(who) + ":" + std::to_string(submitted[who])) != 0)
                        ++submitted[who];
                trouble.step();
            }
        }
        trouble.heal();
        auto all_done = [&] {
            bool all = true;
            for (size_t who = 0; who < writers.size(); ++who) {
                writers[who]->collect();
                all &= writers[who]->done.size() == static_cast<size_t>(submitted[who]);
            }
            return all;
        };
        ASSERT_TRUE(trouble.world.run_until(all_done, seconds(900))) << "seed " << seed;
        std::vector<std::string> landed = trouble.world.log().records();
        for (size_t who = 0; who < writers.size(); ++who)
            for (size_t i = 0; i < writers[who]->done.size(); ++i) {
                const Appended& one = writers[who]->done[i];
                std::string text = std::to_string(who) + ":" + std::to_string(i);
                auto times = std::count(landed.begin(), landed.end(), text);
                EXPECT_LE(times, 1) << "seed " << seed << " " << text;
                EXPECT_EQ(times == 1, one.outcome == Outcome::committed) << "seed " << seed << " " << text;
                if (one.outcome == Outcome::committed && one.first != Lsn{}) {
                    EXPECT_EQ(landed[raw(one.first) - 1], text) << "seed " << seed;
                }
                refused += one.outcome == Outcome::refused;
            }
    }
    EXPECT_GT(refused, 500u);
}

// Over a slow link a large batch takes longer than a silence may be; while its bytes go over, that is no
// silence. When they stop to go over, it is one.
struct ClientSlowLink : ::testing::Test {
    FakeCluster cluster{3};
    std::unique_ptr<Writer> writer;
    void SetUp() override {
        cluster.set_feature_level(2);
        cluster.election_timeout_ms = 100;  // a silence of 250 ms is enough
        writer = std::make_unique<Writer>(cluster, SessionOptions{});
        writer->submit("first");
        ASSERT_TRUE(writer->wait_for(1));
        cluster.bytes_per_second = 1'000'000;
    }
};

TEST_F(ClientSlowLink, BytesThatGoOverAreLife) {
    const uint32_t hellos = cluster.member(1).hellos;
    for (int i = 0; i < 3; ++i) writer->submit(std::string(1u << 20, 'x'));
    ASSERT_TRUE(writer->wait_for(4, seconds(20)));
    EXPECT_EQ(writer->count(Outcome::committed), 4u);
    EXPECT_EQ(cluster.member(1).hellos, hellos) << "the connection was given up";
    EXPECT_EQ(writer->session.appends().resent(), 0u);
}

TEST_F(ClientSlowLink, OneThatStandsStillIsGivenUpAsEver) {
    writer->submit(std::string(1u << 20, 'x'));
    cluster.run_for(milliseconds(500));  // half of it is over
    ASSERT_GT(cluster.unacknowledged_bytes(io::ConnId{1}), 0u);
    cluster.cut(1, FakeMember::Reach::silent);
    cluster.set_leader(2);
    cluster.bytes_per_second = 100'000'000;
    const Instant cut_at = cluster.now();
    ASSERT_TRUE(writer->wait_for(2, seconds(20)));
    EXPECT_EQ(writer->count(Outcome::committed), 2u);
    EXPECT_LT(cluster.now() - cut_at, seconds(1));
}

}  // namespace
}  // namespace raftd::client
