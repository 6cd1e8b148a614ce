// Majorities and term runs against naive versions of themselves: an off-by-one here commits what a minority
// holds, or keeps a follower from ever catching up.
#include "raft/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "raft/log.h"

namespace raftd::raft {
namespace {

Membership random_members(Random& random) {
    Membership members;
    for (uint64_t id = 1; id <= 9; ++id) {
        if (random.chance(0.5)) members.now.push_back({NodeId{id}, random.chance(0.2), false, 0});
        if (random.chance(0.3)) members.next.push_back({NodeId{id}, random.chance(0.2), false, 0});
    }
    if (random.chance(0.6)) members.next.clear();
    return members;
}

/// True when a majority of each half that has voters says yes, and at least one half has.
template <class Yes>
bool naive_majority(const Membership& members, Yes yes) {
    bool any = false;
    for (const auto* half : {&members.now, &members.next}) {
        size_t voters = 0, agreed = 0;
        for (const Member& member : *half) {
            if (member.learner) continue;
            ++voters;
            if (yes(member.id)) ++agreed;
        }
        if (voters == 0) continue;
        any = true;
        if (agreed * 2 <= voters) return false;
    }
    return any;
}

TEST(RaftQuorum, ReachesWhatANaiveCountReaches) {
    Random random(1);
    for (int round = 0; round < 20000; ++round) {
        const Membership members = random_members(random);
        std::map<NodeId, uint64_t> values;
        for (uint64_t id = 1; id <= 9; ++id) values[NodeId{id}] = random.below(6);
        uint64_t expected = 0;
        for (uint64_t value = 1; value <= 6; ++value)
            if (naive_majority(members, [&](NodeId id) { return values[id] >= value; })) expected = value;
        EXPECT_EQ(quorum_reaches(members, [&](NodeId id) { return values[id]; }), expected);
    }
}

TEST(RaftQuorum, TallyIsWonOrLostExactlyWhenNothingCanChangeIt) {
    Random random(2);
    for (int round = 0; round < 20000; ++round) {
        const Membership members = random_members(random);
        std::map<NodeId, int> answers;
        for (uint64_t id = 1; id <= 9; ++id) answers[NodeId{id}] = static_cast<int>(random.below(3)) - 1;
        const bool won = naive_majority(members, [&](NodeId id) { return answers[id] == 1; });
        const bool could = naive_majority(members, [&](NodeId id) { return answers[id] != -1; });
        const Tally expected = won ? Tally::won : could ? Tally::open : Tally::lost;
        EXPECT_EQ(tally(members, [&](NodeId id) { return answers[id]; }), expected);
    }
}

// Two quorums of one configuration always share a voter; of a joint one, in both halves.
TEST(RaftQuorum, AnyTwoQuorumsMeet) {
    Random random(3);
    for (int round = 0; round < 20000; ++round) {
        const Membership members = random_members(random);
        std::map<NodeId, int> a, b;
        for (uint64_t id = 1; id <= 9; ++id) {
            a[NodeId{id}] = random.chance(0.6) ? 1 : 0;
            b[NodeId{id}] = a[NodeId{id}] == 1 ? 0 : 1;  // everybody else
        }
        const bool first = tally(members, [&](NodeId id) { return a[id]; }) == Tally::won;
        const bool second = tally(members, [&](NodeId id) { return b[id]; }) == Tally::won;
        EXPECT_FALSE(first && second);
    }
}

/// A log that remembers each entry's term, for comparison.
struct NaiveLog {
    EntryId base;
    std::vector<Term> terms;
    Index last() const { return base.index + terms.size(); }
    Term at(Index index) const {
        if (index < base.index || index > last()) return Term{};
        return index == base.index ? base.term : terms[index - base.index - 1];
    }
    EntryId at_most(EntryId wanted) const {
        Index at = std::min(wanted.index, last());
        while (at > base.index && this->at(at) > wanted.term) at = at - 1;
        return at <= base.index ? base : EntryId{this->at(at), at};
    }
};

TEST(RaftLog, RunsSayWhatAListOfTermsSays) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        Random random(seed);
        NaiveLog naive{{Term{random.below(3)}, Index{random.below(5)}}, {}};
        if (naive.base.index == Index{}) naive.base.term = Term{};
        const std::vector<ConfigAt> configs{{Index{}, {}}};
        Log log(Restart{{}, naive.base, {}, naive.base.index, configs, {}, 0}, 2000);
        std::vector<uint64_t> sizes;  // of naive.terms
        for (int step = 0; step < 300; ++step) {
            const auto dice = random.below(10);
            if (dice < 6) {
                Term term = naive.at(naive.last());
                if (raw(term) == 0 || random.chance(0.2)) term = term + 1 + random.below(2);
                const EntryMeta entry{
                    {term, naive.last() + 1}, static_cast<uint32_t>(random.between(96, 900)), nullptr};
                log.append({&entry, 1});
                naive.terms.push_back(term);
                sizes.push_back(entry.bytes);
            } else if (dice < 8) {
                const Index keep = naive.base.index + random.below(naive.terms.size() + 1);
                log.cut_after(keep);
                naive.terms.resize(keep - naive.base.index);
                sizes.resize(naive.terms.size());
            } else if (dice == 8) {
                const Index upto =
                    naive.base.index + random.below(std::min<size_t>(naive.terms.size(), 4) + 1);
                const EntryId at{naive.at(upto), upto};
                log.compact(at);
                const auto gone = static_cast<std::ptrdiff_t>(upto - naive.base.index);
                naive.terms.erase(naive.terms.begin(), naive.terms.begin() + gone);
                sizes.erase(sizes.begin(), sizes.begin() + gone);
                naive.base = at;
            }
            ASSERT_EQ(raw(log.last()), raw(naive.last()));
            for (uint64_t at = 0; at < raw(naive.last()) + 2; ++at)
                ASSERT_EQ(raw(log.term_at(Index{at})), raw(naive.at(Index{at})))
                    << "seed " << seed << " index " << at;
            const EntryId wanted{Term{random.below(raw(naive.at(naive.last())) + 2)},
                                 Index{random.below(raw(naive.last()) + 3)}};
            ASSERT_EQ(log.at_most(wanted), naive.at_most(wanted));
            if (log.sizes().count() == 0) continue;
            const Index first = log.sizes().first() + random.below(log.sizes().count());
            if (first <= naive.base.index || first > naive.last()) continue;
            uint64_t sum = 0;
            const uint64_t limit = random.below(3000);
            Index fits = first - 1;
            for (Index at = first; at <= naive.last(); ++at) {
                sum += sizes[at - naive.base.index - 1];
                ASSERT_EQ(log.sizes().bytes(first, at), sum);
                if (sum <= limit) fits = at;
            }
            ASSERT_EQ(raw(log.sizes().fit(first, naive.last(), limit)), raw(fits));
        }
    }
}

/// How a leader finds the last common entry, message by message (B25).
TEST(RaftLog, BackOffEndsWithinOneTripPerTermRun) {
    for (uint64_t seed = 1; seed <= 3000; ++seed) {
        Random random(seed);
        const std::vector<ConfigAt> configs{{Index{}, {}}};
        Log leader(1000), follower(1000);
        leader = follower = Log(Restart{{}, {}, {}, {}, configs, {}, 0}, 1000);
        std::vector<EntryMeta> shared, a, b;
        Term term{1};
        auto grow = [&](std::vector<EntryMeta>& to, Index from, uint64_t count, Term newest) {
            for (uint64_t made = 1; made <= count; ++made) {
                if (random.chance(0.1)) newest = newest + 2 * (1 + random.below(3));
                to.push_back({{newest, from + made}, 100, nullptr});
            }
        };
        grow(shared, Index{}, random.below(60), term);
        if (!shared.empty()) term = shared.back().id.term;
        // One leader a term: behind the fork one log has odd steps from here, the other even ones.
        const Index fork{shared.size()};
        grow(a, fork, random.below(80), term + 1);
        grow(b, fork, random.below(80), term + 2);
        leader.append(shared), leader.append(a);
        follower.append(shared), follower.append(b);
        Index prev = leader.last();
        size_t trips = 1;
        for (; !follower.matches({leader.term_at(prev), prev}); ++trips) {
            const Index below = prev <= follower.last() ? prev - 1 : follower.last();
            const EntryId hint = follower.at_most({leader.term_at(prev), below});
            const Index next = leader.at_most(hint).index;
            ASSERT_LT(raw(next), raw(prev)) << "seed " << seed;
            prev = next;
        }
        EXPECT_LE(raw(prev), raw(fork));
        EXPECT_LE(trips, leader.runs().size() + follower.runs().size() + 2) << "seed " << seed;
    }
}

}  // namespace
}  // namespace raftd::raft
