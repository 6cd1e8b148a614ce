// One clock a year ahead in a whole cluster (H9): the log's time goes on as if nothing were. The checks of
// sim/log_time.h run besides, on every entry.
#include <gtest/gtest.h>

#include "tests/support/sim_fixture.h"

namespace raftd::sim {
namespace {

constexpr int64_t kYear = 365ll * 24 * 3600 * 1000;

struct ClockTest : SimFixture, testing::TestWithParam<int64_t> {
    ClockTest() : SimFixture(21) {}

    void SetUp() override {
        ClientLoad load;
        load.appends_per_second = 50;
        load.reads_per_second = 0;
        for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.start(i);
        start_writer(load);
        until_acked(20);
    }
    void until_acked(uint64_t more) {
        uint64_t wanted = writer->acked() + more;
        until([&] { return writer->acked() >= wanted; });
    }
    int64_t true_ms() const { return kWallStartMs + kernel.now().ns / 1'000'000; }
    /// How far the log's time is from the time, in ms; positive: ahead.
    int64_t off() { return static_cast<int64_t>(cluster.truth().committed_time_ms()) - true_ms(); }
    void jump(uint32_t member) { cluster.clock(member).set_wall(kernel.now(), GetParam()); }
    bool has_alarm(uint32_t member, const std::string& name) const {
        return cluster.dump(member).find("alarm=clock_skew member=" + name + " ") != std::string::npos;
    }
    void expect_near(const char* when) {
        EXPECT_LT(off(), 1000) << when;
        EXPECT_GT(off(), -3000) << when;
    }
};

TEST_P(ClockTest, OfTheLeader) {
    uint32_t bad = leader();
    jump(bad);
    until_acked(1000);
    ASSERT_EQ(leader(), bad);
    expect_near("while it leads");
    EXPECT_TRUE(has_alarm(bad, Cluster::name_of(bad)));
    cluster.kill(bad);
    until_acked(200);
    expect_near("when another leads");
    cluster.start(bad);
    until_acked(1000);
    expect_near("when it follows");
    cluster.clock(bad).set_wall(kernel.now(), 0);
    until_acked(200);
    expect_near("when it is right again");
    for (uint32_t i = 1; i <= cluster.count(); ++i) EXPECT_FALSE(has_alarm(i, Cluster::name_of(bad))) << i;
}

TEST_P(ClockTest, OfAFollower) {
    uint32_t bad = leader() % 3 + 1;
    jump(bad);
    until_acked(1000);
    expect_near("while it is heard");
    EXPECT_TRUE(has_alarm(leader(), Cluster::name_of(bad)));
}

// It leads only with a majority that disagrees with it, so its first entry already is stamped right.
TEST_P(ClockTest, OfOneThatIsElected) {
    uint32_t bad = leader() % 3 + 1, third = 6 - leader() - bad;
    jump(bad);
    until_acked(50);
    for (int attempts = 0; leader() != bad; ++attempts) {
        ASSERT_LT(attempts, 20);
        uint32_t other = leader();
        cluster.kill(other);
        until_acked(20);
        cluster.start(other);
        until_acked(50);
    }
    expect_near("after the change");
    cluster.kill(third == leader() ? 6 - third - bad : third);
    until_acked(500);
    expect_near("with one follower");
}

INSTANTIATE_TEST_SUITE_P(Jumps, ClockTest, testing::Values(kYear, -kYear, 60'000));

}  // namespace
}  // namespace raftd::sim
