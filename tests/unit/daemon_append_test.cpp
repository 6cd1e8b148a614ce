// Admission of appends: what a member answers without doing anything, and in which order it looks (H8, H10,
// H12, H16, H19).
#include <gtest/gtest.h>

#include "tests/support/stage.h"

namespace raftd::sim {
namespace {

using proto::AppendCode;

struct AdmissionTest : testing::Test {
    Stage stage;
    uint64_t producer = 0;
    uint32_t epoch = 0;

    void lead() {
        stage.start();
        ASSERT_TRUE(stage.lead());
    }
    AppendCode code_of(const Draft& draft) { return stage.appended(draft).code; }
    void open_producer() {
        pb::Request request;
        request.mutable_open_producer()->set_name("p");
        pb::Answer answer = stage.asked(request);
        ASSERT_TRUE(answer.has_producer()) << answer.error().what();
        producer = answer.producer().id();
        epoch = answer.producer().epoch();
    }
    Draft numbered(const std::string& text, uint64_t sequence) {
        return Draft::of({text}).numbered(producer, epoch, sequence);
    }
    void mute(bool on) {
        for (uint64_t id : {2, 3}) stage.peer(id).mute = on;
    }
    /// The others acknowledge nothing more of the log, but go on answering.
    void hold_acks(bool on) {
        for (uint64_t id : {2, 3}) stage.peer(id).acks_upto = on ? stage.node().core().last() : Index{~0ull};
    }
    /// Below disk_free_min everywhere, or nowhere. (Were it n1 alone, it would hand over.)
    void fill_disks(bool on) {
        if (!on) stage.storage.set_capacity(UINT64_MAX);
        for (uint64_t id : {2, 3}) stage.peer(id).flags = on ? proto::kTrailerFull : 0;
        stage.run_for(milliseconds(300));  // their next answers say so
        if (on) stage.storage.set_room(400u << 10);
    }
    bool answered(uint32_t stream) { return stage.heard.done.contains(stream); }
};

TEST_F(AdmissionTest, AWellFormedOneIsCommitted) {
    lead();
    auto first = stage.appended(Draft::of({"a", "b"}));
    EXPECT_EQ(first.code, AppendCode::committed);
    EXPECT_EQ(first.lsn_first, 1u);
    EXPECT_EQ(stage.appended(Draft::of({"c"})).lsn_first, 3u);
}

TEST_F(AdmissionTest, WhoDoesNotLeadNamesTheLeader) {
    for (uint64_t id : {2, 3}) stage.peer(id).grants = false;
    stage.start();
    auto draft = Draft::of({"a"});
    EXPECT_EQ(code_of(draft), AppendCode::not_leader);
    EXPECT_EQ(stage.heard.leader.rbegin()->second, 0u);
    Index last = stage.node().core().last();
    stage.say_append(stage.peer(3), {Term{9}, {Term{}, Index{}}, Index{}, Index{}, 1}, 0, {});
    EXPECT_EQ(code_of(draft), AppendCode::not_leader);
    EXPECT_EQ(stage.heard.leader.rbegin()->second, 3u);
    EXPECT_EQ(stage.node().core().last(), last);
}

TEST_F(AdmissionTest, WhatAClientMadeWrongIsBad) {
    lead();
    Index last = stage.node().core().last();
    Draft checksum = Draft::of({"abc", "d"});
    checksum.body.back() ^= std::byte{1};
    Draft count = Draft::of({"abc", "d"});
    count.header.record_count = 3;
    Draft none = Draft::of({"abc"});
    none.header.record_count = 0;
    Draft lengths = Draft::of({"abc", "d"});  // the checksum is right, the lengths don't add up
    lengths.body[0] = std::byte{4};
    EntryHeader again = draft_batch(2, lengths.body);
    lengths.header.body_checksum = again.body_checksum;
    Draft kind = Draft::of({"abc"});
    kind.header.kind = EntryKind::noop;
    Draft codec = Draft::of({"abc"});
    codec.header.codec = 1;
    Draft flags = Draft::of({"abc"});
    flags.flags |= 2;
    Draft half = Draft::of({"abc"});
    half.header.sequence = 1;  // of no producer
    for (const Draft& draft : {checksum, count, none, lengths, kind, codec, flags, half})
        EXPECT_EQ(code_of(draft), AppendCode::bad_batch);
    // The same for a body that is checked beside the loop.
    Draft large = Draft::of({std::string(100'000, 'x')});
    large.body.back() ^= std::byte{1};
    EXPECT_EQ(code_of(large), AppendCode::bad_batch);
    EXPECT_EQ(stage.node().core().last(), last) << "nothing of it may reach the log";
}

TEST_F(AdmissionTest, TooLargeIsSaidBeforeTheBodyIsLookedAt) {
    auto& settings = stage.options.settings;
    settings.raft.batch_bytes_max = 1000;
    settings.log.record_bytes_max = 3000;
    lead();
    EXPECT_EQ(code_of(Draft::of({std::string(3000, 'x')})),
              AppendCode::committed);  // one record may be larger
    EXPECT_EQ(code_of(Draft::of({std::string(3001, 'x')})), AppendCode::too_large);
    EXPECT_EQ(code_of(Draft::of({std::string(992, 'x'), ""})), AppendCode::committed);
    Draft two = Draft::of({std::string(993, 'x'), ""});
    two.body.back() ^= std::byte{1};
    EXPECT_EQ(code_of(two), AppendCode::too_large);
}

// An append without a number that was bad is out for good; behind anything else nothing may land before the
// client has begun another run.
TEST_F(AdmissionTest, BehindARefusalNothingLandsUntilAnotherRun) {
    lead();
    Draft next = Draft::of({"next"});
    next.flags = 0;
    Draft bad = Draft::of({"bad"});
    bad.body.back() ^= std::byte{1};
    EXPECT_EQ(code_of(next), AppendCode::retry) << "a connection begins with a run";
    EXPECT_EQ(code_of(Draft::of({"first"})), AppendCode::committed);
    EXPECT_EQ(code_of(bad), AppendCode::bad_batch);
    EXPECT_EQ(code_of(next), AppendCode::committed);
    fill_disks(true);
    EXPECT_EQ(code_of(next), AppendCode::disk_full);
    fill_disks(false);
    EXPECT_EQ(code_of(next), AppendCode::retry);
    EXPECT_EQ(code_of(Draft::of({"again"})), AppendCode::committed);
    EXPECT_EQ(code_of(next), AppendCode::committed);
}

TEST_F(AdmissionTest, BusyWhileTheQueueIsFull) {
    stage.options.settings.limits.append_queue_bytes_max = 1000;
    lead();
    hold_acks(true);
    uint32_t waiting = stage.append(Draft::of({std::string(500, 'x')}));
    stage.run_for(milliseconds(5));
    ASSERT_FALSE(answered(waiting));
    EXPECT_EQ(code_of(Draft::of({std::string(500, 'x')})), AppendCode::busy);
    hold_acks(false);
    ASSERT_TRUE(stage.until([&] { return answered(waiting); }));
    EXPECT_EQ(code_of(Draft::of({std::string(500, 'x')})), AppendCode::committed);
}

// A majority of the members, or this one, has too little room: no client's append, but what heals goes on.
TEST_F(AdmissionTest, AFullDiskRefusesClientsAlone) {
    lead();
    for (uint64_t id : {2, 3}) stage.peer(id).flags = proto::kTrailerFull;
    stage.run_for(milliseconds(300));  // their next answers say so
    EXPECT_EQ(code_of(Draft::of({"a"})), AppendCode::disk_full);
    stage.peer(2).flags = 0;
    stage.run_for(milliseconds(300));
    EXPECT_EQ(code_of(Draft::of({"a"})), AppendCode::committed) << "two of three have room";
    fill_disks(true);  // where nobody is better off the leader stays, and its own entries still fit
    EXPECT_EQ(code_of(Draft::of({"a"})), AppendCode::disk_full);
    pb::Request request = stage.members_wanted({1, 2, 3}, {});
    request.mutable_change_members()->mutable_target(0)->set_priority(5);
    Index last = stage.node().core().last();
    pb::Answer changed = stage.asked(request);
    ASSERT_TRUE(changed.has_member_list()) << changed.error().what();
    EXPECT_TRUE(stage.until([&] { return stage.node().core().view().commit > last; }));
    EXPECT_EQ(stage.node().core().role(), raft::Role::leader);
}

// Of both halves: else a joint configuration could be entered, and what clients append meanwhile never be
// committed.
TEST_F(AdmissionTest, AMajorityOfEachHalfMustHaveRoom) {
    lead();
    pb::Answer added = stage.asked(stage.members_wanted({1, 2, 3}, {4, 5}));
    ASSERT_TRUE(added.has_member_list()) << added.error().what();
    for (uint64_t id : {4, 5}) stage.add_peer(id);
    stage.run_for(seconds(1));
    for (uint64_t id : {4, 5}) {
        stage.peer(id).acks_upto = stage.node().core().last();  // so that it stays joint
        stage.peer(id).flags = proto::kTrailerFull;
    }
    pb::Answer joint = stage.asked(stage.members_wanted({1, 4, 5}, {}));
    ASSERT_TRUE(joint.has_member_list()) << joint.error().what();
    stage.run_for(milliseconds(300));
    ASSERT_TRUE(stage.node().core().view().membership.members.joint());
    EXPECT_EQ(code_of(Draft::of({"a"})), AppendCode::disk_full) << "three of five voters aren't enough";
    stage.peer(5).flags = 0;
    stage.run_for(milliseconds(300));
    uint32_t taken = stage.append(Draft::of({"a"}));
    for (uint64_t id : {4, 5}) stage.peer(id).acks_upto = Index{~0ull};
    ASSERT_TRUE(stage.until([&] { return answered(taken); }));
    EXPECT_EQ(stage.heard.done[taken].code, AppendCode::committed);
}

TEST_F(AdmissionTest, NothingIsTakenWhileLeadershipIsHandedOver) {
    lead();
    pb::Request request;
    request.mutable_transfer_leader()->set_to(2);
    ASSERT_TRUE(stage.asked(request).has_transfer_begun());  // n2 never campaigns
    EXPECT_EQ(code_of(Draft::of({"a"})), AppendCode::retry);
    ASSERT_TRUE(stage.until([&] { return stage.node().core().accepting(); })) << "it is given up in time";
    EXPECT_EQ(code_of(Draft::of({"a"})), AppendCode::committed);
}

TEST_F(AdmissionTest, ARepetitionGetsTheFirstAnswer) {
    lead();
    open_producer();
    auto first = stage.appended(numbered("a", 1));
    ASSERT_EQ(first.code, AppendCode::committed);
    Index last = stage.node().core().last();
    auto again = stage.appended(numbered("a", 1));
    EXPECT_EQ(again.code, AppendCode::repeated);
    EXPECT_EQ(again.lsn_first, first.lsn_first);
    EXPECT_EQ(again.timestamp_ms, first.timestamp_ms);
    EXPECT_EQ(stage.node().core().last(), last);
    EXPECT_EQ(code_of(numbered("b", 1)), AppendCode::sequence_reused);
    auto gap = stage.appended(numbered("c", 3));
    EXPECT_EQ(gap.code, AppendCode::out_of_order);
    EXPECT_EQ(gap.lsn_first, 1u);
    EXPECT_EQ(code_of(Draft::of({"d"}).numbered(producer + 1, 1, 1)), AppendCode::expired);
}

TEST_F(AdmissionTest, ARepetitionOfOneUnderWayWaitsForIt) {
    lead();
    open_producer();
    hold_acks(true);
    uint32_t first = stage.append(numbered("a", 1)), again = stage.append(numbered("a", 1));
    stage.run_for(milliseconds(50));
    EXPECT_FALSE(answered(first) || answered(again));
    hold_acks(false);
    ASSERT_TRUE(stage.until([&] { return answered(first) && answered(again); }));
    EXPECT_EQ(stage.heard.done[first].code, AppendCode::committed);
    EXPECT_EQ(stage.heard.done[again].code, AppendCode::repeated);
    EXPECT_EQ(stage.heard.done[again].lsn_first, stage.heard.done[first].lsn_first);
}

// H10: `busy` and `retry` say that nothing happened, and of a batch that is in the log that isn't so.
TEST_F(AdmissionTest, ARepetitionOfOneUnderWayIsNeverSaidToHaveHadNoEffect) {
    stage.options.settings.limits.append_queue_bytes_max = 1000;
    lead();
    open_producer();
    hold_acks(true);
    Draft draft = numbered(std::string(600, 'x'), 1);
    uint32_t first = stage.append(draft);
    stage.run_for(milliseconds(5));
    ASSERT_FALSE(answered(first));
    EXPECT_EQ(code_of(draft), AppendCode::unknown) << "there is no room to wait for it";
    draft.flags = 0;
    EXPECT_EQ(code_of(draft), AppendCode::unknown) << "behind a refusal on its connection";
    pb::Request request;
    request.mutable_transfer_leader()->set_to(2);
    ASSERT_TRUE(stage.asked(request).has_transfer_begun());  // it waits for what isn't committed
    EXPECT_EQ(code_of(draft), AppendCode::unknown) << "while leadership is handed over";
    EXPECT_EQ(code_of(numbered("y", 2)), AppendCode::retry) << "which isn't in the log";
    EXPECT_FALSE(answered(first));
}

TEST_F(AdmissionTest, AForgottenAnswerStaysARepetition) {
    stage.options.state_limits = {
        .producers_max = 4, .answers_each_max = 2, .answers_all_max = 64, .producer_idle_ms = 5000};
    lead();
    open_producer();
    for (uint64_t i = 1; i <= 4; ++i) ASSERT_EQ(code_of(numbered("a", i)), AppendCode::committed);
    auto again = stage.appended(numbered("a", 1));
    EXPECT_EQ(again.code, AppendCode::repeated_forgotten);
    EXPECT_EQ(again.lsn_first, 0u);
    EXPECT_EQ(code_of(numbered("a", 4)), AppendCode::repeated);
}

TEST_F(AdmissionTest, OfTwoWithOneNameTheFirstIsFenced) {
    lead();
    open_producer();
    ASSERT_EQ(code_of(numbered("a", 1)), AppendCode::committed);
    uint32_t before = epoch;
    open_producer();
    ASSERT_EQ(epoch, before + 1);
    auto fenced = stage.appended(Draft::of({"b"}).numbered(producer, before, 2));
    EXPECT_EQ(fenced.code, AppendCode::fenced);
    EXPECT_EQ(fenced.lsn_first, epoch);
    EXPECT_EQ(code_of(numbered("b", 2)), AppendCode::committed);
}

// H12: a retry of what landed is a repetition, whatever its condition says by now.
TEST_F(AdmissionTest, ARepetitionComesBeforeRoomAndCondition) {
    lead();
    open_producer();
    Draft first = numbered("a", 1).expecting(1);
    ASSERT_EQ(code_of(first), AppendCode::committed);
    ASSERT_EQ(code_of(numbered("b", 2)), AppendCode::committed);
    EXPECT_EQ(code_of(first), AppendCode::repeated) << "the log's end has moved on since";
    fill_disks(true);
    EXPECT_EQ(code_of(first), AppendCode::repeated) << "it takes no room";
    EXPECT_EQ(code_of(numbered("c", 3).expecting(1)), AppendCode::disk_full) << "room, then the condition";
    fill_disks(false);
    auto failed = stage.appended(numbered("c", 3).expecting(1));
    EXPECT_EQ(failed.code, AppendCode::condition_failed);
    EXPECT_EQ(failed.lsn_first, 3u);
    EXPECT_EQ(code_of(numbered("c", 3).expecting(3)), AppendCode::committed);
}

// The condition is held against the log's end with all that isn't committed; what it refuses is said only
// once that is.
TEST_F(AdmissionTest, ARefusalWaitsForWhatItRestsOn) {
    lead();
    hold_acks(true);
    uint32_t first = stage.append(Draft::of({"a", "b"}));
    uint32_t fits = stage.append(Draft::of({"c"}).expecting(3));
    uint32_t late = stage.append(Draft::of({"d"}).expecting(3));
    stage.run_for(milliseconds(300));  // rounds are confirmed meanwhile: the others answer
    EXPECT_FALSE(answered(first) || answered(fits) || answered(late));
    hold_acks(false);
    ASSERT_TRUE(stage.until([&] { return answered(first) && answered(fits) && answered(late); }));
    EXPECT_EQ(stage.heard.done[fits].code, AppendCode::committed);
    EXPECT_EQ(stage.heard.done[late].code, AppendCode::condition_failed);
    EXPECT_EQ(stage.heard.done[late].lsn_first, 4u);
}

// H12: whoever is cut off can't know whether its refusal is true.
TEST_F(AdmissionTest, ARefusalOfALeaderThatIsNotHeardBecomesRetry) {
    lead();
    open_producer();
    ASSERT_EQ(code_of(numbered("a", 1)), AppendCode::committed);
    mute(true);
    std::vector<Draft> drafts = {Draft::of({"b"}).expecting(7), numbered("other", 1), numbered("c", 5),
                                 Draft::of({"d"}).numbered(producer, epoch + 1, 1),
                                 Draft::of({"e"}).numbered(producer + 9, 1, 1)};
    std::vector<uint32_t> streams;
    for (const Draft& draft : drafts) streams.push_back(stage.append(draft));
    stage.run_for(milliseconds(100));
    for (uint32_t stream : streams) EXPECT_FALSE(answered(stream)) << "nobody has confirmed its reign";
    ASSERT_TRUE(stage.until([&] {
        return std::all_of(streams.begin(), streams.end(), [&](uint32_t stream) { return answered(stream); });
    }));
    EXPECT_NE(stage.node().core().role(), raft::Role::leader);
    for (uint32_t stream : streams) EXPECT_EQ(stage.heard.done[stream].code, AppendCode::retry);
}

}  // namespace
}  // namespace raftd::sim
