// Clusters on broken networks and disks: appends go on wherever a leader can reach a majority, and terms
// hardly rise (H19, H20, H21, H27).
#include <gtest/gtest.h>

#include "sim/client.h"
#include "sim/cluster.h"

namespace raftd::sim {
namespace {

using Link = std::pair<uint32_t, uint32_t>;

struct World {
    Kernel kernel;
    SimNetwork network;
    Trace trace;
    Reached reached;
    Cluster cluster;
    Ledger ledger;
    SimClient writer;

    explicit World(uint64_t seed, const ClusterOptions& options)
        : kernel(seed),
          network(kernel, seed + 1),
          cluster(kernel, network, trace, reached, options),
          ledger(cluster.truth(), reached),
          writer(kernel, network, ledger, reached, 1, cluster.names(),
                 {.appends_per_second = 20, .reads_per_second = 0, .numbered = 1}) {
        for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.start(i);
        writer.start();
    }

    uint32_t leader() { return cluster.truth().leader(); }
    uint64_t term() { return raw(cluster.truth().term_max()); }
    Duration timeouts(int64_t count) const { return cluster.election_timeout() * count; }
    void run(Duration time) { kernel.run_until(kernel.now() + time); }
    template <class Done>
    bool until(Duration within, Done&& done) {
        Instant end = kernel.now() + within;
        while (!done() && kernel.now() < end) run(milliseconds(5));
        return done();
    }
    void cut(const std::vector<Link>& ways, bool on) {
        for (auto [from, to] : ways) network.cut(from, to, on);
    }
    void isolate(uint32_t member, bool on) {
        for (uint32_t other = 1; other <= cluster.count(); ++other)
            if (other != member) cut({{member, other}, {other, member}}, on);
    }
    /// Somebody else may have to take over first; from then on appends are acknowledged in each stretch of
    /// two election timeouts.
    void expect_appends(Duration time) {
        const uint64_t before = writer.acked();
        EXPECT_TRUE(until(timeouts(5), [&] { return writer.acked() > before + 5; }));
        for (Instant end = kernel.now() + time; kernel.now() < end;) {
            const uint64_t acked = writer.acked();
            run(timeouts(2));
            EXPECT_GT(writer.acked(), acked) << "at " << kernel.now().ns / 1'000'000 << " ms";
        }
    }
    /// Leads from here on.
    bool lead(uint32_t member) {
        return until(timeouts(60), [&] {
            if (leader() == member && cluster.truth().committed() > 0) return true;
            if (uint32_t other = leader(); other != 0 && other != member) {
                isolate(other, true);
                run(timeouts(2));
                isolate(other, false);
                run(timeouts(2));
            }
            return leader() == member;
        });
    }
};

/// Cuts these ways under each leader in turn, and heals them.
void expect_calm(uint32_t members, const std::vector<Link>& ways) {
    for (uint32_t first = 1; first <= members; ++first) {
        SCOPED_TRACE("n" + std::to_string(first) + " leads");
        World world(members * 100 + first, {.members = members});
        ASSERT_TRUE(world.lead(first));
        world.run(world.timeouts(2));
        const uint64_t before = world.term();
        world.cut(ways, true);
        world.expect_appends(world.timeouts(16));
        EXPECT_LE(world.term(), before + 3);
        world.cut(ways, false);
        world.expect_appends(world.timeouts(4));
        EXPECT_LE(world.term(), before + 3);
    }
}

/// Both ways between all that aren't neighbours.
std::vector<Link> all_but(uint32_t members, const std::vector<Link>& neighbours) {
    std::vector<Link> ways;
    for (uint32_t a = 1; a <= members; ++a)
        for (uint32_t b = 1; b <= members; ++b) {
            bool linked = false;
            for (auto [x, y] : neighbours) linked |= (a == x && b == y) || (a == y && b == x);
            if (a != b && !linked) ways.emplace_back(a, b);
        }
    return ways;
}

struct OneWay : testing::TestWithParam<uint32_t> {};
TEST_P(OneWay, AnyPairOfTheMembers) {
    for (uint32_t from = 1; from <= GetParam(); ++from)
        for (uint32_t to = 1; to <= GetParam(); ++to) {
            if (from == to) continue;
            SCOPED_TRACE("cut n" + std::to_string(from) + " to n" + std::to_string(to));
            expect_calm(GetParam(), {{from, to}});
        }
}
INSTANTIATE_TEST_SUITE_P(Topology, OneWay, testing::Values(3, 5));

TEST(Topology, ABridge) { expect_calm(5, all_but(5, {{1, 2}, {4, 5}, {3, 1}, {3, 2}, {3, 4}, {3, 5}})); }
TEST(Topology, AChainOfThree) { expect_calm(3, all_but(3, {{1, 2}, {2, 3}})); }
TEST(Topology, AChainOfFive) { expect_calm(5, all_but(5, {{1, 2}, {2, 3}, {3, 4}, {4, 5}})); }
TEST(Topology, ARing) { expect_calm(5, all_but(5, {{1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 1}})); }

TEST(Topology, AFlappingLink) {
    for (uint32_t members : {3u, 5u})
        for (int64_t ms : {70, 330, 600, 1500}) {
            SCOPED_TRACE(std::to_string(members) + " members, every " + std::to_string(ms) + " ms");
            World world(members * 1000 + static_cast<uint64_t>(ms), {.members = members});
            ASSERT_TRUE(world.lead(1));
            const uint64_t before = world.term();
            uint64_t acked = world.writer.acked();
            for (int i = 0; i < 40; ++i) {
                world.cut({{1, 2}, {2, 1}}, i % 2 == 0);
                world.run(milliseconds(ms));
                if (i % 8 != 7) continue;
                EXPECT_GT(world.writer.acked(), acked);
                acked = world.writer.acked();
            }
            EXPECT_LE(world.term(), before + 3);
        }
}

// H20: a leader's disk isn't needed for a majority, so it could lead for ever.
TEST(Topology, AHungDiskMovesLeadership) {
    for (uint32_t members : {3u, 5u}) {
        World world(members, {.members = members});
        ASSERT_TRUE(world.lead(2));
        const uint64_t before = world.term();
        world.cluster.disk(2).hung_until = world.kernel.now() + seconds(3600);
        EXPECT_TRUE(
            world.until(world.timeouts(5), [&] { return world.leader() != 0 && world.leader() != 2; }));
        world.expect_appends(world.timeouts(20));
        EXPECT_NE(world.leader(), 2u);
        EXPECT_LE(world.term(), before + 3);
    }
}

// H19: a leader without room refuses what the others could take.
TEST(Topology, AFullDiskMovesLeadership) {
    for (uint32_t members : {3u, 5u}) {
        World world(members, {.members = members});
        ASSERT_TRUE(world.lead(2));
        const uint64_t before = world.term();
        world.cluster.storage(2).set_room(8u << 10);
        EXPECT_TRUE(
            world.until(world.timeouts(5), [&] { return world.leader() != 0 && world.leader() != 2; }));
        world.expect_appends(world.timeouts(20));
        EXPECT_NE(world.leader(), 2u);
        EXPECT_LE(world.term(), before + 3);
    }
}

// H27: a preferred member that is in and out of order doesn't draw leadership to itself again and again.
TEST(Topology, PriorityHandsOverAtMostOnceInTenTimeouts) {
    World world(7, {.members = 3, .priorities = {0, 9, 0}});
    const Duration rest = world.timeouts(10);
    std::vector<Instant> led_at;
    uint32_t before = 0;
    const Instant end = world.kernel.now() + world.timeouts(200);
    for (int64_t step = 0; world.kernel.now() < end; ++step) {
        if (step % 300 == 150) world.cluster.disk(2).hung_until = world.kernel.now() + world.timeouts(2);
        world.run(milliseconds(10));
        const uint32_t leader = world.leader();
        if (leader == 2 && before != 2) led_at.push_back(world.kernel.now());
        if (leader != 0) before = leader;
    }
    EXPECT_GE(led_at.size(), 3u);  // it did come to lead
    for (size_t i = 1; i < led_at.size(); ++i) EXPECT_GE(led_at[i] - led_at[i - 1], rest);
}

}  // namespace
}  // namespace raftd::sim
