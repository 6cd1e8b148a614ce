// A member that reads back what it has while a new leader replaces the end of its log: what was replaced is
// no damage, and what was damaged before it was replaced isn't there any more.
#include <gtest/gtest.h>

#include "proto/control.pb.h"
#include "tests/support/played_leader.h"

namespace raftd::sim {
namespace {

/// A member whose log, of which it knows nothing to be committed, is more than one piece to read.
struct Reading {
    static constexpr uint64_t kEntries = 48, kEntryBytes = 100u << 10;
    Stage stage;
    PlayedLeader leader{stage};

    Reading() {
        stage.start();
        for (uint64_t i = 0; i < kEntries; ++i) leader.log.append(std::string(kEntryBytes, 'a'), leader.term);
        send_from(Index{1});
    }
    void send_from(Index first) {
        for (Index at = first; at <= leader.log.last(); at = at + 8)
            leader.send(at, std::min(at + 7, leader.log.last()));
        EXPECT_TRUE(leader.acknowledged(leader.log.last()));
    }
    pb::Verified look() {
        pb::Request request;
        request.mutable_verify()->set_run(7);
        return stage.asked(request).verified();
    }
    /// Begins, and stops where some of it was read.
    void begin() {
        ASSERT_FALSE(look().done());
        stage.run_for(milliseconds(10));  // a piece of 2 MiB; the next one comes 30 ms later
        ASSERT_GE(look().entries(), 12u);
        ASSERT_LT(look().entries(), 18u);
    }
    pb::Verified finish() {
        pb::Verified found = look();
        for (int i = 0; i < 1000 && !found.done(); ++i) {
            leader.send(leader.log.last() + 1, leader.log.last());  // a heartbeat
            found = look();
        }
        EXPECT_TRUE(found.done());
        for (const pb::Damage& damage : found.damages())
            ADD_FAILURE() << damage.file() << " " << damage.first() << ": " << damage.what();
        return found;
    }
    /// Entries behind `keep` become others, of a newer term.
    void replace_behind(Index keep) {
        OwnLog other(snapshot::genesis_point(stage.manifest));
        for (Index at{1}; at <= keep; at = at + 1) other.append(std::string(kEntryBytes, 'a'), leader.term);
        leader.term = leader.term + 1;
        for (uint64_t i = 0; i < kEntries; ++i) other.append(std::string(kEntryBytes, 'b'), leader.term);
        leader.log = std::move(other);
        send_from(keep + 1);
    }
};

TEST(Verifier, WhatANewLeaderReplacesMeanwhileIsNoDamage) {
    for (uint64_t keep : {2, 10, 15, 16, 17, 30, 47}) {
        SCOPED_TRACE(keep);
        Reading reading;
        reading.begin();
        reading.replace_behind(Index{keep});
        EXPECT_GE(reading.finish().entries(), Reading::kEntries) << "all of what is there now was read";
        EXPECT_EQ(reading.stage.node().core().view().commit, Index{});
    }
}

// The end of the log rots and is replaced, both while it is read: nothing of it is left.
TEST(Verifier, DamageInWhatWasReplacedIsGone) {
    Reading reading;
    int error = 0;
    const std::vector<std::string> segments = reading.stage.storage.list("/data/wal", error);
    const std::string& victim = segments.at(segments.size() * 3 / 4);
    ASSERT_TRUE(reading.stage.storage.flip_bit("/data/wal/" + victim, 50'000, 3)) << error;
    for (int i = 0; i < 20 && reading.look().damages_size() == 0; ++i)
        reading.stage.run_for(milliseconds(10));
    ASSERT_EQ(reading.look().damages_size(), 1);
    ASSERT_FALSE(reading.look().done());
    reading.replace_behind(Index{5});
    reading.finish();
    EXPECT_EQ(reading.stage.node().dump().find("alarm=damaged"), std::string::npos);
}

}  // namespace
}  // namespace raftd::sim
