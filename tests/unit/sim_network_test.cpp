#include "sim/network.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace raftd::sim {
namespace {

constexpr auto kType = proto::FrameType::append_entries;

/// A process that listens and remembers what it is told.
struct Peer : io::Handler {
    SimStorage storage;
    DiskModel disk;
    ClockModel clock;
    std::unique_ptr<Machine> machine;
    std::vector<uint32_t> got;  // streams of frames
    std::vector<io::CloseReason> closed;
    std::vector<io::ConnId> opened;
    uint64_t turns = 0;

    Peer(Kernel& kernel, SimNetwork& network, uint32_t host)
        : machine(std::make_unique<Machine>(kernel, storage, disk, clock, network, host, host + 100)) {
        machine->set_handler(this);
    }
    void handle(io::Event& event) override {
        if (auto* frame = std::get_if<io::Frame>(&event.what)) got.push_back(frame->stream);
        if (auto* open = std::get_if<io::Opened>(&event.what)) opened.push_back(open->conn);
        if (auto* end = std::get_if<io::Closed>(&event.what)) closed.push_back(end->why);
    }
    void end_turn(Instant) override { ++turns; }
    io::Network& net() { return machine->io().network; }
    void send(io::ConnId conn, uint32_t stream) {
        uint32_t size = 4;
        Slice frame = proto::make_frame(kType, stream, proto::fixed_bytes(size));
        machine->run([&] { net().send(conn, {&frame, 1}); });
    }
};

struct SimNetworkTest : testing::Test {
    Kernel kernel{1};
    SimNetwork network{kernel, 2};
    Peer a{kernel, network, 1}, b{kernel, network, 2};

    io::ConnId connect() {
        b.net().listen(io::ConnClass::peer_control, "b:1");
        io::ConnId conn = a.net().connect(io::ConnClass::peer_control, "b:1");
        run(seconds(1));
        return conn;
    }
    void run(Duration time) { kernel.run_until(kernel.now() + time); }
};

TEST_F(SimNetworkTest, FramesArriveWholeAndInOrder) {
    io::ConnId conn = connect();
    ASSERT_EQ(a.opened.size(), 1u);
    ASSERT_EQ(b.opened.size(), 1u);
    network.model.tail = 0.5;
    for (uint32_t i = 0; i < 100; ++i) a.send(conn, i);
    b.send(b.opened[0], 7);
    run(seconds(1));
    ASSERT_EQ(b.got.size(), 100u);
    for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(b.got[i], i);
    EXPECT_EQ(a.got, std::vector<uint32_t>{7});
}

TEST_F(SimNetworkTest, NobodyListeningIsRefused) {
    a.net().connect(io::ConnClass::client, "nowhere:1");
    run(seconds(1));
    EXPECT_EQ(a.closed, std::vector{io::CloseReason::refused});
}

TEST_F(SimNetworkTest, CutDirectionHoldsFramesUntilHealed) {
    io::ConnId conn = connect();
    network.cut(1, 2, true);
    a.send(conn, 1);
    b.send(b.opened[0], 2);
    run(seconds(1));
    EXPECT_TRUE(b.got.empty());
    EXPECT_EQ(a.got.size(), 1u);
    network.cut(1, 2, false);
    run(seconds(1));
    EXPECT_EQ(b.got.size(), 1u);
    EXPECT_TRUE(a.closed.empty());
}

TEST_F(SimNetworkTest, CutForLongTimesOutAndTheOtherEndLearnsLater) {
    io::ConnId conn = connect();
    network.cut(1, 2, true);
    a.send(conn, 1);
    run(seconds(5));
    EXPECT_EQ(a.closed, std::vector{io::CloseReason::timed_out});
    run(seconds(10));
    network.heal_all();
    run(seconds(5));
    EXPECT_EQ(b.closed.size(), 1u);
    EXPECT_TRUE(b.got.empty());
}

TEST_F(SimNetworkTest, KilledProcessResetsAtOnceAPowerCutSaysNothing) {
    connect();
    b.machine.reset();
    run(milliseconds(100));
    EXPECT_EQ(a.closed, std::vector{io::CloseReason::reset});

    Peer c(kernel, network, 3);
    c.net().listen(io::ConnClass::peer_control, "c:1");
    a.closed.clear();
    a.net().connect(io::ConnClass::peer_control, "c:1");
    run(seconds(1));
    network.set_host_up(3, false);
    c.machine.reset();
    run(seconds(1));
    EXPECT_TRUE(a.closed.empty());
    run(seconds(10));
    EXPECT_EQ(a.closed, std::vector{io::CloseReason::timed_out});
}

TEST_F(SimNetworkTest, PausedReaderHoldsTheSenderBack) {
    io::ConnId conn = connect();
    b.net().pause_reading(b.opened[0], true);
    std::vector<std::byte> body(3u << 20);
    uint32_t size = 4;
    for (uint32_t i = 0; i < 2; ++i) {
        Slice frame = proto::make_frame(kType, i, proto::fixed_bytes(size), body);
        a.machine->run([&] { a.net().send(conn, {&frame, 1}); });
    }
    run(seconds(1));
    EXPECT_TRUE(b.got.empty());
    EXPECT_GT(a.net().queued_bytes(conn), io::Network::kHighWaterBytes);
    uint64_t turns = a.turns;
    b.net().pause_reading(b.opened[0], false);
    run(seconds(1));
    EXPECT_EQ(b.got.size(), 2u);
    EXPECT_EQ(a.net().queued_bytes(conn), 0u);
    EXPECT_GT(a.turns, turns);  // Writable came
}

TEST_F(SimNetworkTest, DatagramFaultDropsDoublesAndReorders) {
    io::ConnId conn = connect();
    network.model.datagram_drop = network.model.datagram_double = network.model.datagram_reorder = 0.2;
    for (uint32_t i = 0; i < 500; ++i) a.send(conn, i);
    run(seconds(10));
    EXPECT_GT(network.totals.dropped, 50u);
    EXPECT_GT(network.totals.doubled, 50u);
    EXPECT_FALSE(std::is_sorted(b.got.begin(), b.got.end()));
    EXPECT_EQ(b.got.size(), 500 - network.totals.dropped + network.totals.doubled);
}

TEST_F(SimNetworkTest, PausedProcessTakesItsFramesAfterwards) {
    io::ConnId conn = connect();
    b.machine->pause(true);
    a.send(conn, 1);
    run(seconds(1));
    EXPECT_TRUE(b.got.empty());
    b.machine->pause(false);
    run(seconds(1));
    EXPECT_EQ(b.got.size(), 1u);
}

TEST_F(SimNetworkTest, LocalCloseDeliversWhatWasSentFirst) {
    io::ConnId conn = connect();
    a.send(conn, 1);
    a.net().close(conn);
    run(seconds(1));
    EXPECT_EQ(b.got.size(), 1u);
    EXPECT_EQ(b.closed, std::vector{io::CloseReason::remote});
    EXPECT_TRUE(a.closed.empty());
}

// The place of a connection that broke by its own last frames was given out twice: the second of two later
// connections took the first one's away, and neither end of that was ever told.
TEST_F(SimNetworkTest, ABreakAtTheLastFrameGivesThePlaceBackOnce) {
    io::ConnId conn = connect();
    network.set_host_up(2, false);
    b.machine.reset();
    network.set_host_up(2, true);
    network.model.reset = 1;
    uint32_t size = 4;
    Slice frame = proto::make_frame(kType, 1, proto::fixed_bytes(size));
    a.machine->run([&] {
        a.net().send(conn, {&frame, 1});
        a.net().close(conn);
    });
    network.model.reset = 0;
    Peer c(kernel, network, 3);
    c.net().listen(io::ConnClass::peer_control, "c:1");
    io::ConnId first = a.net().connect(io::ConnClass::peer_control, "c:1");
    io::ConnId second = a.net().connect(io::ConnClass::peer_control, "c:1");
    run(seconds(1));
    a.send(first, 7);
    a.send(second, 8);
    run(seconds(1));
    std::sort(c.got.begin(), c.got.end());
    EXPECT_EQ(c.got, (std::vector<uint32_t>{7, 8}));
}

// A flipped bit that the frame's checksum covers ends the connection; one in a body arrives.
TEST_F(SimNetworkTest, CorruptFramesEndTheConnectionOrCarryAWrongBody) {
    network.model.corrupt = 1;
    uint64_t ended = 0, arrived = 0;
    for (uint32_t i = 0; i < 200; ++i) {
        a.closed.clear(), b.closed.clear(), b.got.clear(), b.opened.clear(), a.opened.clear();
        io::ConnId conn = connect();
        std::vector<std::byte> body(100);
        uint32_t size = 4;
        Slice frame = proto::make_frame(kType, i, proto::fixed_bytes(size), body);
        a.machine->run([&] { a.net().send(conn, {&frame, 1}); });
        run(seconds(1));
        ASSERT_EQ(b.got.size() + b.closed.size(), 1u);
        arrived += b.got.size();
        if (!b.closed.empty()) {
            ++ended;
            EXPECT_EQ(b.closed[0], io::CloseReason::protocol);
            EXPECT_EQ(a.closed, std::vector{io::CloseReason::reset});
        } else {
            a.net().close(conn);
            run(seconds(1));
        }
    }
    EXPECT_EQ(network.totals.corrupted, 200u);
    EXPECT_GT(ended, 10u);
    EXPECT_GT(arrived, 10u);
}

}  // namespace
}  // namespace raftd::sim
