// The synchronous face, over the cluster in memory: what is called, happens inside the call.
#include <gtest/gtest.h>

#include "client/client.h"
#include "client/runner.h"
#include "tests/support/fake_cluster.h"

namespace raftd::client {
namespace {

using raftd::fakes::FakeCluster;
using raftd::fakes::FakeMember;

class FakeRunner : public Runner {
public:
    explicit FakeRunner(FakeCluster& cluster) : cluster_(cluster) {}
    io::Network& network() override { return cluster_; }
    io::Clock& clock() override { return cluster_; }
    bool turn(io::Handler& handler, Instant until) override {
        cluster_.attach(handler);
        return cluster_.turn(until);
    }
    int wait_fd() override { return -1; }

private:
    FakeCluster& cluster_;
};

struct ClientFace : ::testing::Test {
    FakeCluster cluster{3};
    SessionOptions options;
    Client open() {
        options.endpoints = cluster.addresses();
        return Client(std::make_unique<FakeRunner>(cluster), options);
    }
};

TEST_F(ClientFace, AppendWaitsForItsOutcome) {
    cluster.set_leader(2);
    Client client = open();
    Appended done = client.append("hello");
    EXPECT_EQ(done.outcome, Outcome::committed);
    EXPECT_EQ(done.first, Lsn{1});
    std::vector<std::string_view> two{"a", "b"};
    EXPECT_EQ(client.append(two).last(), Lsn{3});
    EXPECT_EQ(cluster.log().records(), (std::vector<std::string>{"hello", "a", "b"}));
    EXPECT_EQ(client.append(std::span<const std::string_view>{}).outcome, Outcome::refused);
}

TEST_F(ClientFace, SubmitsAreAnsweredInOrderAroundAnAppend) {
    Client client = open();
    uint64_t first = client.submit("one"), second = client.submit("two");
    EXPECT_EQ(client.append("three").first, Lsn{3});
    EXPECT_EQ(client.open_appends(), 2u);
    Appended done[8];
    ASSERT_EQ(client.poll(done, seconds(1)), 2u);
    EXPECT_EQ(done[0].ticket, first);
    EXPECT_EQ(done[1].ticket, second);
    EXPECT_EQ(client.open_appends(), 0u);
}

TEST_F(ClientFace, PollWaitsNoLongerThanAsked) {
    cluster.member(1).mute = true;
    Client client = open();
    client.submit("x");
    Instant before = cluster.now();
    Appended done[1];
    EXPECT_EQ(client.poll(done, milliseconds(50)), 0u);
    EXPECT_EQ(cluster.now() - before, milliseconds(50));
    EXPECT_EQ(client.poll(done, Duration{}), 0u);
}

// With a full window an append waits for room, it doesn't fail.
TEST_F(ClientFace, AppendBehindAFullWindow) {
    options.window_batches = 2;
    Client client = open();
    EXPECT_NE(client.submit("one"), 0u);
    EXPECT_NE(client.submit("two"), 0u);
    EXPECT_EQ(client.submit("refused"), 0u);
    EXPECT_EQ(client.append("three").first, Lsn{3});
}

TEST_F(ClientFace, TailReadsAndFollows) {
    Client client = open();
    for (const char* text : {"a", "b", "c"}) client.append(text);
    Tail tail = client.tail({.from = From::lsn, .value = 2, .follow = true});
    Record some[8];
    std::vector<std::string> texts;
    auto read = [&](size_t wanted) {
        while (texts.size() < wanted) {
            size_t count = tail.next(some, seconds(1));
            if (count == 0) return false;
            for (size_t i = 0; i < count; ++i) texts.emplace_back(as_text(some[i].data));
        }
        return true;
    };
    ASSERT_TRUE(read(2));
    EXPECT_EQ(tail.next(some, milliseconds(10)), 0u);
    EXPECT_TRUE(tail.caught_up());
    client.append("d");
    ASSERT_TRUE(read(3));
    EXPECT_EQ(texts, (std::vector<std::string>{"b", "c", "d"}));
    EXPECT_FALSE(tail.ended());
}

// A caller that comes back late must find what came in the meantime, not a time-out.
TEST_F(ClientFace, ALongPauseBetweenCallsIsNoTimeOut) {
    Client client = open();
    ASSERT_EQ(client.append("one").outcome, Outcome::committed);
    client.submit("two");
    Appended done[4];
    ASSERT_EQ(client.poll(done, microseconds(150)), 0u);  // the answer is on its way
    cluster.pass(seconds(30));
    ASSERT_EQ(client.poll(done, Duration{}), 1u);
    EXPECT_EQ(done[0].outcome, Outcome::committed);
}

TEST_F(ClientFace, ConnectTellsWhoIsThere) {
    cluster.member(1).reach = FakeMember::Reach::refuses;
    Client client = open();
    ASSERT_TRUE(client.connect(seconds(5)));
    ClusterView view = client.cluster();
    EXPECT_EQ(view.members.size(), 3u);
    EXPECT_EQ(view.members[0].result, "connection refused");
    EXPECT_EQ(view.limits.record_bytes_max, 1u << 20);
    options.cluster = ClusterId{5, 5};
    Client stranger = open();
    auto refused = stranger.connect(seconds(5));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unreachable);  // n1 might still be of that cluster
}

}  // namespace
}  // namespace raftd::client
