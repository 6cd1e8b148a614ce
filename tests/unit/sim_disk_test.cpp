// Whole clusters on disks that hang for a while or are full, through kills and power cuts: appends go on or
// come back by themselves, the right member leads, memory stays within bounds, and every start comes up
// (H19, H20, B73, B74, B75).
#include <algorithm>
#include <vector>

#include "tests/support/sim_fixture.h"

namespace raftd::sim {
namespace {

struct Disks : SimFixture {
    explicit Disks(uint64_t seed, const ClusterOptions& options = {}) : SimFixture(seed, options) {
        start_all();
        start_writer({.appends_per_second = 100, .reads_per_second = 0, .numbered = 1});
        until([&] { return writer->acked() > 20; });
    }
    Duration timeout() const { return cluster.election_timeout(); }
    uint64_t term() { return raw(cluster.truth().term_max()); }
    void hang(uint32_t member, Duration time) {
        cluster.disk(member).hung_until = std::max(cluster.disk(member).hung_until, kernel.now() + time);
    }
    void expect_more_acked(Duration at_most) {
        const uint64_t before = writer->acked();
        until([&] { return writer->acked() > before + 10; }, at_most);
    }
    std::vector<uint32_t> followers() {
        std::vector<uint32_t> found;
        for (uint32_t i = 1; i <= cluster.count(); ++i)
            if (i != leader()) found.push_back(i);
        return found;
    }
};

// A stall below half the election timeout moves nobody; a longer one of a leader moves leadership; appends
// are never away for long either way.
TEST(SimDisk, StallsOfAnyLengthOnALeader) {
    const std::vector<int64_t> stalls = {1, 3, 10, 30, 100, 300, 450, 900, 1100, 2500, 10'000, 30'000};
    for (int64_t ms : stalls) {
        Disks world(100 + static_cast<uint64_t>(ms));
        const int64_t timeout_ms = world.timeout().ns / 1'000'000;
        const uint32_t old = world.leader();
        const uint64_t term = world.term();
        world.hang(old, milliseconds(ms));
        if (ms * 2 < timeout_ms) {
            world.run_for(milliseconds(ms) + world.timeout() * 3);
            EXPECT_EQ(world.leader(), old) << ms;
            EXPECT_EQ(world.term(), term) << ms;
        } else if (ms > 2 * timeout_ms) {
            world.until([&] { return world.leader() != 0 && world.leader() != old; }, world.timeout() * 4);
        }
        world.expect_more_acked(world.timeout() * 8);
        world.run_for(milliseconds(ms));
        world.until([&] { return world.cluster.node(old)->core().last() > Index{} && world.leader() != 0; });
        world.expect_states_equal();
        EXPECT_LE(world.term(), term + 3) << ms;
    }
}

TEST(SimDisk, StallsOfAnyLengthOnAFollowerMoveNobody) {
    for (int64_t ms : {1, 30, 300, 1100, 5000, 30'000}) {
        Disks world(200 + static_cast<uint64_t>(ms));
        const uint32_t leads = world.leader(), hung = world.follower();
        const uint64_t term = world.term();
        world.hang(hung, milliseconds(ms));
        for (int i = 0; i < 5; ++i) {
            world.expect_more_acked(world.timeout());
            world.run_for(milliseconds(ms / 5));
            EXPECT_EQ(world.leader(), leads) << ms;
        }
        world.run_for(milliseconds(ms));
        world.expect_states_equal();
        EXPECT_EQ(world.term(), term) << ms;
    }
}

// Nobody can commit then, and who leads doesn't stay in office on heartbeats; it comes back by itself.
TEST(SimDisk, AMajorityThatHangsComesBackByItself) {
    for (int64_t ms : {500, 3000, 30'000}) {
        Disks world(300 + static_cast<uint64_t>(ms));
        for (uint32_t member : world.followers()) world.hang(member, milliseconds(ms));
        world.run_for(milliseconds(ms) + milliseconds(100));
        world.expect_more_acked(world.timeout() * 10);
        world.expect_states_equal();
    }
}

// H19: some or all disks fill, members are killed or lose power meanwhile and start without a byte to spare.
TEST(SimDisk, FullDisksThroughKillsAndPowerCuts) {
    uint64_t starts_when_full = 0, refused_when_full = 0;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        Disks world(400 + seed);
        Random random(seed);
        for (int round = 0; round < 4; ++round) {
            std::vector<uint32_t> full;
            for (uint32_t i = 1; i <= world.cluster.count(); ++i)
                if (random.chance(round == 0 ? 1 : 0.5)) full.push_back(i);
            for (uint32_t i : full)
                world.cluster.storage(i).set_room(random.chance(0.5) ? 0 : random.below(64u << 10));
            world.run_for(milliseconds(static_cast<int64_t>(random.below(3000))));
            const auto hit = static_cast<uint32_t>(1 + random.below(world.cluster.count()));
            if (random.chance(0.5))
                world.cluster.kill(hit);
            else
                world.cluster.cut_power(hit, CrashPolicy::draw(random));
            world.run_for(milliseconds(static_cast<int64_t>(random.below(500))));
            const bool is_full = std::find(full.begin(), full.end(), hit) != full.end();
            world.cluster.start(hit);
            world.run_for(milliseconds(20));
            starts_when_full += is_full;
            refused_when_full += is_full && !world.cluster.up(hit);
            world.run_for(milliseconds(static_cast<int64_t>(random.below(2000))));
            for (uint32_t i : full) world.cluster.storage(i).set_capacity(UINT64_MAX);
            if (!world.cluster.up(hit)) world.cluster.start(hit);
            world.expect_more_acked(world.timeout() * 20);
        }
        world.expect_states_equal();
    }
    EXPECT_GT(starts_when_full, 80u);
    EXPECT_EQ(refused_when_full, 0u) << "of " << starts_when_full;
}

}  // namespace
}  // namespace raftd::sim
