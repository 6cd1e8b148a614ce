// Timer, signals, worker lanes, descriptors of others; and starting and stopping a thousand times.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <thread>

#include "tests/unit/asio_support.h"

namespace raftd::io::asio {
namespace {

TEST(Loop, WakesAtTheEarliestInstantAskedFor) {
    TestWorld world;
    Clock& clock = world.world.clock;
    Instant start = clock.now();
    clock.wake_at(start + seconds(3600));
    clock.wake_at(start + milliseconds(30));
    clock.wake_at(start + milliseconds(90));
    ASSERT_TRUE(run_until({&world}, [&] { return !world.woken.empty(); }));
    EXPECT_GE(world.woken[0], start + milliseconds(30));
    clock.wake_at(Instant{1});  // long past: the next turn
    ASSERT_TRUE(run_until({&world}, [&] { return world.woken.size() == 2; }));
    Instant later = clock.now() + milliseconds(20);
    clock.wake_at(later + milliseconds(20));
    world.loop.turn(world, clock.now() + milliseconds(1));
    clock.wake_at(later);  // earlier than the armed one
    ASSERT_TRUE(run_until({&world}, [&] { return world.woken.size() == 3; }));
    EXPECT_GE(world.woken[2], later);
}

TEST(Loop, ATurnWithoutEventsCallsNobody) {
    TestWorld world;
    EXPECT_FALSE(world.loop.turn(world, Instant{0}));
    EXPECT_FALSE(world.loop.turn(world, world.world.clock.now() + milliseconds(5)));
    EXPECT_EQ(world.turns, 0);
}

TEST(Loop, SignalsBecomeEvents) {
    LoopOptions options;
    options.signals = true;
    TestWorld world(options);
    ::kill(::getpid(), SIGHUP);
    ASSERT_TRUE(run_until({&world}, [&] { return world.reloads == 1; }));
    ::kill(::getpid(), SIGTERM);
    ASSERT_TRUE(run_until({&world}, [&] { return world.stops == 1; }));
    ::kill(::getpid(), SIGINT);
    ASSERT_TRUE(run_until({&world}, [&] { return world.stops == 2; }));
}

struct Adding final : Job {
    Adding(std::vector<int>& order, int its_number) : done(order), number(its_number) {}
    ~Adding() override { destroyed_on = std::this_thread::get_id(); }
    void run(Files&) noexcept override {
        done.push_back(number);
        ran_on = std::this_thread::get_id();
    }
    std::vector<int>& done;
    int number;
    std::thread::id ran_on;
    static inline std::thread::id destroyed_on;
};

TEST(Loop, JobsOfALaneRunInOrderBesideTheLoopAndComeBack) {
    TestWorld world;
    std::vector<int> state, read;
    for (int i = 0; i < 50; ++i) {
        world.world.worker.submit(Lane::state, std::make_unique<Adding>(state, i), Token{1});
        world.world.worker.submit(Lane::read, std::make_unique<Adding>(read, i), Token{2});
    }
    ASSERT_TRUE(run_until({&world}, [&] { return world.completed.size() == 100; }));
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(state[static_cast<size_t>(i)], i);
        EXPECT_EQ(read[static_cast<size_t>(i)], i);
    }
    EXPECT_NE(static_cast<Adding*>(world.completed[0].job.get())->ran_on, std::this_thread::get_id());
    world.completed.clear();
    EXPECT_EQ(Adding::destroyed_on, std::this_thread::get_id());
}

TEST(Loop, WatchesDescriptorsOfOthersWithoutChangingThem) {
    TestWorld world;
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    int fired = 0;
    world.loop.when_readable(pipe[0], [&] { ++fired; });
    for (int i = 0; i < 5; ++i) world.loop.turn(world, world.world.clock.now() + milliseconds(1));
    EXPECT_EQ(fired, 0);
    ASSERT_EQ(::write(pipe[1], "x", 1), 1);
    ASSERT_TRUE(run_until({&world}, [&] { return fired == 1; }));
    for (int i = 0; i < 5; ++i) world.loop.turn(world, Instant{0});
    EXPECT_EQ(fired, 1);  // once, though it is still readable
    EXPECT_EQ(::fcntl(pipe[0], F_GETFL) & O_NONBLOCK, 0);
    FILE* file = std::tmpfile();
    world.loop.when_readable(fileno(file), [&] { ++fired; });
    ASSERT_TRUE(run_until({&world}, [&] { return fired == 2; }));
    std::fclose(file);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

// A program with an event loop of its own relies on it: it must tell of data and of timers, and fall silent
// after.
TEST(Loop, WaitDescriptorTellsWhenThereIsWork) {
    TestWorld server, client;
    auto readable = [](TestWorld& world, int wait_ms) {
        pollfd asked{world.loop.wait_descriptor(), POLLIN, 0};
        return ::poll(&asked, 1, wait_ms) == 1;
    };
    auto work = [](TestWorld& world) {
        while (world.loop.turn(world, Instant{0})) {
        }
    };
    server.world.network.listen(ConnClass::client, "127.0.0.1:0");
    ConnId conn = client.world.network.connect(ConnClass::client, server.loop.listening().at(0));
    while (server.opened.empty() || client.opened.empty()) {
        ASSERT_TRUE(readable(server, 10000) || readable(client, 10000));
        work(server);
        work(client);
    }
    for (int i = 0; i < 3; ++i) work(server);
    EXPECT_FALSE(readable(server, 0));
    send_frame(client, conn, 1, "x");
    client.loop.turn(client, Instant{0});
    ASSERT_TRUE(readable(server, 10000));
    work(server);
    EXPECT_EQ(server.frames.size(), 1u);
    server.world.clock.wake_at(server.world.clock.now() + milliseconds(20));
    work(server);
    ASSERT_TRUE(readable(server, 10000));
    while (server.woken.empty()) work(server);
}

// B102: handlers that outlive what they point to show up here, under the sanitizers above all.
TEST(Loop, EndsCleanlyInTheMiddleOfEverything) {
    TemporaryFolder folder;
    for (int round = 0; round < 200; ++round) {
        std::vector<int> done;  // outlives the jobs that write to it
        LoopOptions options;
        options.data_dir = folder.path;
        TestWorld server(options), client;
        server.world.network.listen(ConnClass::peer_control, "127.0.0.1:0");
        std::string address = server.loop.listening().at(0);
        for (int i = 0; i < 3; ++i) {
            ConnId conn = client.world.network.connect(ConnClass::peer_control, address);
            send_frame(client, conn, 1, body_text(200000, 1));
            client.world.network.connect(ConnClass::client, "localhost:1");
            server.world.worker.submit(Lane::compact, std::make_unique<Adding>(done, i), Token{1});
        }
        server.world.disk.create(folder / "half-made", 64u << 20, Prefill::zeros, true, Token{2});
        server.world.clock.wake_at(server.world.clock.now() + milliseconds(1));
        for (int turn = 0; turn < round % 20; ++turn) {
            server.loop.turn(server, Instant{0});
            client.loop.turn(client, Instant{0});
        }
        if (round % 3 == 0 && !server.opened.empty()) server.world.network.close(server.opened[0].conn);
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "half-made"));
}

}  // namespace
}  // namespace raftd::io::asio
