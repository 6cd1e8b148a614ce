// Tails over a cluster in memory: no gap, no repeat, no other history, bounded bytes, and an end to every
// wait.
#include <gtest/gtest.h>

#include "client/session.h"
#include "tests/support/fake_cluster.h"

namespace raftd::client {
namespace {

using raftd::fakes::FakeCluster;
using raftd::fakes::FakeMember;

struct ClientTail : ::testing::Test {
    FakeCluster cluster{3};
    SessionOptions options;
    std::unique_ptr<Session> session;
    TailId id{};
    std::vector<Lsn> lsns;
    std::vector<std::string> texts;

    void SetUp() override { options.endpoints = cluster.addresses(); }
    void start(TailOptions tail) {
        session = std::make_unique<Session>(cluster, cluster, options);
        cluster.attach(*session);
        id = session->open_tail(std::move(tail));
    }
    TailStream& tail() { return session->tail(id); }
    void drain() {
        Record out[7];
        while (size_t count = tail().next(out)) {
            for (size_t i = 0; i < count; ++i) {
                lsns.push_back(out[i].lsn);
                texts.emplace_back(as_text(out[i].data));
            }
        }
    }
    bool read(size_t count, Duration limit = seconds(60)) {
        return cluster.run_until([&] { return drain(), texts.size() >= count; }, limit);
    }
    bool read_to_end() {
        return cluster.run_until([&] { return drain(), tail().ended(); });
    }
    /// Entries: no-op, batches of three records t1..t3, t4..t6 ..., a no-op in between.
    void fill(int batches) {
        cluster.log().add_noop(Term{1});
        for (int i = 0; i < batches; ++i) {
            int at = i * 3;
            cluster.log().add_text(
                {"t" + std::to_string(at + 1), "t" + std::to_string(at + 2), "t" + std::to_string(at + 3)});
            if (i % 4 == 3) cluster.log().add_noop(Term{1});
        }
        cluster.serve_tails();
    }
    void expect_run(int first, int last) {
        ASSERT_EQ(texts.size(), static_cast<size_t>(last - first + 1));
        for (int i = first; i <= last; ++i) {
            EXPECT_EQ(texts[static_cast<size_t>(i - first)], "t" + std::to_string(i));
            EXPECT_EQ(raw(lsns[static_cast<size_t>(i - first)]), static_cast<uint64_t>(i));
        }
    }
};

TEST_F(ClientTail, ReadsAllFromTheFirstAndEnds) {
    fill(20);
    start({.from = From::first});
    ASSERT_TRUE(read_to_end());
    expect_run(1, 60);
    EXPECT_FALSE(tail().failure());
}

TEST_F(ClientTail, BeginsInTheMiddleOfABatchAndEndsInOne) {
    fill(20);
    start({.from = From::lsn, .value = 8, .to = Lsn{32}});
    ASSERT_TRUE(read_to_end());
    expect_run(8, 32);
}

TEST_F(ClientTail, TheLastNumberOfRecords) {
    fill(20);
    start({.from = From::last_n, .value = 10});
    ASSERT_TRUE(read_to_end());
    expect_run(51, 60);
}

TEST_F(ClientTail, MoreThanThereAreGivesAll) {
    fill(2);
    start({.from = From::last_n, .value = 10});
    ASSERT_TRUE(read_to_end());
    expect_run(1, 6);
}

TEST_F(ClientTail, FromATimeBeginsWithTheFirstBatchStampedThen) {
    fill(20);
    uint64_t stamp = cluster.log().points[3].timestamp_ms;  // behind the second batch
    start({.from = From::time_ms, .value = stamp});
    ASSERT_TRUE(read_to_end());
    expect_run(4, 60);
}

TEST_F(ClientTail, FollowsFromTheEnd) {
    fill(3);
    start({.from = From::end, .follow = true});
    cluster.run_for(seconds(100));
    EXPECT_TRUE(tail().caught_up());
    cluster.log().add_text({"t10", "t11"});
    cluster.serve_tails();
    ASSERT_TRUE(read(2));
    expect_run(10, 11);
    EXPECT_FALSE(tail().ended());
}

// The end must mean what it meant at first, or what came during the reconnect would be skipped.
TEST_F(ClientTail, FollowingFromTheEndSkipsNothingOverAReconnect) {
    fill(3);
    start({.from = From::end, .follow = true});
    cluster.run_for(milliseconds(50));
    for (uint64_t member = 1; member <= 3; ++member) cluster.cut(member, FakeMember::Reach::refuses);
    cluster.run_for(seconds(2));
    cluster.log().add_text({"t10"});
    for (uint64_t member = 1; member <= 3; ++member) cluster.member(member).reach = FakeMember::Reach::up;
    ASSERT_TRUE(read(1));
    expect_run(10, 10);
}

TEST_F(ClientTail, GoesOnAtAnotherMemberWithoutGapOrRepeat) {
    fill(400);
    for (uint64_t member = 1; member <= 3; ++member) cluster.member(member).frame_bytes_max = 1000;
    start({.from = From::first, .window_bytes = 4000});
    for (size_t got = 100; got < 1200; got += 100) {
        ASSERT_TRUE(read(got));
        uint64_t serving = cluster.member(1).streams.empty() ? cluster.member(2).streams.empty() ? 3 : 2 : 1;
        cluster.cut(serving, FakeMember::Reach::up);
    }
    ASSERT_TRUE(read_to_end());
    expect_run(1, 1200);
    EXPECT_GT(cluster.member(1).tails + cluster.member(2).tails + cluster.member(3).tails, 5u);
}

TEST_F(ClientTail, UnconsumedBytesStayWithinTheWindow) {
    fill(2000);
    uint64_t window = 20'000, frame = 2000;
    for (uint64_t member = 1; member <= 3; ++member) cluster.member(member).frame_bytes_max = frame;
    start({.from = From::first, .window_bytes = window});
    cluster.run_for(seconds(30));  // nobody reads: no time-out, no more bytes
    EXPECT_FALSE(tail().ended());
    EXPECT_GT(tail().queued_bytes(), window / 2);
    EXPECT_LE(tail().queued_bytes(), window + frame + 200);
    ASSERT_TRUE(read_to_end());
    expect_run(1, 6000);
}

// A flipped bit anywhere is found here, and the bytes come from somebody else.
TEST_F(ClientTail, DamagedBytesAreNotDelivered) {
    fill(30);
    size_t at = 0;
    cluster.member(1).spoil = [&](std::vector<std::byte>& bytes) {
        bytes[at++ * 37 % bytes.size()] ^= std::byte{4};
    };
    for (int round = 0; round < 20; ++round) {
        texts.clear(), lsns.clear();
        start({.from = From::first});
        ASSERT_TRUE(read_to_end());
        expect_run(1, 90);
    }
    EXPECT_GT(at, 10u);
}

TEST_F(ClientTail, DamageEverywhereIsAnErrorNotAnEndlessLoop) {
    fill(3);
    for (uint64_t member = 1; member <= 3; ++member)
        cluster.member(member).spoil = [](std::vector<std::byte>& bytes) { bytes.back() ^= std::byte{1}; };
    start({.from = From::first, .follow = true});
    ASSERT_TRUE(read_to_end());
    ASSERT_TRUE(tail().failure());
    EXPECT_EQ(tail().failure()->code, Errc::damaged);
    EXPECT_TRUE(texts.empty());
}

// H24: a restored cluster gives the same numbers to other bytes.
TEST_F(ClientTail, AnotherHistoryIsAnError) {
    fill(3);
    start({.from = From::first, .follow = true});
    ASSERT_TRUE(read(9));
    cluster.log() = {};
    cluster.log().add_noop(Term{1});
    for (int i = 0; i < 9; ++i) cluster.log().add_text({"u" + std::to_string(i)});
    for (uint64_t member = 1; member <= 3; ++member) cluster.cut(member, FakeMember::Reach::up);
    ASSERT_TRUE(read_to_end());
    ASSERT_TRUE(tail().failure());
    EXPECT_EQ(tail().failure()->code, Errc::damaged);
    expect_run(1, 9);
}

TEST_F(ClientTail, AGapBetweenFramesIsNotDelivered) {
    fill(40);
    int calls = 0;
    cluster.member(1).frame_bytes_max = 500;
    cluster.member(1).misplace = [&](proto::TailData& data) {
        if (++calls == 4) ++data.before_index;
    };
    start({.from = From::first});
    ASSERT_TRUE(read_to_end());
    expect_run(1, 120);
    EXPECT_GE(calls, 4);
}

TEST_F(ClientTail, BeyondTheEndIsReportedUnlessFollowing) {
    fill(3);
    start({.from = From::lsn, .value = 100});
    ASSERT_TRUE(read_to_end());
    ASSERT_TRUE(tail().failure());
    EXPECT_EQ(tail().failure()->code, Errc::not_found);
    EXPECT_EQ(tail().nearest(), Lsn{9});

    start({.from = From::lsn, .value = 11, .follow = true});
    cluster.run_for(seconds(60));
    EXPECT_FALSE(tail().ended());
    cluster.log().add_text({"t10", "t11", "t12"});
    cluster.serve_tails();
    ASSERT_TRUE(read(2));
    expect_run(11, 12);
}

// A member that has just started may not have the committed end in memory; then the end is all that it sends.
// Whoever asks only how far the log is committed must learn it from that.
TEST_F(ClientTail, AnEndWithoutDataSaysHowFarTheLogIsCommitted) {
    fill(3);
    for (uint64_t member = 1; member <= 3; ++member) cluster.member(member).tail_code = proto::TailCode::end;
    start({.from = From::end});
    ASSERT_TRUE(read_to_end());
    EXPECT_FALSE(tail().failure());
    EXPECT_EQ(tail().commit_lsn(), 9u);
}

// B86: every read ends.
TEST_F(ClientTail, AMuteClusterEndsTheReadInTime) {
    fill(3);
    start({.from = From::first});
    for (uint64_t member = 1; member <= 3; ++member) cluster.member(member).mute = true;
    Instant before = cluster.now();
    ASSERT_TRUE(read_to_end());
    ASSERT_TRUE(tail().failure());
    EXPECT_EQ(tail().failure()->code, Errc::unreachable);
    EXPECT_LT(cluster.now() - before, seconds(11));
}

// An answer that comes again and again isn't progress.
TEST_F(ClientTail, AReadThatNobodyCanConfirmEndsInTime) {
    fill(3);
    for (uint64_t member = 1; member <= 3; ++member)
        cluster.member(member).tail_code = proto::TailCode::unavailable;
    start({.from = From::first});
    Instant before = cluster.now();
    ASSERT_TRUE(read_to_end());
    ASSERT_TRUE(tail().failure());
    EXPECT_EQ(tail().failure()->code, Errc::unavailable);
    EXPECT_LT(cluster.now() - before, seconds(11));
    uint32_t asked = cluster.member(1).tails + cluster.member(2).tails + cluster.member(3).tails;
    EXPECT_GT(asked, 10u);
    EXPECT_LT(asked, 100u);
}

// Two members that the rest is cut off from: whoever leads is asked, not the two in turns.
TEST_F(ClientTail, AReadLeavesTwoMembersThatHaveNoLeader) {
    fill(3);
    for (uint64_t member = 1; member <= 2; ++member) {
        cluster.member(member).leader = 0;
        cluster.member(member).tail_code = proto::TailCode::unavailable;
    }
    cluster.member(3).leader = 3;
    start({.from = From::first});
    Instant before = cluster.now();
    ASSERT_TRUE(read_to_end());
    expect_run(1, 9);
    EXPECT_LT(cluster.now() - before, seconds(2));
}

// Busy at one member, room at another.
TEST_F(ClientTail, GoesToAnotherMemberWhenOneIsBusy) {
    fill(3);
    cluster.member(1).tail_code = proto::TailCode::busy;
    start({.from = From::first});
    Instant before = cluster.now();
    ASSERT_TRUE(read_to_end());
    expect_run(1, 9);
    EXPECT_LT(cluster.now() - before, seconds(1));
}

// A member that is cut off without a word would leave a follower waiting for ever.
TEST_F(ClientTail, AFollowerLeavesAMemberThatFellSilent) {
    fill(3);
    start({.from = From::first, .follow = true});
    ASSERT_TRUE(read(9));
    uint64_t serving = cluster.member(1).streams.empty() ? cluster.member(2).streams.empty() ? 3 : 2 : 1;
    cluster.cut(serving, FakeMember::Reach::silent);
    cluster.log().add_text({"t10"});
    ASSERT_TRUE(read(10, seconds(30)));
    expect_run(1, 10);
}

// Cut off from the other members, but not from us: it answers, and never has anything new.
TEST_F(ClientTail, AFollowerLeavesAMemberThatLostItsLeader) {
    fill(3);
    start({.from = From::first, .follow = true});
    ASSERT_TRUE(read(9));
    uint64_t serving = cluster.member(1).streams.empty() ? cluster.member(2).streams.empty() ? 3 : 2 : 1;
    raftd::fakes::FakeLog stale = cluster.log();
    cluster.member(serving).log = &stale;
    cluster.member(serving).leader = 0;
    cluster.log().add_text({"t10"});
    ASSERT_TRUE(read(10, seconds(30)));
    expect_run(1, 10);
}

TEST_F(ClientTail, AnIdleFollowerAsksWhetherItsMemberIsThere) {
    fill(1);
    start({.from = From::first, .follow = true});
    cluster.run_for(seconds(60));
    EXPECT_GT(cluster.member(1).pings + cluster.member(2).pings + cluster.member(3).pings, 10u);
    EXPECT_EQ(cluster.member(1).tails + cluster.member(2).tails + cluster.member(3).tails, 1u);
}

TEST_F(ClientTail, AsksOnlyTheMemberNamed) {
    fill(3);
    start({.from = From::first, .node = "n3"});
    ASSERT_TRUE(read_to_end());
    expect_run(1, 9);
    EXPECT_EQ(cluster.member(3).tails, 1u);
    EXPECT_EQ(cluster.member(1).tails + cluster.member(2).tails, 0u);

    start({.from = From::first, .node = "n9"});
    ASSERT_TRUE(read_to_end());
    ASSERT_TRUE(tail().failure());
    EXPECT_EQ(tail().failure()->code, Errc::not_found);
}

TEST_F(ClientTail, AClosedTailIsClosedAtTheMember) {
    fill(3);
    start({.from = From::first, .follow = true});
    ASSERT_TRUE(read(9));
    session->close_tail(id);
    cluster.run_for(milliseconds(10));
    for (uint64_t member = 1; member <= 3; ++member) EXPECT_TRUE(cluster.member(member).streams.empty());
}

// Members say with the first data which record is the first there is. A trim may come between the member's
// look at what was asked for and that: who asked for a record that went is told, as ever.
TEST_F(ClientTail, ARecordThatWentWhileItWasLookedForIsTold) {
    fill(4);
    cluster.mangle = [](uint16_t& type, uint32_t&, std::vector<std::byte>& payload) {
        if (static_cast<proto::FrameType>(type) != proto::FrameType::tail_data) return;
        proto::TailDataSince since{};
        std::memcpy(&since, payload.data(), sizeof since.data);
        since.data.size = sizeof since;
        since.first_lsn = 5;
        const auto* bytes = reinterpret_cast<const std::byte*>(&since);
        payload.erase(payload.begin(), payload.begin() + sizeof since.data);
        payload.insert(payload.begin(), bytes, bytes + sizeof since);
    };
    start({.from = From::lsn, .value = 2});
    ASSERT_TRUE(read_to_end());
    EXPECT_TRUE(texts.empty());
    ASSERT_TRUE(tail().failure().has_value());
    EXPECT_EQ(tail().failure()->code, Errc::not_found);
    EXPECT_EQ(tail().nearest(), Lsn{5});
    start({.from = From::lsn, .value = 5});
    ASSERT_TRUE(read_to_end());
    expect_run(5, 12);
}

}  // namespace
}  // namespace raftd::client
