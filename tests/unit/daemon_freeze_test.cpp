// Everything is held as it is, for a bounded time: asked for, told by another member, or since archives
// differ.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/stage.h"

namespace raftd::sim {
namespace {

constexpr uint64_t kHourMs = 3600 * 1000;

struct FreezeTest : testing::Test {
    Stage stage;

    void SetUp() override {
        stage.options.state_limits.archive = {.bytes = 4u << 20, .entries = 8};
        stage.start();
        ASSERT_TRUE(stage.lead());
    }
    bool has_alarm(const std::string& alarm) {
        return stage.node().dump().find("alarm=" + alarm) != std::string::npos;
    }
    pb::Frozen freeze(uint64_t version, uint64_t for_ms) {
        pb::Request request;
        request.mutable_freeze()->set_version(version);
        request.mutable_freeze()->set_for_ms(for_ms);
        return stage.asked(request).frozen();
    }
    void append(int count) {
        for (int i = 0; i < count; ++i)
            ASSERT_EQ(stage.appended(Draft::of({"record"})).code, proto::AppendCode::committed);
    }
    Index snapshot() {
        const auto* taken = stage.node().snapshot();
        return taken == nullptr ? Index{} : taken->at.index;
    }
    const snapshot::ArchiveInfo& newest() { return stage.node().snapshot()->archives.back(); }
    /// What a peer with the same archive says.
    void claim_newest(uint64_t spoil) {
        proto::Trailer& claim = stage.peer(2).adds;
        claim.archive_end = raw(newest().last());
        std::memcpy(&claim.archive_hash, newest().hash.data(), sizeof claim.archive_hash);
        claim.archive_hash ^= spoil;
    }
};

TEST_F(FreezeTest, NothingIsCompactedMeanwhileAndAllOfItAfterwards) {
    append(10);
    ASSERT_TRUE(stage.until([&] { return snapshot() >= Index{8}; }));
    const Index before = snapshot();
    EXPECT_EQ(freeze(1, kHourMs).version(), 1u);
    append(100);
    stage.run_for(seconds(20));
    EXPECT_EQ(snapshot(), before);
    EXPECT_TRUE(has_alarm("frozen why=asked"));
    pb::Request trim;
    trim.mutable_trim()->set_before(5);
    EXPECT_EQ(static_cast<Errc>(stage.asked(trim).error().code()), Errc::conflict);
    pb::Request take;
    take.mutable_take_snapshot();
    EXPECT_EQ(static_cast<Errc>(stage.asked(take).error().code()), Errc::conflict);

    EXPECT_EQ(freeze(2, 0).left_ms(), 0u);
    EXPECT_TRUE(stage.until([&] { return snapshot() >= Index{100}; }));
    EXPECT_FALSE(has_alarm("frozen"));
    // A dozen ends of archives came meanwhile: of their states one is left.
    int error = 0;
    size_t states = 0;
    for (const std::string& name : stage.storage.list("/data/snapshot", error))
        states += name.starts_with("state-");
    EXPECT_LE(states, 2u);
}

TEST_F(FreezeTest, ItEndsByItself) {
    freeze(1, 5000);
    append(20);
    stage.run_for(seconds(4));
    EXPECT_EQ(snapshot(), Index{});
    EXPECT_TRUE(stage.until([&] { return snapshot() >= Index{16}; }));
    EXPECT_EQ(freeze(0, 0).left_ms(), 0u);
}

TEST_F(FreezeTest, TheHigherVersionCountsWhoeverTellsIt) {
    stage.peer(2).adds.freeze = {5, kHourMs, 0, 0, 0};
    ASSERT_TRUE(stage.until([&] { return has_alarm("frozen"); }));
    EXPECT_EQ(freeze(4, 0).version(), 5u) << "an older word than what is known";
    EXPECT_TRUE(has_alarm("frozen"));
    EXPECT_EQ(freeze(6, 0).left_ms(), 0u);
    stage.run_for(seconds(2));
    EXPECT_FALSE(has_alarm("frozen")) << "n2 still tells of the older one";
}

TEST_F(FreezeTest, NobodyIsFrozenForLongerThanAWeek) {
    stage.peer(2).adds.freeze = {5, UINT64_MAX, 0, 0, 0};
    ASSERT_TRUE(stage.until([&] { return has_alarm("frozen"); }));
    EXPECT_LE(freeze(0, 0).left_ms(), 7ull * 24 * kHourMs);
    pb::Request request;
    request.mutable_freeze()->set_version(9);
    request.mutable_freeze()->set_for_ms(8ull * 24 * kHourMs);
    EXPECT_EQ(static_cast<Errc>(stage.asked(request).error().code()), Errc::bad_input);
}

TEST_F(FreezeTest, EqualArchivesAreNothingToTell) {
    append(10);
    ASSERT_TRUE(stage.until([&] { return snapshot() >= Index{8}; }));
    claim_newest(0);
    stage.run_for(seconds(2));
    EXPECT_FALSE(has_alarm("archive_mismatch"));
    EXPECT_FALSE(has_alarm("frozen"));
}

TEST_F(FreezeTest, AnotherArchiveIsAnAlarmAndFreezesForAnHour) {
    append(10);
    ASSERT_TRUE(stage.until([&] { return snapshot() >= Index{8}; }));
    claim_newest(1);
    const std::string alarm = "archive_mismatch member=n2 entry=" + std::to_string(raw(newest().last()));
    ASSERT_TRUE(stage.until([&] { return has_alarm(alarm); }));
    EXPECT_TRUE(has_alarm("frozen why=differs"));
    EXPECT_GT(freeze(0, 0).left_ms(), kHourMs - 60'000);
    pb::Request events;
    events.mutable_events();
    std::string told;
    const pb::Answer answer = stage.asked(events);
    for (const pb::MemberEvent& event : answer.events().events()) told += event.line() + "\n";
    EXPECT_NE(told.find("archives_differ peer=n2"), std::string::npos) << told;
    EXPECT_NE(told.find("frozen why=differs"), std::string::npos) << told;
    const Index before = snapshot();
    append(30);
    stage.run_for(seconds(10));
    EXPECT_EQ(snapshot(), before);
    // It goes on differing; that it was taken back is respected.
    freeze(freeze(0, 0).version() + 1, 0);
    stage.run_for(seconds(10));
    EXPECT_FALSE(has_alarm("frozen"));
    EXPECT_TRUE(has_alarm(alarm));
}

TEST_F(FreezeTest, AnotherHistoryFreezesToo) {
    append(10);
    LogPoint other = *stage.node().log_at(stage.node().core().view().commit);
    other.chain ^= 1;
    stage.peer(3).claims = other;
    EXPECT_TRUE(stage.until([&] { return has_alarm("frozen why=differs") && has_alarm("chain_mismatch"); }));
}

// An archive of theirs that ends inside one of mine is another one, whatever its hash.
TEST_F(FreezeTest, OtherBoundsAreADifferenceToo) {
    append(20);
    ASSERT_TRUE(stage.until([&] { return snapshot() >= Index{16}; }));
    claim_newest(0);
    stage.peer(2).adds.archive_end -= 1;
    EXPECT_TRUE(stage.until([&] { return has_alarm("archive_mismatch"); }));
}

TEST_F(FreezeTest, AnotherStateAtTheSameEndIsADifference) {
    append(10);
    ASSERT_TRUE(stage.until([&] { return snapshot() >= Index{8}; }));
    claim_newest(0);
    stage.peer(2).adds.state_digest = 12345;
    EXPECT_TRUE(stage.until([&] { return has_alarm("state_mismatch member=n2"); }));
    EXPECT_TRUE(has_alarm("frozen why=differs"));
}

}  // namespace
}  // namespace raftd::sim
