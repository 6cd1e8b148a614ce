#include "daemon/state.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include "base/random.h"
#include "tests/support/any_entry.h"
#include "tests/support/memory_store.h"
#include "tests/support/state_log.h"

namespace raftd::daemon {
namespace {

using Did = Effects::Producer;
constexpr StateLimits kSmall{
    .producers_max = 8, .answers_each_max = 5, .answers_all_max = 12, .producer_idle_ms = 100};

struct Rig {
    explicit Rig(const StateLimits& limits = kSmall) : state(limits, LogPoint{}, 2) {}
    Effects operator()(const LoggedEntry& entry) { return apply(state, entry); }
    uint64_t opened(std::string name = {}) { return (*this)(log.open(std::move(name))).producer_id; }
    StateLog log;
    State state;
};

State reloaded(const StateLimits& limits, const snapshot::Store& store) {
    auto loaded = State::load(limits, store);
    EXPECT_TRUE(loaded) << loaded.error().what;
    return std::move(*loaded);
}

TEST(State, TheIndexOfTheRegistrationIsTheProducersId) {
    Rig rig;
    rig(rig.log.add(EntryKind::noop, {}));
    Effects effects = rig(rig.log.open("jobs"));
    EXPECT_EQ(effects.producer, Did::opened);
    EXPECT_EQ(effects.producer_id, 2u);
    const Producer* producer = rig.state.find("jobs");
    ASSERT_NE(producer, nullptr);
    EXPECT_EQ(producer, rig.state.find(2));
    EXPECT_EQ(producer->epoch, 1u);
    EXPECT_EQ(producer->last, 0u);
    EXPECT_EQ(producer->opened_index, 2u);
    EXPECT_EQ(rig.state.find(1), nullptr);
    EXPECT_EQ(rig.state.find("others"), nullptr);
}

// An older process with the same name must be fenced, and the new one must go on where it ended.
TEST(State, OpeningAgainRaisesTheEpochAndKeepsTheSequence) {
    Rig rig;
    uint64_t id = rig.opened("jobs");
    rig(rig.log.batch(id, 1, 1, 10));
    EXPECT_EQ(rig.opened("jobs"), id);
    EXPECT_EQ(rig.state.find(id)->epoch, 2u);
    EXPECT_EQ(rig.state.find(id)->last, 1u);
    EXPECT_EQ(rig.state.find(id)->records, 10u);
    EXPECT_EQ(rig(rig.log.batch(id, 1, 2)).producer, Did::unknown);
    EXPECT_EQ(rig.state.find(id)->last, 1u);
    EXPECT_EQ(rig(rig.log.batch(id, 2, 2)).producer, Did::none);
    EXPECT_EQ(rig.state.find(id)->last, 2u);
    EXPECT_EQ(rig(rig.log.open({}, {}, id)).producer_id, id);
    EXPECT_EQ(rig.state.find(id)->epoch, 3u);
    EXPECT_EQ(rig(rig.log.open({}, {}, 999)).producer, Did::unknown);
}

TEST(State, UnnamedProducersAreDifferentOnes) {
    Rig rig;
    EXPECT_NE(rig.opened(), rig.opened());
    EXPECT_EQ(rig.state.producers(), 2u);
    EXPECT_EQ(rig.state.find(""), nullptr);
}

TEST(State, ABatchThatIsNotTheNextOneChangesNothing) {
    Rig rig;
    uint64_t id = rig.opened();
    rig(rig.log.batch(id, 1, 1));
    uint64_t records = rig.state.find(id)->records;
    for (const auto& entry : {std::tuple{id, 1u, 1ul}, {id, 1u, 3ul}, {id, 2u, 2ul}, {id + 50, 1u, 1ul}}) {
        auto [producer, epoch, sequence] = entry;
        EXPECT_EQ(rig(rig.log.batch(producer, epoch, sequence)).producer, Did::unknown);
        EXPECT_EQ(rig.state.find(id)->last, 1u);
        EXPECT_EQ(rig.state.find(id)->records, records);
    }
    EXPECT_EQ(rig(rig.log.batch(0, 0, 0)).producer, Did::none);
}

TEST(State, AnAnswerIsThatOfTheEntryInTheLog) {
    Rig rig;
    uint64_t id = rig.opened();
    rig.log.now_ms = 5000;
    rig.log.term = Term{3};
    LoggedEntry first = rig.log.batch(id, 1, 1, 4), second = rig.log.batch(id, 1, 2, 2);
    rig(first);
    rig(second);
    const Answer* answer = rig.state.find(id)->answer(1);
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer->index, first.header.index);
    EXPECT_EQ(answer->lsn_first, 1u);
    EXPECT_EQ(answer->term, 3u);
    EXPECT_EQ(answer->timestamp_ms, 5000u);
    EXPECT_EQ(answer->record_count, 4u);
    EXPECT_EQ(answer->body_checksum, first.header.body_checksum);
    EXPECT_EQ(rig.state.find(id)->answer(2)->lsn_first, 5u);
    EXPECT_EQ(rig.state.find(id)->answer(3), nullptr);
    EXPECT_EQ(rig.state.find(id)->answer(0), nullptr);
}

TEST(State, EachRemembersItsLastAnswersOnly) {
    Rig rig;
    uint64_t id = rig.opened();
    for (uint64_t sequence = 1; sequence <= 9; ++sequence) rig(rig.log.batch(id, 1, sequence));
    for (uint64_t sequence = 1; sequence <= 9; ++sequence)
        EXPECT_EQ(rig.state.find(id)->answer(sequence) != nullptr, sequence > 4) << sequence;
    EXPECT_EQ(rig.state.answers(), 5u);
}

// The bound of all together is by the log's order, so it is the same on every member.
TEST(State, AllTogetherRememberTheNewestAnswersOfTheLog) {
    Rig rig;
    uint64_t a = rig.opened(), b = rig.opened(), c = rig.opened();
    for (uint64_t sequence = 1; sequence <= 4; ++sequence) rig(rig.log.batch(a, 1, sequence));
    for (uint64_t sequence = 1; sequence <= 5; ++sequence) {
        rig(rig.log.batch(b, 1, sequence));
        rig(rig.log.batch(c, 1, sequence));
    }
    EXPECT_EQ(rig.state.answers(), 12u);
    EXPECT_EQ(rig.state.find(a)->answer(2), nullptr);
    EXPECT_NE(rig.state.find(a)->answer(3), nullptr);
    EXPECT_NE(rig.state.find(b)->answer(1), nullptr);
    EXPECT_EQ(rig.state.find(a)->last, 4u);
    rig(rig.log.batch(b, 1, 6));
    rig(rig.log.batch(b, 1, 7));
    EXPECT_EQ(rig.state.find(a)->answer(4), nullptr);
    // Long silence of one: its place in the chain is gone, and it begins a new one.
    rig(rig.log.batch(a, 1, 5));
    EXPECT_NE(rig.state.find(a)->answer(5), nullptr);
    EXPECT_EQ(rig.state.find(a)->answer(4), nullptr);
}

TEST(State, DeepAnswersOfManyAreFound) {
    StateLimits limits{.producers_max = 50, .answers_each_max = 300, .answers_all_max = 4000};
    Rig rig(limits);
    Random random(7);
    std::vector<uint64_t> ids, last(50);
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> index_of;  // of (producer, sequence)
    std::vector<std::pair<uint64_t, uint64_t>> order;
    for (int i = 0; i < 50; ++i) ids.push_back(rig.opened());
    for (int i = 0; i < 20000; ++i) {
        size_t who = random.below(random.below(2) == 0 ? 3 : 50);
        LoggedEntry entry = rig.log.batch(ids[who], 1, ++last[who]);
        rig(entry);
        index_of[{ids[who], last[who]}] = entry.header.index;
        order.emplace_back(ids[who], last[who]);
    }
    std::set<std::pair<uint64_t, uint64_t>> newest(order.end() - 4000, order.end());
    for (size_t who = 0; who < 50; ++who)
        for (uint64_t sequence = 1; sequence <= last[who]; ++sequence) {
            bool kept = last[who] - sequence < 300 && newest.contains({ids[who], sequence});
            const Answer* answer = rig.state.find(ids[who])->answer(sequence);
            ASSERT_EQ(answer != nullptr, kept) << who << " " << sequence;
            if (kept) {
                ASSERT_EQ(answer->index, (index_of[{ids[who], sequence}]));
            }
        }
}

TEST(State, ACloseForgetsTheProducerOfItsOwnEpochOnly) {
    Rig rig;
    uint64_t id = rig.opened("jobs");
    rig(rig.log.batch(id, 1, 1));
    rig.opened("jobs");
    EXPECT_EQ(rig(rig.log.close(id, 1)).producer, Did::unknown);
    ASSERT_NE(rig.state.find(id), nullptr);
    EXPECT_EQ(rig(rig.log.close(id, 2)).producer, Did::closed);
    EXPECT_EQ(rig.state.find(id), nullptr);
    EXPECT_EQ(rig.state.find("jobs"), nullptr);
    EXPECT_EQ(rig(rig.log.batch(id, 2, 2)).producer, Did::unknown);
    EXPECT_NE(rig.opened("jobs"), id);  // a zombie of the old one can't be taken for the new one
    EXPECT_EQ(rig.state.find("jobs")->last, 0u);
}

TEST(State, AFullTableTakesNoMoreUntilTheEntryNamesWhoGoes) {
    Rig rig;
    std::vector<uint64_t> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(rig.opened());
    EXPECT_EQ(rig(rig.log.open()).producer, Did::full);
    EXPECT_EQ(rig.state.producers(), 8u);
    Effects effects = rig(rig.log.open("jobs", {ids[3], 777, ids[5]}));
    EXPECT_EQ(effects.producer, Did::opened);
    EXPECT_EQ(effects.expired, (std::vector<uint64_t>{ids[3], ids[5]}));
    EXPECT_EQ(rig.state.producers(), 7u);
    EXPECT_EQ(rig.state.find(ids[3]), nullptr);
    // A known name needs no room.
    rig.opened();
    EXPECT_EQ(rig(rig.log.open("jobs")).producer, Did::opened);
}

TEST(State, IdleOnesByLogTimeUnnamedFirstLongestFirst) {
    Rig rig;
    rig.log.now_ms = 1000;
    uint64_t named = rig.opened("a"), first = rig.opened();
    rig.log.now_ms = 1010;
    uint64_t second = rig.opened();
    rig.log.now_ms = 1020;
    rig(rig.log.batch(first, 1, 1));
    rig.log.now_ms = 1050;
    uint64_t fresh = rig.opened();
    EXPECT_TRUE(rig.state.idle(1099, 10).empty());
    EXPECT_EQ(rig.state.idle(1120, 10), (std::vector<uint64_t>{second, first, named}));
    EXPECT_EQ(rig.state.idle(1120, 1), (std::vector<uint64_t>{second}));
    EXPECT_EQ(rig.state.idle(9000, 10), (std::vector<uint64_t>{second, first, fresh, named}));
    EXPECT_TRUE(rig.state.idle(0, 10).empty());
}

TEST(State, MembersIdsStayUsedAndTheNewestConfigurationsAreKept) {
    State state(kSmall, LogPoint{}, 2, StateLog::configuration({1, 2}));
    StateLog log;
    for (uint64_t id = 3; id < 20; ++id) apply(state, log.members({1, id}));
    EXPECT_EQ(state.used_ids().size(), 19u);
    EXPECT_TRUE(state.used_ids().contains(NodeId{2}));
    EXPECT_EQ(state.configs().size(), State::kConfigsKept);
    EXPECT_EQ(state.configs().rbegin()->first, Index{17});
    apply(state, log.add(EntryKind::membership, {}));  // can't be read: changes nothing
    EXPECT_EQ(state.configs().rbegin()->first, Index{17});
    EXPECT_EQ(state.applied(), Index{18});
}

TEST(State, TheFeatureLevelNeverFalls) {
    State state(kSmall, LogPoint{}, 1);
    StateLog log;
    EXPECT_EQ(apply(state, log.feature(2)).feature_level, 2u);
    EXPECT_EQ(state.feature_level(), 2u);
    EXPECT_FALSE(apply(state, log.feature(1)).feature_level);
    EXPECT_FALSE(apply(state, log.feature(2)).feature_level);
    EXPECT_EQ(state.feature_level(), 2u);
    EXPECT_FALSE(apply(state, log.add(EntryKind::feature, std::vector<std::byte>(3))).feature_level);
    EXPECT_EQ(state.feature_level(), 2u);
}

StateLimits drawn(Random& random) {
    return {.producers_max = 1 + random.below(10),
            .answers_each_max = 1 + random.below(100),
            .answers_all_max = 1 + random.below(300),
            .producer_idle_ms = random.below(200),
            .archive = {.bytes = 1 + random.below(3000),
                        .entries = 1 + random.below(40),
                        .marks_max = 4 + random.below(30)},
            .retain = {.cursors_max = 1 + random.below(6),
                       .checkpoints_max = 1 + random.below(4),
                       .uploads_max = 1 + random.below(3),
                       .upload_distance = random.below(4000)}};
}

// Two members with the same entries are equal, and one that was stopped at any point and read its store is
// too: what take_dirty says is enough, and load invents nothing.
TEST(State, EqualOnEveryMemberAlsoAfterALoadAtAnyPoint) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Random random(seed);
        StateLimits limits = drawn(random);
        StateLog log;
        Configuration genesis = StateLog::configuration({1});
        State one(limits, LogPoint{}, 1, genesis), other(limits, LogPoint{}, 1, genesis);
        snapshot::MemoryStore store;
        bool flushed = false;
        for (int i = 0; i < 1500; ++i) {
            LoggedEntry entry = anything(log, one, random);
            apply(one, entry);
            apply(other, entry);
            if (random.below(30) == 0) {
                snapshot::StoreBatch batch;
                other.take_dirty(batch);
                store.write(batch).value();
                flushed = true;
                EXPECT_LE(other.dirty_bytes(), 0u);
                ASSERT_EQ(reloaded(limits, store).digest(), one.digest()) << seed << " " << i;
            }
            if (flushed && random.below(60) == 0) {
                snapshot::StoreBatch batch;
                other.take_dirty(batch);
                store.write(batch).value();
                other = reloaded(limits, store);
            }
            if (random.below(200) == 0) {
                store = {};
                other.all_dirty();
                flushed = false;
            }
            ASSERT_EQ(one.digest(), other.digest()) << seed << " " << i;
            ASSERT_EQ(one.answers(), other.answers());
            ASSERT_LE(one.bytes(), State::bytes_max(limits));
            ASSERT_EQ(one.applied(), log.end.index);
        }
    }
}

TEST(State, ADigestTellsStatesApart) {
    Rig a, b;
    a.opened("x");
    b.opened("y");
    EXPECT_NE(a.state.digest(), b.state.digest());
    Rig c, d;
    uint64_t id = c.opened();
    d.opened();
    EXPECT_EQ(c.state.digest(), d.state.digest());
    c(c.log.batch(id, 1, 1));
    d(d.log.batch(0, 0, 0));
    EXPECT_NE(c.state.digest(), d.state.digest());
}

// A store's content is foreign bytes: each way in which it can't be is found, and none crashes.
TEST(State, AChangedStoreIsDamageOrAnotherStateAndNeverACrash) {
    Random random(3);
    StateLimits limits{.producers_max = 8,
                       .answers_each_max = 20,
                       .answers_all_max = 100,
                       .producer_idle_ms = 100,
                       .archive = {.bytes = 3000}};
    Rig rig(limits);
    auto something_of_all = [&] {
        const Retained& retained = rig.state.retained();
        return rig.state.producers() > 1 && rig.state.answers() > 3 && retained.cursors().size() > 2 &&
               retained.checkpoints().size() > 1 && rig.state.archives().marks().size() > 3;
    };
    for (int i = 0; i < 1200 || (i < 20'000 && !something_of_all()); ++i)
        rig(anything(rig.log, rig.state, random));
    ASSERT_TRUE(something_of_all());
    snapshot::MemoryStore whole;
    snapshot::StoreBatch batch;
    rig.state.take_dirty(batch);
    whole.write(batch).value();
    uint64_t refused = 0, taken = 0;
    for (const auto& [key, value] : whole.keys) {
        for (size_t at = 0; at < value.size(); ++at) {
            snapshot::MemoryStore store = whole;
            store.keys[key][at] = static_cast<char>(value[at] ^ (1 << random.below(8)));
            auto loaded = State::load(limits, store);
            ++(loaded ? taken : refused);
            EXPECT_TRUE(loaded || loaded.error().code == Errc::damaged);
            store.keys[key] = value.substr(0, at);
            const bool whole_answers =
                key[0] == 'a' && at > 8 && (at - 8) % sizeof(snapshot::AnswerRecord) == 0;
            EXPECT_FALSE(std::string_view("afcmtk").find(key[0]) != std::string_view::npos &&
                         !whole_answers && State::load(limits, store));
        }
        snapshot::MemoryStore store = whole;
        store.keys.erase(key);
        EXPECT_FALSE(key[0] == 'f' && State::load(limits, store));
    }
    EXPECT_GT(refused, taken / 10);
    snapshot::MemoryStore store = whole;
    store.keys["z/unknown"] = "";
    EXPECT_FALSE(State::load(limits, store));
    StateLimits other = limits;
    other.answers_all_max += 64;
    EXPECT_EQ(State::load(other, whole).error().code, Errc::damaged);
    EXPECT_EQ(State::load(limits, snapshot::MemoryStore{}).error().code, Errc::not_found);
}

// P7: what it takes is bounded, whatever the producers do. Measured by the allocator where it is the C
// library's own; a sanitizer's says nothing, and there the reckoning alone is held to the bound.
TEST(State, MemoryOfTenThousandProducersStaysWithinItsBound) {
    StateLimits limits;
    StateLog log;
    struct mallinfo2 before = mallinfo2();
    auto state = std::make_unique<State>(limits, LogPoint{}, 2);
    std::vector<uint64_t> ids;
    for (uint64_t i = 0; i < limits.producers_max; ++i) {
        std::string name = std::to_string(i);
        name.insert(0, kProducerNameBytesMax - name.size(), 'p');
        ids.push_back(apply(*state, log.open(name)).producer_id);
    }
    EntryHeader header{};
    header.kind = EntryKind::batch;
    header.record_count = 1;
    header.producer_epoch = 1;
    for (uint64_t i = 0; i < 2 * limits.answers_all_max; ++i) {
        header.index = raw(state->applied()) + 1;
        header.lsn_first = raw(state->point().lsn_next);
        header.producer = ids[i % ids.size()];
        header.sequence = i / ids.size() + 1;
        ASSERT_EQ(state->apply(header, {}).producer, Did::none);
    }
    EXPECT_EQ(state->producers(), limits.producers_max);
    EXPECT_EQ(state->answers(), limits.answers_all_max);
    EXPECT_LE(state->bytes(), State::bytes_max(limits));
    EXPECT_LE(State::bytes_max(limits), 48u << 20);
    struct mallinfo2 after = mallinfo2();
    const uint64_t measured = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    RecordProperty("measured_bytes", std::to_string(measured));
    RecordProperty("reckoned_bytes", std::to_string(state->bytes()));
#ifndef RAFTD_SANITIZED  // its allocator isn't counted
    EXPECT_LE(measured, State::bytes_max(limits));
    EXPECT_GE(measured, state->bytes() * 3 / 4);
#endif
    snapshot::StoreBatch batch;
    EXPECT_GT(state->dirty_bytes(), 0u);
    state->take_dirty(batch);
    EXPECT_EQ(state->dirty_bytes(), 0u);
    snapshot::MemoryStore store;
    store.write(batch).value();
    EXPECT_EQ(reloaded(limits, store).digest(), state->digest());
}

// A single producer at a high rate forgets its own answers between two flushes: those are never written.
TEST(State, AFlushHasOnlyAnswersThatAreStillRemembered) {
    StateLimits limits;
    Rig rig(limits);
    snapshot::MemoryStore store;
    uint64_t id = rig.opened(), other = rig.opened();
    uint64_t sequence = 0;
    for (int flush = 0; flush < 30; ++flush) {
        for (int i = 0; i < 5000; ++i) rig(rig.log.batch(id, 1, ++sequence));
        if (flush == 3) rig(rig.log.batch(other, 1, 1));
        EXPECT_LE(rig.state.dirty_bytes(), 2 * 1024u * 64 + 1000);
        snapshot::StoreBatch batch;
        rig.state.take_dirty(batch);
        EXPECT_LE(batch.bytes(), (1024u + 128 + 128) * 64 + 1000);
        ASSERT_TRUE(store.write(batch));
        State again = reloaded(limits, store);
        ASSERT_EQ(again.digest(), rig.state.digest()) << flush;
        EXPECT_EQ(again.answers(), rig.state.answers());
        EXPECT_NE(again.find(id)->answer(sequence - 1023), nullptr);
        EXPECT_EQ(again.find(id)->answer(sequence - 1024), nullptr);
    }
}

// The flush is paid for by what changed: a second one of little is small.
TEST(State, AFlushSaysOnlyWhatChanged) {
    StateLimits limits;
    Rig rig(limits);
    std::vector<uint64_t> ids;
    for (int i = 0; i < 100; ++i) ids.push_back(rig.opened());
    for (uint64_t sequence = 1; sequence <= 100; ++sequence)
        for (uint64_t id : ids) rig(rig.log.batch(id, 1, sequence));
    snapshot::StoreBatch all, little;
    rig.state.take_dirty(all);
    EXPECT_GT(all.bytes(), 100u * 100 * 64);
    rig(rig.log.batch(ids[5], 1, 101));
    EXPECT_LT(rig.state.dirty_bytes(), 200u);
    rig.state.take_dirty(little);
    EXPECT_EQ(little.keys.size(), 3u);  // the header, the producer, the block of answers
    EXPECT_LT(little.bytes(), 64u * 64 + 300);
    rig.state.take_dirty(little);
    EXPECT_EQ(rig.state.dirty_bytes(), 0u);
}

}  // namespace
}  // namespace raftd::daemon
