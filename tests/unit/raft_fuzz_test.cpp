// Peers are trusted for liveness, never for what they send: any well-formed message in any state must be
// answered or ignored (B98). Cores that get real traffic get nonsense in between; checks of state and
// transition stay on, and a failed CHECK ends the test.
#include "base/check.h"
#include "base/random.h"
#include "tests/support/raft_cluster.h"

#include <gtest/gtest.h>

namespace raftd::raft::test {
namespace {

class Nonsense {
public:
    explicit Nonsense(uint64_t seed) : random_(seed) {}

    /// Numbers near the core's own, and now and then far off.
    uint64_t near(uint64_t truth) {
        switch (random_.below(10)) {
            case 0: return random_.next();
            case 1: return 0;
            case 2: return UINT64_MAX;
            case 3: return uint64_t{1} << random_.below(64);
            default: return truth + random_.below(7) - std::min<uint64_t>(truth, 3);
        }
    }
    Term term(const Core& core) {
        if (random_.chance(0.9)) return core.term();
        if (random_.chance(0.995)) return core.term() + random_.below(3) - (raw(core.term()) > 0 ? 1 : 0);
        return Term{near(raw(core.term()))};
    }
    Index index(const Core& core) {
        return Index{near(random_.chance(0.5) ? raw(core.last()) : raw(core.commit()))};
    }
    EntryId id(const Core& core) {
        const Index at = index(core);
        return random_.chance(0.5) ? EntryId{core.term_at(at), at} : EntryId{term(core), at};
    }
    msg::Any message(const Core& core) {
        switch (random_.below(9)) {
            case 0: return msg::Append{term(core), id(core), index(core), index(core), near(3)};
            case 1: return msg::AppendOk{term(core), index(core), near(3), random_.chance(0.5)};
            case 2:
                return msg::AppendNo{term(core), id(core), index(core), near(3),
                                     msg::Why{static_cast<uint8_t>(random_.below(256))}};
            case 3: return msg::Vote{term(core), id(core), random_.chance(0.5), random_.chance(0.3)};
            case 4: return msg::VoteOk{term(core), random_.chance(0.5), random_.chance(0.5), index(core)};
            case 5: return msg::Snapshot{term(core), id(core)};
            case 6: return msg::TimeoutNow{term(core)};
            case 7: return msg::ReadIndex{term(core), ReadId{near(1)}};
            default: return msg::ReadIndexOk{term(core), ReadId{near(1)}, index(core), random_.chance(0.5)};
        }
    }
    /// Sometimes in order, sometimes not at all.
    std::vector<EntryMeta> entries(const msg::Append& append) {
        std::vector<EntryMeta> out;
        const uint64_t count =
            append.last >= append.prev.index && append.last - append.prev.index < 5 && random_.chance(0.9)
                ? append.last - append.prev.index
                : random_.below(4);
        EntryId at = append.prev;
        for (uint64_t made = 0; made < count; ++made) {
            at.index = random_.chance(0.97) ? at.index + 1 : Index{near(raw(at.index))};
            if (random_.chance(0.2))
                at.term = random_.chance(0.7) ? append.term : Term{near(raw(append.term))};
            out.push_back({at, static_cast<uint32_t>(random_.below(3000)), nullptr});
        }
        return out;
    }

private:
    Random random_;
};

std::vector<TermRun> runs_of(Random& random, Index base, Index last, Term& newest) {
    std::vector<TermRun> runs;
    for (Index at = base + 1; at <= last; ++at) {
        if (!runs.empty() && !random.chance(0.3)) continue;
        newest = newest + 1 + random.below(2);
        runs.push_back({newest, at});
    }
    return runs;
}

TEST(RaftFuzz, NoMessageInAnyStateFailsACheck) {
    Output output;
    uint64_t leaders = 0;
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        Random random(seed);
        Nonsense nonsense(seed * 7919);
        const Index base{random.below(4)};
        const Index last = base + random.below(12);
        Term newest{raw(base) > 0 ? 1u : 0u};
        const EntryId base_id{newest, base};
        const auto runs = runs_of(random, base, last, newest);
        const std::vector<Member> members{{NodeId{1}}, {NodeId{2}}, {NodeId{3}}, {NodeId{4}, true}};
        const std::vector<ConfigAt> configs{{Index{}, {members, {}, false}}};
        Restart restart{{newest + random.below(2), NodeId{}}, base_id, runs, last, configs, {}, seed};
        if (random.chance(0.1)) restart.health.hole_first = base + 1 + random.below(12);
        Core core(Options{}, NodeId{1}, restart, seed, Instant{0});
        core.check_invariants(true);
        const bool reigns = random.chance(0.6);
        Instant now{0};
        WriteId written{};
        auto turn = [&] {
            core.collect(output);
            if (output.write) written = output.write->id;
            if (output.want) {
                const EntryMeta entry{core.next_id(), 100, nullptr};
                core.step({now, ev::Propose{{&entry, 1}}});
            }
        };
        for (int step = 0; step < 1500; ++step) {
            now = now + microseconds(static_cast<int64_t>(random.below(30'000)));
            const auto kind = random.below(10);
            if (core.deadline() <= now) core.step({now, ev::Tick{}});
            if (kind == 0) core.step({now, ev::Tick{}});
            if (kind == 1) core.step({now, ev::Durable{written}});
            if (kind == 2) core.step({now, ev::Read{ReadId{static_cast<uint64_t>(step) + 1}}});
            // Helps it to office, where most of the state is.
            if (kind == 3 && (core.role() == Role::candidate || core.role() == Role::pre_candidate)) {
                const bool pre = core.role() == Role::pre_candidate;
                core.step({now, ev::Message{
                                    NodeId{2}, msg::VoteOk{core.term() + (pre ? 1 : 0), true, pre, {}}, {}}});
            }
            if (kind == 4)
                core.step({now, ev::Message{NodeId{3}, msg::AppendOk{core.term(), {}, 1, false}, {}}});
            if (kind == 4 && core.role() == Role::leader) {
                const EntryMeta entry{core.next_id(), 500, nullptr};
                core.step({now, ev::Propose{{&entry, 1}}});
            }
            leaders += core.role() == Role::leader ? 1 : 0;
            if (kind > 4) {
                const msg::Any message = nonsense.message(core);
                const bool leading = message.index() == 0 || message.index() == 5;  // keeps it a follower
                if (reigns && leading && !random.chance(0.05)) continue;
                std::vector<EntryMeta> entries;
                if (const auto* append = std::get_if<msg::Append>(&message))
                    entries = nonsense.entries(*append);
                if (const auto* append = std::get_if<msg::Append>(&message))
                    (void)core.keep_upto(*append, entries);
                core.step({now, ev::Message{NodeId{random.below(6)}, message, entries}});
            }
            if (random.chance(0.6)) turn();
            ASSERT_LT(raw(core.term()), uint64_t{1} << 62);
        }
    }
    EXPECT_GT(leaders, 4000u);
}

}  // namespace
}  // namespace raftd::raft::test
