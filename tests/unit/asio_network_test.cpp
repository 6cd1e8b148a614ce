// Two worlds in one process over loopback sockets, and raw sockets that misbehave.
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/unit/asio_support.h"

namespace raftd::io::asio {
namespace {

using namespace raftd::proto;
constexpr uint64_t kBlock = 64u << 10;

/// A server and a client world with one connection between them.
struct Pair {
    explicit Pair(ConnClass kind = ConnClass::client, LoopOptions options = {}) : server(options) {
        EXPECT_EQ(server.world.network.listen(kind, "127.0.0.1:0"), 0);
        to_server = client.world.network.connect(kind, server.loop.listening().at(0));
        EXPECT_TRUE(run([&] { return !client.opened.empty() && !server.opened.empty(); }));
        to_client = server.opened.at(0).conn;
    }
    bool run(const std::function<bool()>& done) { return run_until({&server, &client}, done); }

    TestWorld server, client;
    ConnId to_server{}, to_client{};
};

/// A plain blocking socket, for what no world of ours would do.
struct RawSocket {
    explicit RawSocket(const std::string& address) : descriptor(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }
    ~RawSocket() { reset(); }
    void reset() {
        if (descriptor >= 0) ::close(descriptor);
        descriptor = -1;
    }
    void write(std::string_view bytes) const {
        EXPECT_EQ(::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    int descriptor;
    bool connected = false;
};

TEST(Network, CarriesFramesBothWaysInOrder) {
    Pair pair(ConnClass::peer_control);
    std::vector<std::string> bodies;
    for (size_t size : {0ul, 10ul, 300ul, 5000ul, 70000ul, 1ul << 20, 12ul << 20, 1ul})
        bodies.push_back(body_text(size, size));
    for (size_t i = 0; i < bodies.size(); ++i) {
        send_frame(pair.client, pair.to_server, static_cast<uint32_t>(i), bodies[i]);
        send_frame(pair.server, pair.to_client, static_cast<uint32_t>(i), bodies[bodies.size() - 1 - i]);
    }
    ASSERT_TRUE(pair.run([&] {
        return pair.server.frames.size() == bodies.size() && pair.client.frames.size() == bodies.size();
    }));
    for (size_t i = 0; i < bodies.size(); ++i) {
        EXPECT_EQ(pair.server.frames[i].stream, i);
        EXPECT_TRUE(body_of(pair.server.frames[i].bytes) == bodies[i]);
        EXPECT_TRUE(body_of(pair.client.frames[i].bytes) == bodies[bodies.size() - 1 - i]);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(pair.server.frames[i].bytes.data()) % 8, 0u);
    }
    EXPECT_TRUE(pair.server.opened[0].accepted);
    EXPECT_FALSE(pair.client.opened[0].accepted);
    EXPECT_TRUE(pair.server.opened[0].peer.starts_with("127.0.0.1:"));
}

TEST(Network, ConnectsByNameToo) {
    TestWorld server, client;
    ASSERT_EQ(server.world.network.listen(ConnClass::client, "127.0.0.1:0"), 0);
    std::string port = server.loop.listening()[0].substr(10);
    client.world.network.connect(ConnClass::client, "localhost:" + port);
    EXPECT_TRUE(run_until({&server, &client}, [&] { return !client.opened.empty(); }));
}

TEST(Network, SaysWhyAConnectionDidNotComeUp) {
    TestWorld world;
    ASSERT_EQ(world.world.network.listen(ConnClass::client, "127.0.0.1:0"), 0);
    std::string taken = world.loop.listening()[0];
    EXPECT_EQ(world.world.network.listen(ConnClass::client, taken), EADDRINUSE);
    EXPECT_EQ(world.world.network.listen(ConnClass::client, "no port"), EINVAL);
    EXPECT_EQ(world.world.network.listen(ConnClass::client, "::1:80"), EINVAL);
    std::map<ConnId, CloseReason> expected;
    expected[world.world.network.connect(ConnClass::client, "127.0.0.1:1")] = CloseReason::refused;
    expected[world.world.network.connect(ConnClass::client, "unix:/nonexistent/socket")] =
        CloseReason::refused;
    expected[world.world.network.connect(ConnClass::client, "nonsense")] = CloseReason::unreachable;
    expected[world.world.network.connect(ConnClass::client, "no-such-host.invalid:80")] =
        CloseReason::unreachable;
    ASSERT_TRUE(run_until({&world}, [&] { return world.closed.size() == expected.size(); }));
    for (const Closed& closed : world.closed) EXPECT_EQ(closed.why, expected.at(closed.conn));
    EXPECT_TRUE(world.opened.empty());
}

// A socket that listens with a full queue never answers: only our own timer ends the attempt.
TEST(Network, GivesUpConnectingAfterTheTimeout) {
    int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof at;
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), bytes), 0);
    ASSERT_EQ(::listen(listener, 0), 0);
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &bytes), 0);
    std::string address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    LoopOptions options;
    options.connect_timeout = milliseconds(200);
    TestWorld world(options);
    for (int i = 0; i < 4; ++i) world.world.network.connect(ConnClass::peer_control, address);
    ASSERT_TRUE(run_until({&world}, [&] { return !world.closed.empty(); }));
    EXPECT_EQ(world.closed[0].why, CloseReason::timed_out);
    ::close(listener);
}

TEST(Network, WhatIsQueuedBeforeCloseStillArrives) {
    Pair pair;
    std::string body = body_text(3u << 20, 5);
    send_frame(pair.server, pair.to_client, 1, body);
    send_frame(pair.client, pair.to_server, 2,
               "unread");  // unread input must not turn the close into a reset
    pair.server.world.network.close(pair.to_client);
    ASSERT_TRUE(pair.run([&] { return !pair.client.closed.empty(); }));
    ASSERT_EQ(pair.client.frames.size(), 1u);
    EXPECT_TRUE(body_of(pair.client.frames[0].bytes) == body);
    EXPECT_EQ(pair.client.closed[0].why, CloseReason::remote);
    EXPECT_TRUE(pair.server.closed.empty());  // closed here: no event
    EXPECT_TRUE(pair.server.frames.empty());
}

TEST(Network, ClosingInsideAnEventIsSafe) {
    Pair pair;
    pair.server.on_frame = [&](Frame& frame) { pair.server.world.network.close(frame.conn); };
    for (uint32_t i = 0; i < 100; ++i) send_frame(pair.client, pair.to_server, i, "x");
    ASSERT_TRUE(pair.run([&] { return !pair.client.closed.empty(); }));
    EXPECT_EQ(pair.server.frames.size(), 1u);
    Slice frame = frame_of(1, "late");
    pair.server.world.network.send(pair.to_client, {&frame, 1});  // dropped
    EXPECT_EQ(pair.server.world.network.queued_bytes(pair.to_client), 0u);
}

TEST(Network, GarbageClosesTheConnectionAndNothingElse) {
    Pair pair;
    uint64_t live = Chunk::live_bytes();
    std::string promise("\xff\xff\xff\xff", 4);  // a frame of 4 GiB
    for (const std::string& garbage :
         {body_text(4096, 3), promise + std::string(12, '\0'), std::string(64, '\0')}) {
        size_t before = pair.server.closed.size();
        RawSocket raw(pair.server.loop.listening()[0]);
        raw.write(garbage);
        ASSERT_TRUE(pair.run([&] { return pair.server.closed.size() > before; }));
        EXPECT_EQ(pair.server.closed.back().why, CloseReason::protocol);
    }
    EXPECT_LE(Chunk::live_bytes(), live + 4 * kBlock);
    send_frame(pair.client, pair.to_server, 1, "fine");
    ASSERT_TRUE(pair.run([&] { return pair.server.frames.size() == 1; }));
}

// Half a frame, and then nothing (slow loris): holds one small block, and the others are served.
TEST(Network, HalfAFrameHoldsLittleAndHurtsNobody) {
    Pair pair;
    std::vector<std::unique_ptr<RawSocket>> slow;
    FrameHeader header{};
    header.length = 8u << 20;
    for (int i = 0; i < 20; ++i) {
        slow.push_back(std::make_unique<RawSocket>(pair.server.loop.listening()[0]));
        slow.back()->write({reinterpret_cast<const char*>(&header), sizeof header});
    }
    ASSERT_TRUE(pair.run([&] { return pair.server.opened.size() == 21; }));
    send_frame(pair.client, pair.to_server, 1, "fine");
    ASSERT_TRUE(pair.run([&] { return pair.server.frames.size() == 1; }));
    EXPECT_LE(Chunk::live_bytes(), 25u * kBlock);
    slow.clear();
    ASSERT_TRUE(pair.run([&] { return pair.server.closed.size() == 20; }));
}

TEST(Network, PausedConnectionKeepsItsFramesForLater) {
    Pair pair;
    pair.server.on_frame = [&](Frame& frame) {
        if (frame.stream == 3) pair.server.world.network.pause_reading(frame.conn, true);
    };
    for (uint32_t i = 0; i < 10; ++i) send_frame(pair.client, pair.to_server, i, "x");
    ASSERT_TRUE(pair.run([&] { return pair.server.frames.size() == 4; }));
    send_frame(pair.client, pair.to_server, 10, "x");
    // A second connection shows that turns go on while the first one keeps silent.
    ConnId other = pair.client.world.network.connect(ConnClass::client, pair.server.loop.listening()[0]);
    send_frame(pair.client, other, 99, "y");
    ASSERT_TRUE(pair.run([&] { return pair.server.frames.size() == 5; }));
    EXPECT_EQ(pair.server.frames.back().stream, 99u);
    pair.server.world.network.pause_reading(pair.to_client, false);
    ASSERT_TRUE(pair.run([&] { return pair.server.frames.size() == 12; }));
    EXPECT_EQ(pair.server.frames.back().stream, 10u);
}

// Back-pressure: a reader that stops makes the sender's queue grow; when it reads again, Writable comes once.
TEST(Network, WritableComesWhenALongQueueHasGone) {
    Pair pair;
    pair.server.world.network.pause_reading(pair.to_client, true);
    std::string body = body_text(1u << 20, 1);
    for (uint32_t i = 0; i < 24; ++i) send_frame(pair.client, pair.to_server, i, body);
    for (int i = 0; i < 50; ++i) {
        Instant soon = pair.client.world.clock.now() + milliseconds(1);
        pair.client.loop.turn(pair.client, soon);
        pair.server.loop.turn(pair.server, soon);
    }
    EXPECT_GT(pair.client.world.network.queued_bytes(pair.to_server), Network::kHighWaterBytes);
    EXPECT_EQ(pair.client.writable, 0);
    pair.server.world.network.pause_reading(pair.to_client, false);
    ASSERT_TRUE(pair.run([&] { return pair.server.frames.size() == 24; }));
    EXPECT_EQ(pair.client.writable, 1);
}

TEST(Network, ResetOfTheOtherEndIsTold) {
    Pair pair;
    auto raw = std::make_unique<RawSocket>(pair.server.loop.listening()[0]);
    ASSERT_TRUE(pair.run([&] { return pair.server.opened.size() == 2; }));
    linger hard{1, 0};
    ::setsockopt(raw->descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    raw.reset();
    ASSERT_TRUE(pair.run([&] { return pair.server.closed.size() == 1; }));
    EXPECT_EQ(pair.server.closed[0].why, CloseReason::reset);
}

// A turn ends after its budget even when more is ready, and a flood on one connection doesn't starve another.
TEST(Network, TurnsAreBoundedAndFair) {
    Pair pair;
    ConnId other = pair.client.world.network.connect(ConnClass::client, pair.server.loop.listening()[0]);
    ASSERT_TRUE(pair.run([&] { return pair.server.opened.size() == 2; }));
    size_t most = 0, before = 0, behind = 0;
    pair.server.on_turn_end = [&] {
        most = std::max(most, pair.server.frames.size() - before);
        before = pair.server.frames.size();
    };
    pair.server.on_frame = [&](Frame& frame) {
        if (frame.stream == 7777) behind = pair.server.frames.size();
    };
    pair.server.world.network.pause_reading(pair.to_client, true);
    for (uint32_t i = 0; i < 30000; ++i) send_frame(pair.client, pair.to_server, i % 1000, "flood");
    for (int i = 0; i < 100; ++i) pair.client.loop.turn(pair.client, Instant{0});
    send_frame(pair.client, other, 7777, "me too");
    pair.client.loop.turn(pair.client, Instant{0});
    pair.server.world.network.pause_reading(pair.to_client, false);
    ASSERT_TRUE(pair.run([&] { return pair.server.frames.size() == 30001; }));
    EXPECT_LE(most, kTurnEventsMax);
    EXPECT_LT(behind, 10000u);
}

TEST(Network, UnixSocketsArePrivateAndReplaceAStaleFile) {
    TemporaryFolder folder;
    std::string deep = folder.path;
    while (deep.size() < 150) deep += "/a-long-folder-name";  // beyond what a socket address holds
    std::filesystem::create_directories(deep);
    for (const std::string& path : {folder / "admin.sock", deep + "/admin.sock"}) {
        std::string address = "unix:" + path;
        TestWorld client;
        {
            TestWorld server;
            ASSERT_EQ(server.world.network.listen(ConnClass::admin, address), 0);
            struct stat about {};
            ASSERT_EQ(::stat(path.c_str(), &about), 0);
            EXPECT_EQ(about.st_mode & 0777, 0600u);
            TestWorld second;
            EXPECT_EQ(second.world.network.listen(ConnClass::admin, address), EADDRINUSE);
            ConnId conn = client.world.network.connect(ConnClass::admin, address);
            send_frame(client, conn, 1, "status");
            ASSERT_TRUE(run_until({&server, &client}, [&] { return server.frames.size() == 1; }));
            EXPECT_EQ(server.opened[0].kind, ConnClass::admin);
        }
        EXPECT_FALSE(std::filesystem::exists(path));
        if (path.size() > 100) continue;
        int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);  // what a killed process leaves
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
        ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        ::close(dead);
        TestWorld server;
        EXPECT_EQ(server.world.network.listen(ConnClass::admin, address), 0);
    }
}

// B103: at the limit of connections the acceptor neither spins nor goes deaf, and peers still get in.
TEST(Network, AtTheLimitOfClientsPeersStillGetInAndServiceComesBack) {
    LoopOptions options;
    options.connections_max = 3;
    TestWorld server(options), client;
    ASSERT_EQ(server.world.network.listen(ConnClass::client, "127.0.0.1:0"), 0);
    ASSERT_EQ(server.world.network.listen(ConnClass::peer_control, "127.0.0.1:0"), 0);
    std::vector<std::unique_ptr<RawSocket>> many;
    for (int i = 0; i < 40; ++i) many.push_back(std::make_unique<RawSocket>(server.loop.listening()[0]));
    ASSERT_TRUE(run_until({&server, &client}, [&] { return server.opened.size() == 3; }));
    ConnId peer = client.world.network.connect(ConnClass::peer_control, server.loop.listening()[1]);
    send_frame(client, peer, 5, "vote");
    ASSERT_TRUE(run_until({&server, &client}, [&] { return server.frames.size() == 1; }));
    int turns = server.turns;
    for (int i = 0; i < 20; ++i) server.loop.turn(server, server.world.clock.now() + milliseconds(1));
    EXPECT_EQ(server.turns, turns);  // nothing happens: no spinning
    many.clear();
    ASSERT_TRUE(run_until({&server, &client}, [&] { return server.closed.size() == 3; }));
    // Dead ones may still be ahead in the queue of the system: a client tries again, as ours does.
    size_t tries = client.closed.size();
    auto try_again = [&] {
        ConnId again = client.world.network.connect(ConnClass::client, server.loop.listening()[0]);
        send_frame(client, again, 6, "back");
    };
    try_again();
    ASSERT_TRUE(run_until({&server, &client}, [&] {
        if (client.closed.size() > tries) {
            tries = client.closed.size();
            try_again();
        }
        return server.frames.size() == 2;
    }));
}

TEST(Network, OutOfDescriptorsAcceptsAgainOnceThereAreSome) {
    TestWorld server, client;
    ASSERT_EQ(server.world.network.listen(ConnClass::client, "127.0.0.1:0"), 0);
    RawSocket raw(server.loop.listening()[0]);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 3;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 20; ++i) server.loop.turn(server, server.world.clock.now() + milliseconds(1));
    EXPECT_TRUE(server.opened.empty());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(run_until({&server}, [&] { return server.opened.size() == 1; }));
    ASSERT_FALSE(server.log.lines.empty());
    EXPECT_TRUE(server.log.lines[0].starts_with("accept_paused"));
}

}  // namespace
}  // namespace raftd::io::asio
