// The projected table against the plainest reference: the whole log applied to a fresh state. If the two
// differed, a leader would append a retry twice, or refuse the right next batch (H8 d).
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "daemon/producer_table.h"

namespace raftd::daemon {
namespace {

using What = Verdict::What;

struct TableRig {
    StateLimits limits{
        .producers_max = 4, .answers_each_max = 3, .answers_all_max = 8, .producer_idle_ms = 0};
    State state{limits, LogPoint{}, 2};
    ProducerTable table{state};
    std::vector<std::pair<EntryHeader, std::vector<std::byte>>> log;  // entry i has index i + 1
    std::vector<LogPoint> points{LogPoint{}};

    Index end() const { return Index{log.size()}; }
    Index add(EntryHeader draft, std::vector<std::byte> body) {
        draft.body_bytes = static_cast<uint32_t>(body.size());
        finish_header(draft, points.back(), Term{1}, 1000 + log.size());
        points.push_back(point_after(draft));
        log.emplace_back(draft, std::move(body));
        return end();
    }
    Index batch(uint64_t producer, uint32_t epoch, uint64_t sequence, uint64_t checksum) {
        EntryHeader draft{};
        draft.kind = EntryKind::batch;
        draft.record_count = 1;
        draft.producer = producer;
        draft.producer_epoch = epoch;
        draft.sequence = sequence;
        draft.body_checksum = checksum;
        return add(draft, std::vector<std::byte>(5));
    }
    Index entry(const ProducerEntry& what) {
        EntryHeader draft{};
        draft.kind = EntryKind::producer;
        return add(draft, encode_producer(what));
    }
    void push_all() {
        while (table.upto() < end()) {
            const auto& [header, body] = log[raw(table.upto())];
            table.push(header, body);
        }
    }
    void apply_to(Index upto) {
        while (state.applied() < upto) {
            const auto& [header, body] = log[raw(state.applied())];
            state.apply(header, header.kind == EntryKind::batch ? ByteView{} : ByteView(body));
        }
        table.applied(state.applied());
    }
    void cut_to(Index upto) {
        log.resize(raw(upto));
        points.resize(raw(upto) + 1);
        if (table.upto() > upto) table.cut_after(upto);
    }
};

/// The same verdict from the whole log alone.
struct Reference {
    State all;
    std::map<std::pair<uint64_t, uint64_t>, std::pair<Index, uint64_t>>
        where;  // (id, sequence) -> index, sum
    explicit Reference(const TableRig& rig) : all(rig.limits, LogPoint{}, 2) {
        for (const auto& [header, body] : rig.log) {
            const Producer* before = all.find(header.producer);
            bool lands = header.kind == EntryKind::batch && before != nullptr &&
                         before->epoch == header.producer_epoch && before->last + 1 == header.sequence;
            all.apply(header, header.kind == EntryKind::batch ? ByteView{} : ByteView(body));
            if (lands)
                where[{header.producer, header.sequence}] = {Index{header.index}, header.body_checksum};
        }
    }
    What judge(const TableRig& rig, uint64_t id, uint32_t epoch, uint64_t sequence, uint64_t checksum) const {
        const Producer* producer = all.find(id);
        if (producer == nullptr) return What::expired;
        if (producer->epoch != epoch) return What::fenced;
        if (sequence == producer->last + 1) return What::fresh;
        if (sequence == 0 || sequence > producer->last) return What::out_of_order;
        auto [index, sum] = where.at({id, sequence});
        if (index > rig.state.applied()) return sum == checksum ? What::pending : What::reused;
        const Answer* answer = rig.state.find(id)->answer(sequence);
        return answer != nullptr && sum != checksum ? What::reused : What::repeated;
    }
};

TEST(ProducerTable, AgreesWithTheWholeLogApplied) {
    std::map<What, int> seen;
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        Random random(seed);
        TableRig rig;
        bool standing = true;
        auto any_id = [&] { return random.below(raw(rig.end()) + 2); };
        for (int step = 0; step < 80; ++step) {
            Reference before(rig);
            switch (random.below(10)) {
                case 0:
                case 1: {
                    ProducerEntry open;
                    if (random.chance(0.4)) open.name = random.chance(0.5) ? "a" : "b";
                    if (random.chance(0.2)) open.id = any_id();
                    if (random.chance(0.2)) open.expire = {any_id(), any_id()};
                    rig.entry(open);
                    break;
                }
                case 2:
                    if (uint64_t id = any_id()) {
                        ProducerEntry close;
                        close.op = ProducerEntry::Op::close;
                        close.id = id;
                        const Producer* known = before.all.find(id);
                        close.epoch = known != nullptr && random.chance(0.8) ? known->epoch : 7;
                        rig.entry(close);
                    }
                    break;
                case 3: rig.batch(any_id(), 1, random.below(4), random.below(3)); break;  // mostly nonsense
                case 4: rig.apply_to(Index{random.between(raw(rig.state.applied()), raw(rig.end()))}); break;
                case 5:
                    if (random.chance(0.3))
                        rig.cut_to(Index{random.between(raw(rig.state.applied()), raw(rig.end()))});
                    break;
                case 6:
                    if (random.chance(0.1)) rig.table.reset();
                    break;
                default:
                    for (const auto& [id, producer] : before.all.all_producers())
                        if (random.chance(0.5))
                            rig.batch(id, producer.epoch, producer.last + 1, random.below(3));
            }
            standing = random.chance(0.7);
            if (!standing) continue;
            rig.push_all();
            ASSERT_EQ(rig.table.upto(), rig.end());
            Reference now(rig);
            ASSERT_EQ(rig.table.producers(), now.all.producers()) << "seed " << seed << " step " << step;
            for (int look = 0; look < 20; ++look) {
                uint64_t id = any_id();
                const Producer* known = now.all.find(id);
                uint32_t epoch = known != nullptr && random.chance(0.8) ? known->epoch : 1;
                uint64_t last = known != nullptr ? known->last : 0;
                uint64_t sequence = last + 2 - std::min<uint64_t>(random.below(8), last + 2);
                uint64_t sum = random.below(3);
                What wanted = now.judge(rig, id, epoch, sequence, sum);
                Verdict got = rig.table.look_up(id, epoch, sequence, sum);
                ASSERT_EQ(static_cast<int>(got.what), static_cast<int>(wanted))
                    << "seed " << seed << " step " << step << " producer " << id << " sequence " << sequence;
                ASSERT_LE(got.index, rig.end());
                if (got.what == What::pending) {
                    ASSERT_EQ(got.index, now.where.at({id, sequence}).first);
                }
                if (got.what == What::fenced) {
                    ASSERT_EQ(got.value, known->epoch);
                }
                if (got.what == What::out_of_order) {
                    ASSERT_EQ(got.value, known->last);
                }
                if (got.what == What::repeated && got.answer != nullptr) {
                    ASSERT_EQ(got.answer->index, raw(now.where.at({id, sequence}).first));
                }
                ++seen[got.what];
            }
            for (const char* name : {"a", "b"}) {
                ProducerEntry open;
                open.name = name;
                ASSERT_EQ(rig.table.adds_one(open), now.all.find(std::string_view(name)) == nullptr);
            }
        }
    }
    EXPECT_EQ(seen.size(), 7u);
    for (const auto& [what, times] : seen) EXPECT_GT(times, 200) << static_cast<int>(what);
}

// A refusal rests on the entry that made it so, which may not be committed yet: it waits for that (H12).
TEST(ProducerTable, RefusalsNameTheEntryTheyRestOn) {
    TableRig rig;
    uint64_t id = raw(rig.entry({}));
    rig.batch(id, 1, 1, 10);
    rig.push_all();
    rig.apply_to(Index{1});
    EXPECT_EQ(rig.table.look_up(id, 1, 3, 0).index, Index{2});
    EXPECT_EQ(rig.table.look_up(id, 1, 1, 11).index, Index{2});
    ProducerEntry again;
    again.id = id;
    rig.entry(again);
    rig.push_all();
    EXPECT_EQ(rig.table.look_up(id, 1, 2, 0).index, Index{3});
    ProducerEntry close;
    close.op = ProducerEntry::Op::close;
    close.id = id;
    close.epoch = 2;
    rig.entry(close);
    rig.push_all();
    EXPECT_EQ(rig.table.look_up(id, 2, 2, 0).what, What::expired);
    EXPECT_EQ(rig.table.look_up(id, 2, 2, 0).index, Index{4});
    rig.cut_to(Index{3});  // it never happened
    EXPECT_EQ(rig.table.look_up(id, 2, 2, 0).what, What::fresh);
    EXPECT_TRUE(rig.table.in_tail(id));
    rig.apply_to(Index{3});
    EXPECT_FALSE(rig.table.in_tail(id));
    EXPECT_EQ(rig.table.look_up(id, 2, 2, 0).what, What::fresh);
}

// What the state applied before the table knew of it, as on a member that catches up before it leads.
TEST(ProducerTable, FollowsAStateThatIsAhead) {
    TableRig rig;
    uint64_t id = raw(rig.entry({}));
    for (uint64_t sequence = 1; sequence <= 5; ++sequence) rig.batch(id, 1, sequence, sequence);
    rig.apply_to(rig.end());
    EXPECT_EQ(rig.table.upto(), rig.end());
    EXPECT_EQ(rig.table.producers(), 1u);
    EXPECT_EQ(rig.table.look_up(id, 1, 6, 0).what, What::fresh);
    EXPECT_EQ(rig.table.look_up(id, 1, 5, 5).answer->index, 6u);
    EXPECT_EQ(rig.table.look_up(id, 1, 1, 77).what, What::repeated);  // its answer is forgotten
    EXPECT_EQ(rig.table.look_up(id, 1, 1, 77).answer, nullptr);
}

}  // namespace
}  // namespace raftd::daemon
