// Tails of a whole cluster where it matters on which side of a disk the records lie.
#include <gtest/gtest.h>

#include <array>

#include "client/session.h"
#include "tests/support/sim_fixture.h"

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

}  // namespace
}  // namespace raftd::sim
