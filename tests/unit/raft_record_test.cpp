// A saved core and the events after it must give the same outputs again; else a black box shows another run
// than the one that failed.
#include "raft/record.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "raft/text.h"
#include "tests/support/raft_cluster.h"

namespace raftd::raft::test {
namespace {

/// What one member was given and what it answered, from the moment it was saved.
struct Tape {
    struct Step {
        std::vector<std::byte> event;  // empty: a collect
        std::vector<std::string> output;
    };
    NodeId of;
    std::vector<std::byte> saved;
    std::vector<Step> steps;
};

void run(Cluster& cluster, Random& random, int steps) {
    for (int step = 0; step < steps; ++step) {
        cluster.advance(cluster.now + milliseconds(static_cast<int64_t>(random.between(1, 40))));
        const auto ids = cluster.ids();
        const NodeId id = ids[random.below(ids.size())], other = ids[random.below(ids.size())];
        const auto leader = cluster.leader();
        if (leader && random.chance(0.7))
            cluster.propose(*leader, random.between(1, 4), 300), cluster.turn(*leader);
        if (random.chance(0.2)) cluster.read(id, ReadId{static_cast<uint64_t>(step) + 1}), cluster.turn(id);
        if (random.chance(0.1)) cluster.drop(id, other, 0);
        if (random.chance(0.03)) cluster.step(id, {}, {cluster.now, ev::Transfer{other}}), cluster.turn(id);
        if (random.chance(0.05))
            cluster.step(id, {}, {cluster.now, ev::Link{other, false}}), cluster.turn(id);
        if (random.chance(0.03)) cluster.compact(id);
        if (random.chance(0.3)) {
            cluster.persist(id, 1);
            for (NodeId from : ids) cluster.deliver(from, id, 0, random.chance(0.1));
        } else {
            cluster.flush();
        }
    }
}

TEST(RaftRecord, SavedStateAndEventsGiveTheSameOutputs) {
    size_t collects = 0, saved_leading = 0;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Random random(seed);
        Options options;
        options.batch_bytes_max = 1000;
        options.in_flight_bytes_max = 4000;
        const std::vector<Member> members{{NodeId{1}}, {NodeId{2}}, {NodeId{3}}};
        Cluster cluster(members, options, seed);
        for (NodeId id : cluster.ids()) cluster.start(id);
        run(cluster, random, 120);

        Tape tape;
        tape.of = cluster.ids()[random.below(3)];
        saved_leading += cluster.member(tape.of).core->role() == Role::leader ? 1 : 0;
        tape.saved = save(*cluster.member(tape.of).core);
        cluster.on_step = [&](NodeId id, const Event& event) {
            if (id == tape.of) tape.steps.push_back({encode(event), {}});
        };
        cluster.on_collect = [&](NodeId id, const Output& output) {
            if (id == tape.of) tape.steps.push_back({{}, text(output)});
        };
        run(cluster, random, 200);

        auto replayed = load(tape.saved);
        ASSERT_TRUE(replayed);
        Output output;
        for (const Tape::Step& step : tape.steps) {
            if (step.event.empty()) {
                replayed->collect(output);
                ASSERT_EQ(text(output), step.output) << "seed " << seed;
                ++collects;
                continue;
            }
            const auto event = RecordedEvent::decode(step.event);
            ASSERT_TRUE(event);
            replayed->step(event->event());
        }
        EXPECT_EQ(text(replayed->view()), text(cluster.member(tape.of).core->view()));
        EXPECT_EQ(replayed->deadline(), cluster.member(tape.of).core->deadline());
    }
    EXPECT_GT(collects, 5000u);
    EXPECT_GT(saved_leading, 5u);
}

TEST(RaftRecord, EventsKeepEntriesAndConfigurations) {
    const Membership members{{{NodeId{1}, false, true, 3}, {NodeId{2}, true}}, {{NodeId{4}}}, true};
    const std::vector<EntryMeta> entries{{{Term{2}, Index{8}}, 100, nullptr},
                                         {{Term{3}, Index{9}}, 300, &members}};
    const Event event{
        Instant{77},
        ev::Message{NodeId{5}, msg::Append{Term{3}, {Term{1}, Index{7}}, Index{9}, Index{6}, 4}, entries}};
    const auto copy = RecordedEvent::decode(encode(event));
    ASSERT_TRUE(copy);
    EXPECT_EQ(text(copy->event()), text(event));
    EXPECT_EQ(copy->event().now, event.now);
    const auto& message = std::get<ev::Message>(copy->event().what);
    ASSERT_EQ(message.entries.size(), 2u);
    EXPECT_EQ(message.entries[0].membership, nullptr);
    EXPECT_EQ(*message.entries[1].membership, members);
}

TEST(RaftRecord, DamagedBytesAreRefused) {
    const std::vector<ConfigAt> configs{{Index{}, {{{NodeId{1}}}, {}, false}}};
    const Core core(Options{}, NodeId{1}, Restart{{}, {}, {}, {}, configs, {}, 1}, 1, Instant{0});
    const std::vector<std::byte> good = save(core);
    ASSERT_TRUE(load(good));
    for (size_t length = 0; length < good.size(); ++length) EXPECT_FALSE(load(ByteView(good).first(length)));
    for (size_t at = 0; at < good.size(); ++at) {
        std::vector<std::byte> bad = good;
        bad[at] ^= std::byte{16};
        EXPECT_FALSE(load(bad)) << at;
        EXPECT_FALSE(RecordedEvent::decode(bad)) << at;
    }
}

}  // namespace
}  // namespace raftd::raft::test
