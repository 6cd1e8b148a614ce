// Two histories under one name (H15): who notices, who is told, and who stops.
#include <gtest/gtest.h>

#include "daemon/log_buffer.h"
#include "tests/support/stage.h"

namespace raftd::sim {
namespace {

namespace msg = raft::msg;

/// A log that the test writes as a leader of its own.
struct OwnLog {
    daemon::LogBuffer buffer;
    explicit OwnLog(const LogPoint& base) : buffer(base) {}
    void append(const std::string& text, Term term) {
        Draft draft = Draft::of({text});
        buffer.append(draft.header, draft.body, term, 1'700'000'000'000);
    }
    std::vector<std::byte> bytes(Index first, Index last) const {
        std::vector<Slice> slices;
        buffer.slices(first, last, slices);
        std::vector<std::byte> all;
        for (const Slice& slice : slices) all.insert(all.end(), slice.view().begin(), slice.view().end());
        return all;
    }
    EntryId id(Index index) const { return buffer.point_at(index)->id(); }
};

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
    stage.run_for(seconds(2));
    EXPECT_FALSE(has_alarm());
    EXPECT_TRUE(leads());
}

struct FollowerTest : ChainWatchTest {
    static constexpr Term kTerm{5};
    OwnLog log{snapshot::genesis_point(stage.manifest)};
    uint64_t round = 0;
    std::vector<msg::Any> answers;
    std::optional<proto::Trailer> trailer;

    void SetUp() override {
        stage.peer(2).grants = stage.peer(3).grants = false;
        stage.peer(2).instead = [this](Stage::Peer&, const Stage::Sent&, const daemon::PeerMessage& message) {
            answers.push_back(message.message);
            if (message.trailer) trailer = message.trailer;
            return std::holds_alternative<msg::Append>(message.message);
        };
        stage.start();
    }
    /// Entries of `from` as the leader sends them; nothing: a heartbeat that names its last entry.
    void send(const OwnLog& from, Index first, Index last) {
        answers.clear();
        trailer.reset();
        Index prev = first - 1;
        auto count = static_cast<uint32_t>(last - prev);
        std::vector<std::byte> bytes;
        if (count != 0) bytes = from.bytes(first, last);
        stage.say_append(stage.peer(2), {kTerm, from.id(prev), last, Index{}, ++round}, count, bytes);
        stage.run_for(milliseconds(20));
    }
    bool acknowledged(Index upto) {
        for (const msg::Any& answer : answers)
            if (auto* ok = std::get_if<msg::AppendOk>(&answer); ok != nullptr && ok->match >= upto)
                return true;
        return false;
    }
};

TEST_F(FollowerTest, WhatDoesNotContinueItsLogIsDisputed) {
    log.append("one", kTerm);
    send(log, Index{1}, Index{1});
    ASSERT_TRUE(acknowledged(Index{1}));
    EXPECT_EQ(trailer->flags & proto::kTrailerDisputes, 0u);

    OwnLog other(snapshot::genesis_point(stage.manifest));
    other.append("eins", kTerm);
    other.append("zwei", kTerm);
    send(other, Index{2}, Index{2});  // its entry 1 has the same index and term, and other bytes
    EXPECT_FALSE(acknowledged(Index{2}));
    EXPECT_EQ(stage.node().core().last(), Index{1});
    EXPECT_TRUE(has_alarm());
    send(other, Index{3}, Index{2});  // a heartbeat behind it
    ASSERT_TRUE(trailer.has_value());
    EXPECT_NE(trailer->flags & proto::kTrailerDisputes, 0u);
    EXPECT_EQ(trailer->chain_index, 1u);
    EXPECT_EQ(trailer->chain, stage.node().log_at(Index{1})->chain);

    log.append("two", kTerm);
    send(log, Index{2}, Index{2});
    EXPECT_TRUE(acknowledged(Index{2}));
    EXPECT_EQ(trailer->flags & proto::kTrailerDisputes, 0u) << "what continues it ends the dispute";
    EXPECT_FALSE(stage.ended().has_value());
}

TEST_F(FollowerTest, ADamagedBodyIsDisputedToo) {
    log.append("one", kTerm);
    log.append("two", kTerm);
    send(log, Index{1}, Index{1});
    std::vector<std::byte> bytes = log.bytes(Index{2}, Index{2});
    bytes.back() ^= std::byte{1};
    stage.say_append(stage.peer(2), {kTerm, log.id(Index{1}), Index{2}, Index{}, ++round}, 1, bytes);
    stage.run_for(milliseconds(20));
    send(log, Index{3}, Index{2});
    ASSERT_TRUE(trailer.has_value());
    EXPECT_NE(trailer->flags & proto::kTrailerDisputes, 0u);
    EXPECT_EQ(trailer->chain_index, 1u);
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
