// Faults of links: what they do to single messages, and what whole simulated clusters make of them.
#include "daemon/faults.h"

#include <gtest/gtest.h>

#include "sim/client.h"
#include "sim/cluster.h"

namespace raftd::daemon {
namespace {

constexpr NodeId kTwo{2}, kThree{3};
constexpr Direction kTo = Direction::to, kFrom = Direction::from;

struct FaultsTest : testing::Test {
    Faults faults{1};
    Instant now{seconds(100).ns};
    Instant later = now + seconds(60);

    /// A message whose first byte is `number`; true when it passed at once.
    bool meet(NodeId peer, Direction direction, uint8_t number = 0, uint32_t bytes = 1) {
        std::vector<std::byte> body(bytes, std::byte{number});
        return faults.meet({peer, direction, {Slice::copy_of(body)}, std::nullopt}, now);
    }
    /// First bytes of all that is due.
    std::string taken() {
        std::string numbers;
        while (auto message = faults.take(now))
            numbers += std::to_string(static_cast<int>(message->slices.front().view()[0])) + " ";
        return numbers;
    }
    std::vector<std::string> lines() const {
        return lines_of(faults.in_force(now), [](NodeId id) { return "n" + std::to_string(raw(id)); });
    }
};

TEST_F(FaultsTest, NothingIsAsCheapAsBefore) {
    EXPECT_FALSE(faults.active());
    EXPECT_EQ(faults.deadline(), kNever);
    EXPECT_TRUE(lines().empty());
}

TEST_F(FaultsTest, DisconnectIsOneWayOrBoth) {
    faults.set(FaultKind::disconnect, kTwo, kTo, {later}, now);
    EXPECT_FALSE(meet(kTwo, kTo));
    EXPECT_TRUE(meet(kTwo, kFrom));
    EXPECT_TRUE(meet(kThree, kTo));
    EXPECT_TRUE(faults.cut(kTwo, now)) << "a handshake needs both ways";
    EXPECT_FALSE(faults.cut(kThree, now));
    faults.set(FaultKind::disconnect, NodeId{}, kFrom, {later}, now);
    EXPECT_FALSE(meet(kTwo, kFrom));
    EXPECT_FALSE(meet(kThree, kFrom));
    EXPECT_TRUE(meet(kThree, kTo));
    EXPECT_EQ(lines(), (std::vector<std::string>{"fault disconnect to n2", "fault disconnect from all"}));
    EXPECT_EQ(faults.counts().lost, 3u);
}

TEST_F(FaultsTest, OneOfAllIsReconnected) {
    for (Direction direction : {kTo, kFrom})
        faults.set(FaultKind::disconnect, NodeId{}, direction, {later}, now);
    faults.end(FaultKind::disconnect, kTwo, kTo, now);
    faults.end(FaultKind::disconnect, kTwo, kFrom, now);
    EXPECT_TRUE(meet(kTwo, kTo));
    EXPECT_FALSE(meet(kThree, kTo));
    EXPECT_EQ(lines().front(), "fault disconnect to all but n2");
    faults.end(FaultKind::disconnect, NodeId{}, kTo, now);
    faults.end(FaultKind::disconnect, NodeId{}, kFrom, now);
    EXPECT_FALSE(faults.active());
}

TEST_F(FaultsTest, ItEndsByItself) {
    faults.set(FaultKind::drop, NodeId{}, kTo, {later, 1'000'000}, now);
    EXPECT_FALSE(meet(kTwo, kTo));
    EXPECT_EQ(faults.deadline(), later);
    EXPECT_FALSE(faults.tick(later - milliseconds(1)));
    EXPECT_TRUE(faults.active());
    now = later;
    EXPECT_TRUE(faults.tick(now));
    EXPECT_FALSE(faults.active());
    EXPECT_TRUE(meet(kTwo, kTo));
}

TEST_F(FaultsTest, DropAndDuplicateMeetTheirShare) {
    faults.set(FaultKind::drop, kTwo, kTo, {later, 200'000}, now);
    int passed = 0;
    for (int i = 0; i < 10'000; ++i) passed += meet(kTwo, kTo);
    EXPECT_NEAR(passed, 8000, 200);
    faults.end_all(now);
    faults.set(FaultKind::duplicate, kThree, kFrom, {later, 300'000}, now);
    int copies = 0;
    for (int i = 0; i < 10'000; ++i) {
        copies += meet(kThree, kFrom);
        while (faults.take(now)) ++copies;
    }
    EXPECT_NEAR(copies, 13'000, 200);
    EXPECT_EQ(faults.counts().doubled, static_cast<uint64_t>(copies - 10'000));
}

TEST_F(FaultsTest, DelayedMessagesComeInOrderAndBeforeWhatIsSentAfterTheDelay) {
    faults.set(FaultKind::delay, kTwo, kTo, {later, 0, milliseconds(100)}, now);
    EXPECT_FALSE(meet(kTwo, kTo, 1));
    now = now + milliseconds(50);
    EXPECT_FALSE(meet(kTwo, kTo, 2));
    EXPECT_TRUE(meet(kTwo, kFrom, 9));
    EXPECT_EQ(taken(), "");
    EXPECT_EQ(faults.deadline(), now + milliseconds(50));
    now = now + milliseconds(50);
    EXPECT_EQ(taken(), "1 ");
    // A shorter delay, or none, lets go of what is held; nothing overtakes it.
    faults.end(FaultKind::delay, kTwo, kTo, now);
    EXPECT_FALSE(meet(kTwo, kTo, 3));
    EXPECT_EQ(taken(), "2 3 ");
    EXPECT_TRUE(meet(kTwo, kTo, 4));
    EXPECT_FALSE(faults.active());
}

TEST_F(FaultsTest, WhatIsHeldIsBoundedAndGoesWithTheConnection) {
    faults.set(FaultKind::delay, NodeId{}, kTo, {later, 0, seconds(10)}, now);
    for (int i = 0; i < 40; ++i) meet(kTwo, kTo, 1, 1u << 20);
    EXPECT_EQ(faults.counts().overflowed, 40 - (Faults::kHeldBytesMax >> 20));
    faults.lost(kTwo);
    EXPECT_EQ(faults.counts().lost, 40u);
    for (size_t i = 0; i < Faults::kHeldMessagesMax + 5; ++i) meet(kThree, kTo, 2);
    EXPECT_EQ(faults.counts().lost, 45u);
    now = later;
    faults.tick(now);
    size_t count = 0;
    while (faults.take(now)) ++count;
    EXPECT_EQ(count, Faults::kHeldMessagesMax);
    EXPECT_FALSE(faults.active());
}

}  // namespace
}  // namespace raftd::daemon

namespace raftd::sim {
namespace {

using daemon::Direction;
using daemon::FaultKind;

struct FaultyCluster : testing::Test {
    Kernel kernel{31};
    SimNetwork network{kernel, 32};
    Trace trace;
    Reached reached;
    Cluster cluster{kernel, network, trace, reached, {}};
    Ledger ledger{cluster.truth(), reached};
    std::unique_ptr<SimClient> client;

    void SetUp() override {
        for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.start(i);
        until([&] { return cluster.truth().leader() != 0 && cluster.truth().committed() > 0; });
        ClientLoad load;
        load.appends_per_second = 200;
        load.reads_per_second = 0;
        load.timeout = seconds(50);
        client = std::make_unique<SimClient>(kernel, network, ledger, reached, 1, cluster.names(), load);
        client->start();
        until([&] { return client->acked() > 20; });
    }
    template <class Done>
    void until(Done&& done) {
        Instant end = kernel.now() + seconds(60);
        while (!done() && kernel.now() < end) kernel.run_until(kernel.now() + milliseconds(1));
        ASSERT_TRUE(done());
    }
    void more(uint64_t count) {
        uint64_t before = client->acked();
        until([&] { return client->acked() >= before + count; });
    }
    uint32_t leader() const {
        uint32_t leads = 0;
        for (uint32_t i = 1; i <= cluster.count(); ++i)
            if (cluster.node(i)->core().role() == raft::Role::leader &&
                (leads == 0 || cluster.node(i)->core().term() > cluster.node(leads)->core().term()))
                leads = i;
        return leads;
    }
    void set(uint32_t member, FaultKind kind, daemon::Fault fault) {
        fault.until = kernel.now() + seconds(30);
        for (Direction direction : {Direction::to, Direction::from})
            cluster.faults(member).set(kind, NodeId{}, direction, fault, kernel.now());
    }
};

TEST_F(FaultyCluster, ADisconnectedLeaderIsReplacedAndComesBackByItself) {
    uint32_t old = leader();
    set(old, FaultKind::disconnect, {});
    until([&] { return leader() != old; });
    EXPECT_EQ(cluster.node(old)->core().role(), raft::Role::follower) << "it can't hear a majority";
    more(50);
    Term term = cluster.node(leader())->core().term();
    kernel.run_until(kernel.now() + seconds(40));  // the fault is over
    EXPECT_FALSE(cluster.faults(old).active());
    until([&] { return cluster.node(old)->core().leader() != NodeId{}; });
    EXPECT_EQ(cluster.node(old)->core().term(), term) << "coming back disturbs nobody";
    more(50);
}

TEST_F(FaultyCluster, LossDoublingAndDelayLoseNothing) {
    for (uint32_t i = 1; i <= cluster.count(); ++i) {
        set(i, FaultKind::drop, {.per_million = 30'000});
        set(i, FaultKind::duplicate, {.per_million = 200'000});
        set(i, FaultKind::delay, {.delay = milliseconds(10)});
    }
    more(200);
    EXPECT_GT(cluster.faults(1).counts().lost, 0u);
    EXPECT_GT(cluster.faults(1).counts().late, 0u);
    EXPECT_GT(cluster.faults(1).counts().doubled, 0u);
    for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.faults(i).end_all(kernel.now());
    more(50);
}

}  // namespace
}  // namespace raftd::sim
