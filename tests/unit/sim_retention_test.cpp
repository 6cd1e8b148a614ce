// Trims, cursors, policy and checkpoints of a whole cluster whose members crash: equal everywhere, true to
// what was answered.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "tests/support/sim_asker.h"

namespace raftd::sim {
namespace {

struct RetentionTest : SimFixture, testing::Test {
    RetentionTest() : SimFixture(51) {}

    void SetUp() override {
        start_all();
        ClientLoad load;
        load.appends_per_second = 100;
        load.reads_per_second = 0;
        load.follow = false;
        start_writer(load);
        asker = std::make_unique<Asker>(*this, 160);
        until([&] { return writer->acked() > 50; });
    }

    client::LeaderAnswer ask(const pb::Request& request) {
        asker->ask(request);
        std::optional<client::LeaderAnswer> answer;
        until([&] { return answer || (answer = asker->take()); });
        return answer.value_or(client::LeaderAnswer{});
    }
    /// One member crashes or is cut from power, and comes back; never two at once.
    void hurt() {
        auto hurt = static_cast<uint32_t>(1 + kernel.random.below(cluster.count()));
        if (kernel.random.below(2) == 0)
            cluster.kill(hurt);
        else
            cluster.cut_power(hurt, CrashPolicy::draw(kernel.random));
        run_for(milliseconds(static_cast<int64_t>(100 + kernel.random.below(1500))));
        cluster.start(hurt);
    }
    void expect_all_equal() {
        expect_states_equal();
        for (uint32_t i = 1; i <= cluster.count(); ++i)
            EXPECT_EQ(state(i).first_index(), state(1).first_index());
    }

    std::unique_ptr<Asker> asker;
};

pb::Request trim_request(uint64_t before) {
    pb::Request request;
    request.mutable_trim()->set_before(before);
    return request;
}

pb::Request cursor_request(pb::CursorChange::Op op, const std::string& name, uint64_t lsn,
                           bool hold = false) {
    pb::Request request;
    pb::CursorChange& change = *request.mutable_change_cursor();
    change.set_op(op);
    change.set_name(name);
    change.set_lsn(lsn);
    change.set_hold(hold);
    return request;
}

// What was answered holds, whoever leads: no trim goes back, none passes a hold that was acknowledged.
TEST_F(RetentionTest, EqualOnAllMembersOverCrashes) {
    Random random(9);
    std::map<std::string, uint64_t> held;  // by acknowledged holds
    uint64_t first = 1, trims = 0, kept = 0, crashes = 0;
    for (int round = 0; round < 150; ++round) {
        if (random.below(6) == 0) hurt(), ++crashes;
        pb::Request question;
        question.mutable_retention();
        auto now = ask(question).retained;
        ASSERT_TRUE(now);
        ASSERT_GE(now->first_lsn(), first);
        first = now->first_lsn();
        const uint64_t some = first + random.below(now->last_lsn() + 2 - first);
        const std::string name(1, static_cast<char>('a' + random.below(3)));
        switch (random.below(5)) {
            case 0:
                held.erase(name);  // unknown until it is answered
                if (!ask(cursor_request(pb::CursorChange::SET, name, some, true)).error) held[name] = some;
                break;
            case 1:
                held.erase(name);
                ask(cursor_request(pb::CursorChange::REMOVE, name, 0));
                break;
            case 2: {
                auto answer = ask(cursor_request(pb::CursorChange::ADVANCE, name, some));
                if (!answer.error && held.contains(name)) held[name] = std::max(held[name], some);
                break;
            }
            case 3: {
                pb::Request change;
                change.mutable_change_retention()->set_records(random.below(3) * 40);
                EXPECT_FALSE(ask(change).error);
                break;
            }
            default: {
                auto answer = ask(trim_request(some));
                ASSERT_FALSE(answer.error) << answer.error->what;
                trims += answer.retained->first_lsn() > first;
                kept += answer.retained->held_at() != 0;
                first = answer.retained->first_lsn();
            }
        }
        for (const auto& [cursor, lsn] : held) ASSERT_LE(first, lsn) << cursor;
    }
    expect_all_equal();
    EXPECT_GT(trims, 5u);
    EXPECT_GT(kept, 3u);
    EXPECT_GT(crashes, 10u);
    EXPECT_GT(raw(state(1).first_lsn()), 1u);
}

// Chunks are sent again when their answers are lost, beside appends and over leaders: what is read back from
// the log is what was sent.
TEST_F(RetentionTest, AnUploadOverCrashesComesBackWhole) {
    Random random(17);
    std::vector<std::byte> content(40'000);
    for (std::byte& byte : content) byte = static_cast<std::byte>(random.next());
    pb::Request begin;
    begin.mutable_begin_checkpoint()->set_upto(20);
    begin.mutable_begin_checkpoint()->set_size(content.size());
    begin.mutable_begin_checkpoint()->set_sha256(std::string(32, 'x'));
    auto begun = ask(begin);
    ASSERT_FALSE(begun.error) << begun.error->what;
    ASSERT_EQ(begun.retained->checkpoints_size(), 1);
    const uint64_t id = begun.retained->checkpoints(0).id();
    for (uint64_t at = 0; at < content.size();) {
        if (random.below(4) == 0) hurt();
        const uint64_t bytes = std::min<uint64_t>(1000 + random.below(3000), content.size() - at);
        pb::Request chunk;
        chunk.mutable_add_chunk()->set_id(id);
        chunk.mutable_add_chunk()->set_offset(at);
        chunk.mutable_add_chunk()->set_data(std::string(as_text(ByteView(content).subspan(at, bytes))));
        auto answer = ask(chunk);
        ASSERT_FALSE(answer.error) << answer.error->what;
        at += bytes;
        ASSERT_EQ(answer.retained->checkpoints(0).received(), at);
    }
    pb::Request commit;
    commit.mutable_commit_checkpoint()->set_id(id);
    ASSERT_FALSE(ask(commit).error);
    ASSERT_FALSE(ask(trim_request(21)).error);
    hurt();

    std::vector<std::byte> back;
    asker->open({.from = client::From::chunks, .value = id});
    until([&] {
        for (const auto& body : std::exchange(asker->bodies, {})) {
            uint64_t head[2];
            std::memcpy(head, body.data(), sizeof head);
            if (head[0] == id && head[1] == back.size())
                back.insert(back.end(), body.begin() + 16, body.end());
        }
        return back.size() >= content.size() || asker->failed();
    });
    EXPECT_EQ(back, content);
    expect_all_equal();
    ASSERT_NE(state(1).retained().newest(), nullptr);
    EXPECT_EQ(state(1).retained().newest()->upto, Lsn{20});
}

}  // namespace
}  // namespace raftd::sim
