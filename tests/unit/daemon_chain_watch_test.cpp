// Two histories under one name (H15): who notices, who is told, and who stops.
#include <gtest/gtest.h>

#include "tests/support/played_leader.h"

namespace raftd::sim {
namespace {

namespace msg = raft::msg;

struct ChainWatchTest : testing::Test {
    Stage stage;
    bool has_alarm() { return stage.node().dump().find("alarm=chain_mismatch") != std::string::npos; }
    bool leads() { return stage.node().core().role() == raft::Role::leader; }

    void lead() {
        stage.start();
        ASSERT_TRUE(stage.lead());
        ASSERT_EQ(stage.appended(Draft::of({"a"})).code, proto::AppendCode::committed);
    }
    /// Another chain than n1's at an entry that is committed.
    LogPoint another_history() {
        LogPoint point = *stage.node().log_at(stage.node().core().view().commit);
        point.chain ^= 1;
        return point;
    }
};

TEST_F(ChainWatchTest, OneThatDiffersIsReportedAndStopsNobody) {
    lead();
    stage.peer(2).claims = another_history();
    stage.run_for(seconds(5));
    EXPECT_TRUE(has_alarm());
    EXPECT_TRUE(leads());
    EXPECT_EQ(stage.appended(Draft::of({"b"})).code, proto::AppendCode::committed);
}

TEST_F(ChainWatchTest, ALeaderThatAMajorityContradictsStops) {
    lead();
    stage.peer(2).claims = stage.peer(3).claims = another_history();
    ASSERT_TRUE(stage.until([&] { return stage.ended().has_value(); }));
    EXPECT_EQ(stage.ended()->code, ExitCode::diverged);
}

TEST_F(ChainWatchTest, WhereLogsMayDifferNothingIsCompared) {
    lead();
    // Behind what is known to be committed two logs may well have other entries.
    for (uint64_t id : {2, 3}) stage.peer(id).acks_upto = stage.node().core().last();
    stage.append(Draft::of({"b"}));
    stage.run_for(milliseconds(5));
    LogPoint ahead = stage.node().log_end();
    ASSERT_GT(ahead.index, stage.node().core().view().commit);
    ahead.chain ^= 1;
    stage.peer(2).claims = stage.peer(3).claims = ahead;
    stage.run_for(milliseconds(400));
    EXPECT_FALSE(has_alarm());
    EXPECT_TRUE(leads());
}

struct FollowerTest : ChainWatchTest {
    PlayedLeader leader{stage};
    void SetUp() override {
        stage.start();
        leader.log.append("one", leader.term);
        leader.send(Index{1}, Index{1});
        ASSERT_TRUE(leader.acknowledged(Index{1}));
        ASSERT_EQ(leader.trailer->flags & proto::kTrailerDisputes, 0u);
    }
    /// By its answer to a heartbeat.
    bool disputes(Index at) {
        const auto& trailer = leader.trailer;
        return trailer && (trailer->flags & proto::kTrailerDisputes) != 0 &&
               trailer->chain_index == raw(at) && trailer->chain == stage.node().log_at(at)->chain;
    }
};

TEST_F(FollowerTest, WhatDoesNotContinueItsLogIsDisputed) {
    OwnLog other(snapshot::genesis_point(stage.manifest));
    other.append("eins", leader.term);
    other.append("zwei", leader.term);
    leader.send(other, Index{2}, Index{2});  // its entry 1 has the same index and term, and other bytes
    EXPECT_FALSE(leader.acknowledged(Index{2}));
    EXPECT_EQ(stage.node().core().last(), Index{1});
    EXPECT_TRUE(has_alarm());
    leader.send(other, Index{3}, Index{2});  // a heartbeat behind it
    EXPECT_TRUE(disputes(Index{1}));

    leader.log.append("two", leader.term);
    leader.send(Index{2}, Index{2});
    EXPECT_TRUE(leader.acknowledged(Index{2}));
    EXPECT_EQ(leader.trailer->flags & proto::kTrailerDisputes, 0u) << "what continues it ends the dispute";
    EXPECT_FALSE(stage.ended().has_value());
}

TEST_F(FollowerTest, ADamagedBodyIsDisputedToo) {
    leader.log.append("two", leader.term);
    std::vector<std::byte> bytes = leader.log.bytes(Index{2}, Index{2});
    bytes.back() ^= std::byte{1};
    leader.send_bytes(leader.log.id(Index{1}), Index{2}, bytes);
    EXPECT_FALSE(leader.acknowledged(Index{2}));
    leader.send(Index{3}, Index{2});
    EXPECT_TRUE(disputes(Index{1}));
}

/// A leader whose entries the others can't take.
struct DisputedLeaderTest : ChainWatchTest {
    std::optional<LogPoint> agreed;  // the log up to where they could

    /// They take nothing more, and say so as a member would. `spoil`: n1's own memory changes meanwhile.
    void dispute_what_comes_next(bool spoil, uint64_t other_chain = 0) {
        agreed = stage.node().log_end();
        agreed->chain ^= other_chain;
        for (uint64_t id : {2, 3})
            stage.peer(id).instead = [this, spoil](Stage::Peer& peer, const Stage::Sent& sent,
                                                   const daemon::PeerMessage& message) {
                auto* append = std::get_if<msg::Append>(&message.message);
                if (append == nullptr) return false;
                if (append->last > agreed->index && append->last > append->prev.index && spoil && !spoiled) {
                    const Slice& entries = sent.parts.back();
                    const_cast<std::byte*>(entries.data())[entries.size() - 1] ^= std::byte{4};
                    spoiled = true;
                }
                peer.claims = agreed;
                peer.flags = proto::kTrailerDisputes;
                stage.say(peer, msg::AppendOk{append->term, agreed->index, append->round, false});
                return true;
            };
        stage.append(Draft::of({"what comes next"}));
    }
    bool spoiled = false;
};

TEST_F(DisputedLeaderTest, WhoseMemoryIsSpoiledStops) {
    lead();
    dispute_what_comes_next(true);
    ASSERT_TRUE(stage.until([&] { return stage.ended().has_value(); }));
    EXPECT_TRUE(spoiled);
    EXPECT_EQ(stage.ended()->code, ExitCode::diverged);
    EXPECT_NE(stage.ended()->why.find("body checksum"), std::string::npos) << stage.ended()->why;
}

// What arrives damaged is the way's fault, or the follower's.
TEST_F(DisputedLeaderTest, WhoseMemoryIsWholeGoesOn) {
    lead();
    dispute_what_comes_next(false);
    stage.run_for(milliseconds(300));
    EXPECT_FALSE(stage.ended().has_value());
    EXPECT_FALSE(has_alarm());
    EXPECT_TRUE(leads());
}

TEST_F(DisputedLeaderTest, WhoHasAnotherChainThanAMajorityStops) {
    lead();
    dispute_what_comes_next(false, 1);
    ASSERT_TRUE(stage.until([&] { return stage.ended().has_value(); }));
    EXPECT_EQ(stage.ended()->code, ExitCode::diverged);
}

// An answer that was long on its way is about a log that may have been cut since.
TEST_F(DisputedLeaderTest, ADisputeOfAnotherTermSaysNothing) {
    lead();
    LogPoint other = another_history();
    other.index = stage.node().core().last();
    for (uint64_t id : {2, 3}) {
        Stage::Peer& peer = stage.peer(id);
        peer.claims = other;
        peer.flags = proto::kTrailerDisputes;
        stage.say(peer, msg::AppendNo{stage.node().core().term() - 1, {}, Index{}, 1, msg::Why::conflict});
        peer.claims.reset();
        peer.flags = 0;
    }
    stage.run_for(seconds(1));
    EXPECT_FALSE(stage.ended().has_value());
    EXPECT_FALSE(has_alarm());
}

}  // namespace
}  // namespace raftd::sim
