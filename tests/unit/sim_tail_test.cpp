// Tails of a whole cluster where it matters on which side of a disk the records lie.
#include <gtest/gtest.h>

#include <array>

#include "client/session.h"
#include "tests/support/sim_fixture.h"
#include "tests/support/talker.h"

namespace raftd::sim {
namespace {

/// One tail, read to its end.
class Reader : public io::Handler {
public:
    Reader(Kernel& kernel, SimNetwork& network, const std::string& name, const client::TailOptions& tail)
        : machine_(kernel, storage_, disk_, clock_, network, 150, 5) {
        client::SessionOptions options;
        options.endpoints = {name + ":7002"};
        session_ = std::make_unique<client::Session>(machine_.io().network, machine_.io().clock, options);
        machine_.set_handler(this);
        tail_ = session_->open_tail(tail);
        machine_.io().clock.wake_at(machine_.io().clock.now());
    }
    void handle(io::Event& event) override { session_->handle(event); }
    void end_turn(Instant now) override {
        session_->end_turn(now);
        std::array<client::Record, 16> some;
        while (size_t count = session_->tail(tail_).next(some))
            for (size_t i = 0; i < count; ++i)
                lsns.push_back(raw(some[i].lsn)), stamps.push_back(some[i].timestamp_ms);
    }
    bool ended() { return session_->tail(tail_).ended(); }
    bool failed() { return session_->tail(tail_).failure().has_value(); }
    std::string why() { return session_->tail(tail_).failure().value_or(Error{}).what; }

    std::vector<uint64_t> lsns, stamps;

private:
    SimStorage storage_;
    DiskModel disk_;
    ClockModel clock_;
    Machine machine_;
    std::unique_ptr<client::Session> session_;
    client::TailId tail_{};
};

struct TailTest : SimFixture, testing::Test {
    TailTest() : SimFixture(31) {}
};

// A follower knows of the commit before its own disk has the entries. A time was once looked up in files
// alone: what was in memory only was skipped, silently.
TEST_F(TailTest, ATimeThatOnlyMemoryHoldsIsFound) {
    for (uint32_t i = 1; i <= 3; ++i) cluster.start(i);
    ClientLoad load;
    load.appends_per_second = 100, load.batch_max = 1, load.reads_per_second = 0;
    start_writer(load);
    until([&] { return writer->acked() > 20; });
    uint32_t slow = cluster.truth().leader() % 3 + 1;
    cluster.disk(slow).hung_until = kernel.now() + milliseconds(700);
    kernel.run_until(kernel.now() + milliseconds(100));
    uint64_t from_ms = cluster.truth().committed_time_ms() + 1;
    kernel.run_until(kernel.now() + milliseconds(200));

    client::TailOptions options{.from = client::From::time_ms, .value = from_ms, .linearizable = false};
    Reader reader(kernel, network, Cluster::name_of(slow), options);
    until([&] { return reader.ended(); });
    ASSERT_FALSE(reader.failed());
    ASSERT_GT(reader.lsns.size(), 5u);
    EXPECT_GE(reader.stamps.front(), from_ms);

    options = {.from = client::From::first, .linearizable = false};
    Reader whole(kernel, network, Cluster::name_of(slow), options);
    until([&] { return whole.ended(); });
    uint64_t before = reader.lsns.front() - 1;
    ASSERT_GT(whole.stamps.size(), before);
    EXPECT_LT(whole.stamps[before - 1], from_ms) << "begins too late";
}

/// Reads of one member while a writer is at work, with what was acknowledged when.
struct BoundedReads : TailTest {
    struct Acked {
        Instant at;
        uint64_t records;
    };
    std::vector<Acked> history;

    void begin() {
        for (uint32_t i = 1; i <= 3; ++i) cluster.start(i);
        ClientLoad load;
        load.appends_per_second = 200, load.batch_max = 1, load.reads_per_second = 0;
        start_writer(load);
        until([&] { return writer->acked() > 20; });
        pass(seconds(1));
    }
    void pass(Duration time) {
        for (Instant end = kernel.now() + time; kernel.now() < end; run_for(milliseconds(1)))
            history.push_back({kernel.now(), writer->acked()});
    }
    /// Acknowledged by then.
    uint64_t acked_at(Instant at) const {
        uint64_t records = 0;
        for (const Acked& moment : history)
            if (moment.at <= at) records = moment.records;
        return records;
    }
    /// The last LSN that `member` shows with this bound; nothing: it refuses.
    std::optional<uint64_t> read(uint32_t member, uint32_t max_lag_ms, std::string* why = nullptr) {
        client::TailOptions options{
            .from = client::From::first, .linearizable = false, .max_lag_ms = max_lag_ms};
        options.node = Cluster::name_of(member);  // else the client goes to another one, as it should
        Reader reader(kernel, network, Cluster::name_of(member), options);
        for (Instant end = kernel.now() + seconds(30); !reader.ended() && kernel.now() < end;)
            pass(milliseconds(1));
        EXPECT_TRUE(reader.ended());
        if (reader.failed() && why != nullptr) *why = reader.why();
        if (reader.failed()) return std::nullopt;
        return reader.lsns.empty() ? 0 : reader.lsns.back();
    }
};

TEST_F(BoundedReads, AMemberThatIsCutOffRefusesInsteadOfShowingAnOldLog) {
    begin();
    uint32_t follower = this->follower();
    for (uint32_t member : {follower, leader()}) {
        Instant asked = kernel.now();
        auto shown = read(member, 500);
        ASSERT_TRUE(shown) << "member " << member;
        EXPECT_GE(*shown, acked_at(asked - milliseconds(500)));
    }
    isolate(follower, true);
    pass(seconds(3));
    std::string why;
    EXPECT_FALSE(read(follower, 500, &why));
    EXPECT_NE(why.find("can't show that it is at most 500 ms behind"), std::string::npos) << why;
    auto old = read(follower, 0);
    ASSERT_TRUE(old) << "without a bound it shows what it has";
    EXPECT_LT(*old, writer->acked());
    isolate(follower, false);
    pass(seconds(5));
    EXPECT_TRUE(read(follower, 500));
}

// A leader that was cut off may believe for a while that it leads; it is not believed.
TEST_F(BoundedReads, SoDoesALeaderThatWasCutOff) {
    begin();
    uint32_t old_leader = leader();
    EXPECT_TRUE(read(old_leader, 300));
    isolate(old_leader, true);
    pass(milliseconds(400));
    EXPECT_FALSE(read(old_leader, 300));
}

// Its machine slept: the steady clock stood still, so that an old confirmation seems to be new.
TEST_F(BoundedReads, AMemberWhoseClockStoodStillRefuses) {
    begin();
    uint32_t follower = this->follower();
    ASSERT_TRUE(read(follower, 2000));
    isolate(follower, true);
    ClockModel& clock = cluster.clock(follower);
    clock.set_rate(kernel.now(), 1e-6);
    pass(seconds(10));
    clock.set_rate(kernel.now(), 1);
    clock.set_wall(kernel.now(), 10'000);
    EXPECT_FALSE(read(follower, 2000));
    clock.set_wall(kernel.now(), -100'000);  // set back: the steady clock counts
    pass(seconds(3));
    EXPECT_FALSE(read(follower, 2000));
}

TEST_F(BoundedReads, WhateverIsShownLacksNothingOlderThanTheBound) {
    begin();
    Random random(7);
    uint64_t shown = 0, refused = 0;
    for (int i = 0; i < 60; ++i) {
        uint32_t member = 1 + static_cast<uint32_t>(random.below(3));
        bool cut = random.chance(0.4);
        if (cut) isolate(member, true);
        pass(milliseconds(static_cast<int64_t>(random.below(600))));
        auto max_lag = static_cast<uint32_t>(50 + random.below(500));
        // It may be confirmed for later readers while nothing is cut, and read when it is.
        if (!cut && random.chance(0.5)) {
            read(member, max_lag);
            isolate(member, true);
            pass(milliseconds(static_cast<int64_t>(random.below(2 * max_lag))));
        }
        Instant asked = kernel.now();
        auto last = read(member, max_lag);
        ++(last ? shown : refused);
        if (last) {
            EXPECT_GE(*last, acked_at(asked - milliseconds(max_lag))) << "round " << i;
        }
        isolate(member, false);
        pass(seconds(2));
    }
    EXPECT_GT(shown, 10u);
    EXPECT_GT(refused, 10u);
}

/// A log that is in segments and archives, and hardly in memory.
struct SomeRecords : SimFixture, testing::Test {
    Talker talker{kernel, network, 190};

    SomeRecords() : SimFixture(33, small_archives()) {}
    void SetUp() override {
        start_loaded(seconds(10));
        writer->set_appending(false);
        run_for(seconds(2));
    }
    /// LSNs of the batches that the leader sends for these records, to a reader that never closes.
    std::vector<uint64_t> sent(uint64_t from, uint64_t to) {
        talker.be_client_of(Cluster::name_of(leader()));
        proto::TailOpen open{sizeof open, 0, proto::TailFrom::lsn, 0, from, to, 64u << 20};
        const auto is = [](const Talker::Got& got, proto::FrameType type) {
            return got.type == static_cast<uint16_t>(type);
        };
        talker.open_tail(open);
        talker.got.clear();
        until([&] { return !talker.got.empty() && is(talker.got.back(), proto::FrameType::tail_end); });
        run_for(seconds(1));
        std::vector<uint64_t> lsns;
        for (const Talker::Got& got : talker.got) {
            proto::TailData fixed;
            if (!is(got, proto::FrameType::tail_data) || !proto::read_fixed(got.bytes.view(), fixed))
                continue;
            EntryCursor cursor(got.bytes.view().subspan(fixed.size));
            while (const EntryHeader* header = cursor.next())
                if (header->kind == EntryKind::batch) lsns.push_back(header->lsn_first);
        }
        return lsns;
    }
};

// A record from files once came with a quarter of a MiB of those behind it, and then with more, until the
// reader said that it had enough.
TEST_F(SomeRecords, NothingBehindTheLastOneThatIsWantedIsSent) {
    const uint64_t end = raw(cluster.truth().committed_lsn_end());
    ASSERT_GT(end, 1000u);
    for (uint64_t lsn = 1; lsn < end; lsn += end / 50) {
        const std::vector<uint64_t> one = sent(lsn, lsn);
        ASSERT_EQ(one.size(), 1u) << "for record " << lsn;
        EXPECT_LE(one.front(), lsn);
        const std::vector<uint64_t> some = sent(lsn, std::min(lsn + 200, end - 1));
        ASSERT_FALSE(some.empty());
        EXPECT_LE(some.back(), lsn + 200);
    }
}

}  // namespace
}  // namespace raftd::sim
