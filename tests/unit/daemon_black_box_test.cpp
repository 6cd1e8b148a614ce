#include "daemon/black_box.h"

#include <gtest/gtest.h>

#include "base/check.h"

#include "daemon/replica.h"

namespace raftd::daemon {
namespace {

// A member that is alone: it elects itself, and every write is durable at once.
class Alone {
public:
    Alone() : replica_(core(), LogPoint{}, Members({Configuration{}}), 4096, true) {}

    void run(int steps) {
        raft::Output output;
        for (int i = 0; i < steps; ++i) {
            now_ = now_ + milliseconds(20);
            replica_.step(now_, raft::ev::Tick{});
            replica_.collect(output);
            if (output.want) {
                EntryHeader draft = draft_batch(0, {});
                draft.kind = output.want->kind;
                replica_.propose(now_, draft, {}, LogTime{1});
            } else if (replica_.core().accepting() && i % 3 == 0) {
                std::array<std::byte, 4> body{};
                replica_.propose(now_, draft_batch(1, body), body, LogTime{1});
            }
            if (output.write) replica_.step(now_, raft::ev::Durable{output.write->id});
        }
    }
    Replica& replica() { return replica_; }
    Instant now() const { return now_; }

private:
    static raft::Core core() {
        static const std::vector<ConfigAt> configs{{Index{0}, Membership{{{NodeId{1}}}, {}, false}}};
        raft::Restart restart{
            .hard = {}, .base = {}, .runs = {}, .last = {}, .configs = configs, .health = {}, .boot = 1};
        return {raft::Options{}, NodeId{1}, restart, 7, Instant{0}};
    }
    Replica replica_;
    Instant now_{0};
};

TEST(BlackBox, ReplaysToTheSameState) {
    Alone alone;
    alone.run(3000);
    ASSERT_GT(alone.replica().core().commit(), Index{100});
    std::vector<std::string> lines;
    auto replayed =
        replay(alone.replica().black_box().bytes(), [&](const std::string& line) { lines.push_back(line); });
    ASSERT_TRUE(replayed) << replayed.error().what;
    EXPECT_GT(lines.size(), 1000u);
    EXPECT_GE(*replayed, lines.size());
}

// Without a bound the box would eat the memory of a member that runs for months.
TEST(BlackBox, KeepsABoundedStretchAndStillReplays) {
    Alone alone;
    alone.run(60'000);
    std::vector<std::byte> box = alone.replica().black_box().bytes();
    EXPECT_LT(box.size(), 32u << 20);
    auto replayed = replay(box, [](const std::string&) {});
    ASSERT_TRUE(replayed) << replayed.error().what;
    EXPECT_LE(*replayed, 3 * 8192u);
}

Replica* failing = nullptr;
void replay_instead(std::string_view) {
    set_check_hook(nullptr);  // the check fails once more in the replay, and ends the process there
    auto again = replay(failing->black_box().bytes(), [](const std::string&) {});
    std::fprintf(stderr, "the replay ended without a failure: %d\n", again.has_value());
}
void fail_a_check() {
    Alone alone;
    alone.run(500);
    failing = &alone.replica();
    set_check_hook(replay_instead);
    raft::EntryMeta wrong{{Term{1}, Index{1}}, 96, nullptr};
    alone.replica().step(alone.now(), raft::ev::Propose{{&wrong, 1}});
}

// The point of it: what failed once fails again, in the same check.
TEST(BlackBoxDeathTest, AFailedCheckFailsAgainInTheReplay) {
    EXPECT_DEATH(fail_a_check(), "^[^\n]*check failed: raw.entry.id.index.[^\n]*\n$");
}

TEST(BlackBox, DamagedOnesAreRefused) {
    Alone alone;
    alone.run(200);
    std::vector<std::byte> box = alone.replica().black_box().bytes();
    for (size_t length = 0; length < box.size(); length += 1 + length / 50) {
        auto cut = replay(ByteView(box).first(length), [](const std::string&) {});
        EXPECT_TRUE(!cut || length > 16);  // cut between two events: a shorter box
    }
    box[20] ^= std::byte{1};
    EXPECT_FALSE(replay(box, [](const std::string&) {}));
    EXPECT_FALSE(replay(as_bytes("no black box"), [](const std::string&) {}));
}

}  // namespace
}  // namespace raftd::daemon
