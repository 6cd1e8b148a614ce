// H9: one bad clock must not move the log's time. Without these a leader whose clock is a year ahead would
// expire every producer with one entry, and then time would stand still for a year.
#include <gtest/gtest.h>

#include "base/random.h"
#include "daemon/log_clock.h"

namespace raftd::daemon {
namespace {

constexpr int64_t kEpoch = 1'790'000'000'000;
constexpr int64_t kYear = 365ll * 24 * 3600 * 1000;

Membership voters(std::initializer_list<uint64_t> now, std::initializer_list<uint64_t> next = {}) {
    Membership members;
    for (uint64_t id : now) members.now.push_back({NodeId{id}});
    for (uint64_t id : next) members.next.push_back({NodeId{id}});
    return members;
}

/// Member 1 leads. Each clock is true time plus an offset, unless it has stopped.
struct ClockRig : testing::Test {
    LogClock clock{NodeId{1}, seconds(10), seconds(1)};
    Instant now{5'000'000'000};
    int64_t offset[8] = {};
    bool stopped[8] = {};
    int64_t shown[8] = {};
    uint64_t newest = 0;

    ClockRig() { clock.set_members(voters({1, 2, 3})); }
    int64_t true_ms() const { return kEpoch + now.ns / 1'000'000; }
    int64_t wall(int member) {
        if (!stopped[member]) shown[member] = true_ms() + offset[member];
        return shown[member];
    }
    void answer(int member) { clock.heard(NodeId(member), static_cast<uint64_t>(wall(member)), now); }
    uint64_t stamp() {
        uint64_t made = raw(clock.stamp(now, wall(1), newest));
        EXPECT_GE(made, newest) << "a stamp fell";
        return newest = made;
    }
    /// Time passes, with an answer of each of `heard` every 100 ms.
    void pass(int64_t ms, std::initializer_list<int> heard) {
        for (int64_t at = 0; at < ms; at += 100) {
            now = now + milliseconds(std::min<int64_t>(100, ms - at));
            for (int member : heard) answer(member);
            clock.watch(now, wall(1));
        }
    }
};
using LogClockTest = ClockRig;

TEST_F(LogClockTest, FollowsItsClockWhileAllAgree) {
    offset[2] = -4000, offset[3] = 5000;
    pass(100, {2, 3});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    pass(2500, {2, 3});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    EXPECT_TRUE(clock.agreed());
    EXPECT_FALSE(clock.alarm());
}

TEST_F(LogClockTest, AMajorityIsEnough) {
    pass(100, {2});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    EXPECT_TRUE(clock.agreed());
}

// A leader cut off from all others can't know whether its clock is right.
TEST_F(LogClockTest, WithoutAMajorityTimeIsCounted) {
    pass(100, {2, 3});
    uint64_t before = stamp();
    offset[1] = kYear;
    pass(3000, {});
    EXPECT_EQ(stamp(), before + 3000);
    EXPECT_FALSE(clock.agreed());
    EXPECT_FALSE(clock.alarm());  // nobody disagrees
}

TEST_F(LogClockTest, AloneItFollowsItsOwnClock) {
    clock.set_members(voters({1}));
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    offset[1] = -kYear;
    uint64_t before = newest;
    EXPECT_EQ(stamp(), before);  // and yet it never falls
}

TEST_F(LogClockTest, ALeaderAYearAheadCountsOnFromTheNewestStamp) {
    pass(100, {2, 3});
    uint64_t before = stamp();
    // The very next stamp, before anybody has answered again.
    offset[1] = kYear;
    EXPECT_EQ(stamp(), before);
    pass(60'000, {2, 3});
    EXPECT_EQ(stamp(), before + 60'000);
    ASSERT_TRUE(clock.alarm());
    EXPECT_EQ(clock.alarm()->member, NodeId{1});
    EXPECT_EQ(clock.alarm()->difference_ms, kYear);
    offset[1] = 0;
    pass(100, {2, 3});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    EXPECT_FALSE(clock.alarm());
}

// As member 2 takes office with a clock a year ahead; the votes already told it of the others' clocks.
TEST_F(LogClockTest, ANewLeaderAYearAheadStampsNothingByIt) {
    newest = static_cast<uint64_t>(true_ms()) - 700;
    uint64_t before = newest;
    offset[1] = kYear;
    answer(2);
    EXPECT_EQ(stamp(), before);
    pass(5000, {2, 3});
    EXPECT_EQ(stamp(), before + 5000);
}

TEST_F(LogClockTest, AFollowerAYearAheadIsNamed) {
    pass(100, {2, 3});
    uint64_t before = stamp();
    offset[3] = kYear;
    pass(10'000, {2, 3});
    EXPECT_EQ(stamp(), before + 10'000);
    ASSERT_TRUE(clock.alarm());
    EXPECT_EQ(*clock.alarm(), (ClockSkew{NodeId{3}, kYear}));
    EXPECT_EQ(text_of(*clock.alarm(), "n3"), "member=n3 difference=+31536000s");
    // Its connection ends: the others agree and are a majority.
    pass(3000, {2});
    EXPECT_FALSE(clock.alarm());
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
}

TEST_F(LogClockTest, OfTwoClocksTheOtherOneIsNamed) {
    pass(100, {2});
    offset[2] = -30'000;
    pass(2000, {2});
    ASSERT_TRUE(clock.alarm());
    EXPECT_EQ(*clock.alarm(), (ClockSkew{NodeId{2}, -30'000}));
    EXPECT_EQ(text_of(*clock.alarm(), "n2"), "member=n2 difference=-30s");
}

// "All heard agree", not "most": two of three clocks can be wrong together.
TEST_F(LogClockTest, TwoClocksAYearAheadDontWinAgainstOne) {
    pass(100, {2, 3});
    uint64_t before = stamp();
    offset[1] = offset[2] = kYear;
    pass(5000, {2, 3});
    EXPECT_EQ(stamp(), before + 5000);
    EXPECT_FALSE(clock.agreed());
}

TEST_F(LogClockTest, TheBoundIsKeptExactly) {
    offset[2] = 10'000;
    pass(100, {2, 3});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    offset[2] = 10'001;
    pass(100, {2, 3});
    stamp();
    EXPECT_FALSE(clock.agreed());
    // Two that stand apart by it in both directions differ by twice as much.
    offset[2] = 6000, offset[3] = -6000;
    pass(100, {2, 3});
    stamp();
    EXPECT_FALSE(clock.agreed());
}

TEST_F(LogClockTest, AStoppedClockOfTheLeaderIsLeftAfterTheBound) {
    pass(100, {2, 3});
    stamp();
    stopped[1] = true;
    uint64_t before = newest;
    pass(9000, {2, 3});
    EXPECT_EQ(stamp(), before);  // within the bound its clock is believed, and stands
    pass(60'000, {2, 3});
    stamp();
    pass(60'000, {2, 3});
    EXPECT_GE(stamp(), before + 60'000);
    EXPECT_LE(newest, before + 130'000);
    ASSERT_TRUE(clock.alarm());
    EXPECT_EQ(clock.alarm()->member, NodeId{1});
    EXPECT_LT(clock.alarm()->difference_ms, -100'000);
}

TEST_F(LogClockTest, AStoppedClockOfAFollowerIsNamed) {
    pass(100, {2, 3});
    stopped[2] = true;
    pass(30'000, {2, 3});
    ASSERT_TRUE(clock.alarm());
    EXPECT_EQ(clock.alarm()->member, NodeId{2});
}

TEST_F(LogClockTest, AClockThatGoesBackHoldsTimeAndNeverLowersIt) {
    pass(100, {2, 3});
    uint64_t before = stamp();
    for (int i = 1; i <= 3; ++i) offset[i] = -5000;  // all together: as when a time server steps
    pass(1000, {2, 3});
    EXPECT_EQ(stamp(), before);
    pass(5000, {2, 3});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms() - 5000));
}

// Counting begins again at each stamp otherwise, and the log's time would run slow under load.
TEST_F(LogClockTest, CountingLosesNoPartsOfAMillisecond) {
    pass(100, {2, 3});
    offset[1] = kYear;
    uint64_t before = stamp();
    for (int i = 0; i < 10'000; ++i) {
        now = now + microseconds(300);
        if (i % 300 == 0) answer(2), answer(3);
        stamp();
    }
    EXPECT_EQ(newest, before + 3000);
}

// An answer that was held up looks like a clock that is behind: time is counted at once, people aren't told.
TEST_F(LogClockTest, ALateAnswerIsNoAlarm) {
    pass(1000, {2, 3});
    stamp();
    uint64_t old = static_cast<uint64_t>(wall(2));
    pass(15'000, {3});
    clock.heard(NodeId{2}, old, now);
    clock.watch(now, wall(1));
    EXPECT_FALSE(clock.agreed());
    pass(200, {2, 3});
    EXPECT_TRUE(clock.agreed());
    EXPECT_FALSE(clock.alarm());
}

TEST_F(LogClockTest, EntriesOfAnotherLeaderAreCountedFrom) {
    pass(100, {2, 3});
    uint64_t mine = stamp();
    offset[1] = kYear;
    newest = mine + 500'000;  // it led meanwhile
    pass(1000, {2, 3});
    EXPECT_EQ(stamp(), mine + 500'000);
    pass(1000, {2, 3});
    EXPECT_EQ(stamp(), mine + 501'000);
    // What I placed was cut: my next one may be earlier than those, never than the log's end.
    newest = mine + 400'000;
    EXPECT_EQ(stamp(), mine + 400'000);
    pass(1000, {2, 3});
    EXPECT_EQ(stamp(), mine + 401'000);
}

TEST_F(LogClockTest, WhileJointBothHalvesMustBeHeard) {
    clock.set_members(voters({1, 2, 3}, {1, 4, 5}));
    pass(100, {2, 3});
    newest = 1000;
    EXPECT_EQ(stamp(), 1000u);
    EXPECT_FALSE(clock.agreed());
    pass(100, {2, 4});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    offset[5] = kYear;
    pass(100, {2, 4, 5});
    stamp();
    EXPECT_FALSE(clock.agreed());
}

TEST_F(LogClockTest, LearnersDontCount) {
    Membership members = voters({1, 2, 3, 4});
    members.now[3].learner = true;
    clock.set_members(members);
    offset[4] = kYear;
    pass(100, {2, 4});
    EXPECT_EQ(stamp(), static_cast<uint64_t>(true_ms()));
    pass(3000, {4});
    stamp();
    EXPECT_FALSE(clock.agreed());
}

TEST_F(LogClockTest, AbsurdClocksOverflowNothing) {
    newest = 77;
    for (uint64_t wall : {uint64_t{0}, UINT64_MAX, uint64_t{1} << 63}) {
        clock.heard(NodeId{2}, wall, now);
        clock.heard(NodeId{3}, UINT64_MAX - wall, now);
        for (int64_t mine : {INT64_MIN, int64_t{-1}, INT64_MAX})
            newest = raw(clock.stamp(now = now + seconds(1), mine, newest));
        clock.watch(now, INT64_MAX);
    }
    EXPECT_LE(newest, uint64_t{1} << 52);
    newest = UINT64_MAX;
    EXPECT_EQ(raw(clock.stamp(now + seconds(9), 5, newest)), UINT64_MAX);
}

// Any clocks, any answers: stamps never fall, and without an agreement they pass no faster than time does.
TEST_F(LogClockTest, RandomClocks) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        Random random(seed);
        clock = LogClock(NodeId{1}, seconds(10), seconds(1));
        clock.set_members(voters({1, 2, 3}));
        newest = static_cast<uint64_t>(true_ms());
        for (int i = 0; i < 500; ++i) {
            now = now + microseconds(static_cast<int64_t>(random.below(300'000)));
            int member = static_cast<int>(1 + random.below(3));
            if (random.chance(0.05))
                offset[member] =
                    random.chance(0.5) ? 0 : kYear - static_cast<int64_t>(random.below(2 * kYear));
            if (random.chance(0.02)) stopped[member] = !stopped[member];
            if (member != 1) answer(member);
            uint64_t before = newest;
            Instant at = now;
            now = now + microseconds(static_cast<int64_t>(random.below(50'000)));
            stamp();
            uint64_t wall_now = static_cast<uint64_t>(std::max<int64_t>(wall(1), 0));
            if (clock.agreed()) {
                ASSERT_EQ(newest, std::max(before, wall_now)) << seed;
            } else {
                uint64_t passed = static_cast<uint64_t>((now - at).ns / 1'000'000);
                ASSERT_LE(newest, before + passed + 300 + 1) << seed;
            }
        }
    }
}

}  // namespace
}  // namespace raftd::daemon
