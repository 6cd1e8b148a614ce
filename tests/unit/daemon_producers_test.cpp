// Requests that open, close and ask about producers, as a leader answers them (docs/protocol.md, Producers).
#include <gtest/gtest.h>

#include "tests/support/stage.h"

namespace raftd::sim {
namespace {

struct ProducersTest : testing::Test {
    Stage stage;

    void lead() {
        stage.start();
        ASSERT_TRUE(stage.lead());
    }
    static pb::Request open(const std::string& name, uint64_t id = 0, uint32_t epoch = 0) {
        pb::Request request;
        request.mutable_open_producer()->set_name(name);
        request.mutable_open_producer()->set_id(id);
        request.mutable_open_producer()->set_epoch(epoch);
        return request;
    }
    static pb::Request close(uint64_t id, uint32_t epoch) {
        pb::Request request;
        request.mutable_close_producer()->set_id(id);
        request.mutable_close_producer()->set_epoch(epoch);
        return request;
    }
    static pb::Request query(const std::string& name, uint64_t id, uint64_t sequence) {
        pb::Request request;
        request.mutable_query_producer()->set_name(name);
        request.mutable_query_producer()->set_id(id);
        request.mutable_query_producer()->set_sequence(sequence);
        return request;
    }
    pb::ProducerAnswer told(const pb::Request& request) {
        pb::Answer answer = stage.asked(request);
        EXPECT_TRUE(answer.has_producer()) << answer.error().what();
        return answer.producer();
    }
    Errc refused(const pb::Request& request) {
        pb::Answer answer = stage.asked(request);
        EXPECT_TRUE(answer.has_error());
        return static_cast<Errc>(answer.error().code());
    }
    void append(const pb::ProducerAnswer& producer, uint64_t sequence) {
        Draft draft = Draft::of({"a", "b"}).numbered(producer.id(), producer.epoch(), sequence);
        ASSERT_EQ(stage.appended(draft).code, proto::AppendCode::committed);
    }
};

TEST_F(ProducersTest, OpeningAgainTellsTheTruthAboutAllBefore) {
    lead();
    pb::ProducerAnswer first = told(open("job"));
    EXPECT_EQ(first.epoch(), 1u);
    EXPECT_EQ(first.last_sequence(), 0u);
    append(first, 1);
    append(first, 2);
    pb::ProducerAnswer again = told(open("job"));
    EXPECT_EQ(again.id(), first.id());
    EXPECT_EQ(again.epoch(), 2u);
    EXPECT_EQ(again.last_sequence(), 2u);
    EXPECT_EQ(again.records(), 4u);
    // By id and epoch: only who has the newest one opens it again.
    pb::ProducerAnswer fenced = told(open("", first.id(), 1));
    EXPECT_TRUE(fenced.fenced());
    EXPECT_EQ(fenced.epoch(), 2u);
    EXPECT_EQ(told(open("", first.id(), 2)).epoch(), 3u);
    // Without a name each is another one.
    EXPECT_NE(told(open("")).id(), told(open("")).id());
}

TEST_F(ProducersTest, WhatMakesNoSenseIsRefused) {
    lead();
    EXPECT_EQ(refused(open(std::string(129, 'x'))), Errc::bad_input);
    EXPECT_EQ(refused(open("", 77, 1)), Errc::not_found);
    EXPECT_EQ(refused(open("", 77)), Errc::not_found);
    EXPECT_EQ(refused(close(0, 1)), Errc::bad_input);
    EXPECT_EQ(refused(close(77, 1)), Errc::not_found);
    pb::ProducerAnswer job = told(open("job"));
    EXPECT_EQ(refused(close(job.id(), job.epoch() + 1)), Errc::not_found);
    told(close(job.id(), job.epoch()));
    EXPECT_EQ(told(query("job", 0, 0)).id(), 0u);
    EXPECT_EQ(told(query("", job.id(), 0)).id(), 0u);
}

TEST_F(ProducersTest, ASequenceIsRemembered) {
    lead();
    pb::ProducerAnswer job = told(open("job"));
    append(job, 1);
    append(job, 2);
    pb::ProducerAnswer second = told(query("job", 0, 2));
    ASSERT_TRUE(second.has_sequence());
    EXPECT_EQ(second.sequence().lsn_first(), 3u);
    EXPECT_EQ(second.sequence().record_count(), 2u);
    EXPECT_FALSE(told(query("", job.id(), 3)).has_sequence());
}

TEST_F(ProducersTest, WhoDoesNotLeadNamesTheLeader) {
    for (uint64_t id : {2, 3}) stage.peer(id).grants = false;
    stage.start();
    stage.say_append(stage.peer(3), {Term{9}, {Term{}, Index{}}, Index{}, Index{}, 1}, 0, {});
    for (const pb::Request& request : {open("job"), close(1, 1), query("job", 0, 1)}) {
        pb::Answer answer = stage.asked(request);
        EXPECT_EQ(static_cast<Errc>(answer.error().code()), Errc::unavailable);
        EXPECT_EQ(answer.error().leader(), 3u);
    }
}

TEST_F(ProducersTest, NoneBelowTheirFeatureLevel) {
    stage.manifest.feature_level = 1;
    lead();
    EXPECT_EQ(refused(open("job")), Errc::conflict);
    EXPECT_EQ(stage.appended(Draft::of({"a"}).numbered(1, 1, 1)).code, proto::AppendCode::bad_batch);
    EXPECT_EQ(stage.appended(Draft::of({"a"})).code, proto::AppendCode::committed);
}

TEST_F(ProducersTest, TheLongestIdleMakesRoomByTheLogsTime) {
    stage.options.state_limits.producers_max = 2;
    stage.options.state_limits.producer_idle_ms = 5000;
    lead();
    pb::ProducerAnswer idle = told(open("idle")), busy = told(open("busy"));
    EXPECT_EQ(refused(open("third")), Errc::unavailable) << "nobody is idle";
    stage.run_for(seconds(4));
    append(busy, 1);
    stage.run_for(seconds(2));
    told(open("third"));
    EXPECT_EQ(told(query("", idle.id(), 0)).id(), 0u);
    EXPECT_EQ(told(query("busy", 0, 0)).last_sequence(), 1u);
}

TEST_F(ProducersTest, AFullDiskRegistersNobody) {
    lead();
    for (uint64_t id : {2, 3}) stage.peer(id).flags = proto::kTrailerFull;  // else it hands over
    stage.run_for(milliseconds(300));
    stage.storage.set_room(400u << 10);
    EXPECT_EQ(refused(open("job")), Errc::unavailable);
    stage.storage.set_capacity(UINT64_MAX);
    EXPECT_EQ(told(open("job")).epoch(), 1u);
}

// What is in the log of a leader that goes may happen yet; what was only asked didn't.
TEST_F(ProducersTest, ALostOfficeIsToldApart) {
    lead();
    for (uint64_t id : {2, 3}) stage.peer(id).mute = true;
    uint32_t opened = stage.ask(open("job")), asked = stage.ask(query("job", 0, 1));
    ASSERT_TRUE(stage.until([&] { return stage.heard.answers.size() == 2; }));
    EXPECT_EQ(static_cast<Errc>(stage.heard.answers[opened].error().code()), Errc::unknown);
    EXPECT_EQ(static_cast<Errc>(stage.heard.answers[asked].error().code()), Errc::unavailable);
}

}  // namespace
}  // namespace raftd::sim
