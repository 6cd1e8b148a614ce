// Links between members whose addresses aren't what a configuration says.
#include <gtest/gtest.h>

#include "tests/support/sim_fixture.h"

namespace raftd::sim {
namespace {

/// Takes connections and never says a word.
class Mute : public io::Handler {
public:
    Mute(Kernel& kernel, SimNetwork& network, const std::string& address)
        : machine_(kernel, storage_, disk_, clock_, network, 160, 5) {
        machine_.set_handler(this);
        EXPECT_EQ(machine_.io().network.listen(io::ConnClass::peer_control, address), 0);
    }
    void handle(io::Event& event) override { taken += std::get_if<io::Opened>(&event.what) != nullptr; }
    void end_turn(Instant) override {}

    uint32_t taken = 0;

private:
    SimStorage storage_;
    DiskModel disk_;
    ClockModel clock_;
    Machine machine_;
};

struct LinksTest : SimFixture, testing::Test {
    LinksTest() : SimFixture(41) {}
};

// The higher id dials first, and what it has dialed is in the way of the other's dial until it ends. Where
// nobody answers that took five seconds, again and again: two members that needed each other stayed apart.
TEST_F(LinksTest, AMemberThatMovedIsLinkedThoughItsOldAddressTakesConnections) {
    start_all();
    for (uint32_t i = 1; i <= 3; ++i) cluster.kill(i);
    run_for(milliseconds(10));
    const std::string before = cluster.peer_address(2);
    Mute taker(kernel, network, before);
    cluster.move_to(2, "elsewhere:7001");
    cluster.start(2);
    cluster.start(3);
    until([&] { return leader() != 0; }, seconds(4));  // two are a majority
    EXPECT_GT(taker.taken, 0u);
}

}  // namespace
}  // namespace raftd::sim
