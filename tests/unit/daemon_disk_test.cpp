// A member whose disk is full or hangs (H19, H20): what it still does, what it says, and who leads.
#include <gtest/gtest.h>

#include "tests/support/played_leader.h"

namespace raftd::sim {
namespace {

namespace msg = raft::msg;

struct FullFollowerTest : testing::Test {
    Stage stage;
    PlayedLeader leader{stage};

    /// Sends entries of 16 KiB until one isn't acknowledged; how many were.
    int send_until_full() {
        for (int sent = 0; sent < 100; ++sent) {
            leader.log.append(std::string(16u << 10, 'x'), leader.term);
            Index last = leader.log.last();
            leader.send(last, last);
            stage.run_for(milliseconds(50));
            if (!leader.acknowledged(last)) return sent;
        }
        return -1;
    }
    std::optional<msg::VoteOk> asks_for_vote(Term term) {
        std::optional<msg::VoteOk> said;
        stage.peer(3).instead = [&](Stage::Peer&, const Stage::Sent&, const daemon::PeerMessage& message) {
            if (auto* vote = std::get_if<msg::VoteOk>(&message.message)) said = *vote;
            return true;
        };
        stage.say(stage.peer(3), msg::Vote{term, leader.log.id(leader.log.last()), false, true});
        stage.run_for(milliseconds(200));
        stage.peer(3).instead = nullptr;
        return said;
    }
};

// The segment at hand and the one made ahead still take what comes. Then it says so, instead of taking
// entries into memory that it can't write, and votes that it can't keep; and it heals by itself.
TEST_F(FullFollowerTest, SaysThatItHasNoRoomAndHealsByItself) {
    stage.start();
    stage.run_for(milliseconds(100));
    stage.storage.set_room(0);
    int taken = send_until_full();
    EXPECT_GE(taken, 20) << "half a MiB was there";
    EXPECT_LT(taken, 40);
    Index full_at = leader.log.last();  // this one waits for room
    leader.log.append("more", leader.term);
    leader.send(leader.log.last(), leader.log.last());
    auto* no = leader.answer<msg::AppendNo>();
    ASSERT_NE(no, nullptr);
    EXPECT_EQ(no->why, msg::Why::no_room);
    EXPECT_EQ(stage.node().core().last(), full_at);
    EXPECT_NE(stage.node().dump().find("alarm=disk_full"), std::string::npos);
    EXPECT_FALSE(stage.ended().has_value());

    stage.storage.set_capacity(UINT64_MAX);
    stage.run_for(seconds(2));
    leader.send(leader.log.last(), leader.log.last());
    EXPECT_TRUE(leader.acknowledged(leader.log.last()));
    EXPECT_EQ(stage.node().dump().find("alarm=disk_full"), std::string::npos);
}

TEST_F(FullFollowerTest, GrantsNoVoteThatItCannotKeep) {
    stage.start();
    stage.run_for(milliseconds(100));
    stage.storage.set_room(0);
    ASSERT_GE(send_until_full(), 20);
    auto refused = asks_for_vote(leader.term);
    Term next = leader.term + 1;
    refused = asks_for_vote(next);
    EXPECT_TRUE(!refused || !refused->granted);
    stage.storage.set_capacity(UINT64_MAX);
    stage.run_for(seconds(2));
    auto granted = asks_for_vote(next + 1);
    ASSERT_TRUE(granted.has_value());
    EXPECT_TRUE(granted->granted);
}

// A start without a byte to spare comes up, keeps its promises, and links to peers that were started again
// meanwhile: their boots are noted in place (B74).
TEST_F(FullFollowerTest, StartsOnAFullDisk) {
    stage.start();
    stage.run_for(milliseconds(100));
    leader.log.append("kept", leader.term);
    leader.send(leader.log.last(), leader.log.last());
    ASSERT_TRUE(leader.acknowledged(leader.log.last()));
    const Term term = leader.term;
    for (int starts = 1; starts <= 3; ++starts) {
        stage.storage.set_room(0);
        stage.start();
        stage.run_for(milliseconds(100));
        ASSERT_FALSE(stage.ended().has_value());
        EXPECT_EQ(stage.node().core().last(), leader.log.last());
        EXPECT_GE(stage.node().core().term(), term);
        for (uint64_t id : {2, 3}) EXPECT_TRUE(stage.peer(id).linked) << id;
        auto granted = asks_for_vote(stage.node().core().term() + 1);
        ASSERT_TRUE(granted.has_value());
        EXPECT_TRUE(granted->granted);
    }
}

struct HungLeaderTest : testing::Test {
    Stage stage;
    void hang() {
        stage.start();
        ASSERT_TRUE(stage.lead());
        stage.disk.hung_until = stage.kernel.now() + seconds(1000);
        for (uint64_t id : {2, 3}) stage.peer(id).got.clear();
        stage.append(Draft::of({"a"}));
    }
    bool asked_to_lead(uint64_t id) {
        const auto& got = stage.peer(id).got;
        return std::find(got.begin(), got.end(), proto::FrameType::timeout_now) != got.end();
    }
    bool leads() { return stage.node().core().role() == raft::Role::leader; }
};

// Its disk isn't needed for a majority, so it could lead for ever, and its memory fill.
TEST_F(HungLeaderTest, HandsOver) {
    hang();
    Instant began = stage.kernel.now();
    ASSERT_TRUE(stage.until([&] { return asked_to_lead(2) || asked_to_lead(3); }));
    Duration timeout = stage.options.settings.raft.election_timeout;
    EXPECT_GE(stage.kernel.now() - began, timeout);
    EXPECT_LT(stage.kernel.now() - began, timeout * 2);
    EXPECT_FALSE(stage.node().core().accepting());
}

TEST_F(HungLeaderTest, StepsDownWhereNobodyCanTakeOver) {
    for (uint64_t id : {2, 3}) stage.peer(id).flags = proto::kTrailerStalled;
    hang();
    ASSERT_TRUE(stage.until([&] { return !leads(); }));
    EXPECT_FALSE(asked_to_lead(2) || asked_to_lead(3));
    stage.run_for(seconds(10));
    EXPECT_FALSE(leads()) << "it doesn't campaign either";
    stage.disk.hung_until = stage.kernel.now();
    EXPECT_TRUE(stage.until([&] { return leads(); })) << "it heals by itself";
}

/// What a member says of its disk while a write hangs for so long, and afterwards.
struct DiskWatchTest : testing::Test {
    Stage stage;
    void SetUp() override {
        stage.start();
        ASSERT_TRUE(stage.lead());
        stage.run_for(seconds(1));
    }
    void hang_for(Duration time) {
        stage.disk.hung_until = stage.kernel.now() + time;
        stage.append(Draft::of({"a"}));
        stage.run_for(time + milliseconds(300));
    }
    pb::Status status() {
        pb::Request request;
        request.mutable_status();
        return stage.asked(request).status();
    }
    /// `ms` of the newest event of this kind; nothing: there was none.
    std::optional<uint64_t> ms_of(const std::string& kind) {
        pb::Request request;
        request.mutable_events();
        std::optional<uint64_t> found;
        const pb::Answer answer = stage.asked(request);
        for (const auto& event : answer.events().events()) {
            const std::string& line = event.line();
            if (!line.starts_with(kind + " ")) continue;
            found = std::stoull(line.substr(line.find(" ms=") + 4));
        }
        return found;
    }
};

TEST_F(DiskWatchTest, ShortStallsAreNothingToSpeakOf) {
    for (int64_t ms : {1, 10, 100, 200}) hang_for(milliseconds(ms));
    for (const char* kind : {"disk_slow", "disk_stalled", "disk_moves_again"})
        EXPECT_FALSE(ms_of(kind)) << kind;
    EXPECT_GE(status().sync_max_ms(), 200);
    EXPECT_LT(status().sync_max_ms(), 260);
    EXPECT_GE(status().sync_p99_ms(), 100) << "of few, and not cut off at 57 ms";
    EXPECT_EQ(status().unsynced_ms(), 0u);
}

TEST_F(DiskWatchTest, ASlowSyncIsAnEventWithItsTime) {
    hang_for(milliseconds(400));
    ASSERT_TRUE(ms_of("disk_slow"));
    EXPECT_GE(*ms_of("disk_slow"), 400u);
    EXPECT_LT(*ms_of("disk_slow"), 460u);
    EXPECT_FALSE(ms_of("disk_stalled"));
    hang_for(milliseconds(600));
    EXPECT_LT(*ms_of("disk_slow"), 460u) << "at most one line in 10 s";
    stage.run_for(seconds(11));
    hang_for(milliseconds(700));
    EXPECT_GE(*ms_of("disk_slow"), 700u);
}

TEST_F(DiskWatchTest, AStallSaysWhenItBeginsAndHowLongItWas) {
    stage.disk.hung_until = stage.kernel.now() + seconds(30);
    stage.append(Draft::of({"a"}));
    stage.run_for(seconds(10));
    ASSERT_TRUE(ms_of("disk_stalled"));
    EXPECT_GE(*ms_of("disk_stalled"), 1000u);
    EXPECT_LT(*ms_of("disk_stalled"), 1100u);
    EXPECT_FALSE(ms_of("disk_moves_again"));
    EXPECT_GE(status().unsynced_ms(), 10'000u);
    ASSERT_EQ(status().alarms_size(), 1);
    EXPECT_EQ(status().alarms(0), "disk_stalled");
    stage.run_for(seconds(25));
    ASSERT_TRUE(ms_of("disk_moves_again"));
    EXPECT_GE(*ms_of("disk_moves_again"), 30'000u);
    EXPECT_LT(*ms_of("disk_moves_again"), 30'200u);
    EXPECT_EQ(status().alarms_size(), 0);
    EXPECT_GE(status().sync_max_ms(), 30'000);
}

}  // namespace
}  // namespace raftd::sim
