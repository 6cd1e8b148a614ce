#include "sim/read_proof.h"

#include <algorithm>

namespace raftd::sim {

void ReadProof::asked(uint32_t number, Term term, uint64_t round, Instant now) {
    Leader& leader = leaders_[number];
    if (leader.term != term) {
        leader.term = term;
        leader.rounds.clear();
        leader.heard.clear();
    }
    if (!leader.rounds.empty() && leader.rounds.back().number >= round) return;
    leader.rounds.push_back({round, now});
    if (leader.rounds.size() > kRoundsKept) leader.rounds.pop_front();
}

void ReadProof::echoed(uint32_t number, uint32_t from, Term term, uint64_t round) {
    Leader& leader = leaders_[number];
    if (leader.term != term) return;
    auto found = std::lower_bound(leader.rounds.begin(), leader.rounds.end(), round,
                                  [](const Round& it, uint64_t wanted) { return it.number < wanted; });
    if (found == leader.rounds.end() || found->number != round) return;
    auto [place, first] = leader.heard.try_emplace(from, found->first_sent);
    if (!first) place->second = std::max(place->second, found->first_sent);
}

void ReadProof::read_came(uint32_t number, uint32_t from, uint64_t id, Instant now) {
    Leader& leader = leaders_[number];
    if (!leader.reads.try_emplace({from, id}, now).second) return;
    leader.order.emplace_back(from, id);
    if (leader.order.size() <= kReadsKept) return;
    leader.reads.erase(leader.order.front());
    leader.order.pop_front();
}

bool ReadProof::proves(uint32_t number, Term term, uint32_t follower, uint32_t from, uint64_t id) const {
    const Leader& leader = leaders_[number];
    auto came = leader.reads.find({from, id});
    if (came == leader.reads.end() || follower == number) return true;
    auto heard = leader.heard.find(follower);
    return leader.term == term && heard != leader.heard.end() && heard->second >= came->second;
}

}  // namespace raftd::sim
