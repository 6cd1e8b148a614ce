#include "raft/invariants.h"

#include "base/check.h"
#include "raft/state.h"

namespace raftd::raft {

namespace {
void check_log(const Core::State& state) {
    const Log& log = state.log;
    EntryId before = log.base();
    for (const TermRun& run : log.runs()) {
        CHECK_GT(raw(run.first), raw(before.index));
        CHECK(run.term > before.term || (before == log.base() && run.term == before.term));
        CHECK_LE(raw(run.first), raw(log.last()));
        before = {run.term, run.first};
    }
    CHECK_EQ(log.runs().empty(), log.last() == log.base().index);
    CHECK_IMPLIES(!log.runs().empty(), log.runs().front().first == log.base().index + 1);
    CHECK(!log.configs().empty());
    for (size_t at = 1; at < log.configs().size(); ++at)
        CHECK_LT(raw(log.configs()[at - 1].index), raw(log.configs()[at].index));
    CHECK_LE(raw(log.configs().front().index), raw(log.base().index));
    CHECK_LE(raw(log.config().index), raw(log.last()));
    if (log.sizes().count() > 0) CHECK(log.sizes().holds(log.last()));
}

void check_durability(const Core::State& state) {
    CHECK_LE(raw(state.log.base().index), raw(state.durable));
    CHECK_LE(raw(state.durable), raw(state.log.last()));
    CHECK_LE(raw(state.log.base().index), raw(state.commit));
    CHECK_LE(raw(state.commit), raw(state.log.last()));
    CHECK_LE(raw(state.kept), raw(state.written));
    CHECK_LE(raw(state.kept), raw(state.log.last()));
    CHECK_LE(raw(state.promised), raw(state.log.last()));
    Index before = state.durable;
    for (size_t at = 0; at < state.writes.size(); ++at) {
        CHECK_GT(raw(state.writes[at].id), raw(state.durable_write));
        CHECK_LE(raw(state.writes[at].last), raw(state.log.last()));
        if (at > 0) CHECK_LE(raw(before), raw(state.writes[at].last));
        before = state.writes[at].last;
    }
    CHECK_LE(raw(state.hard_write), raw(state.last_write));
    CHECK_LE(raw(state.log.last_id().term), raw(state.hard.term));
}

void check_leader(const Core::State& state, const Leader& leader) {
    CHECK(state.hard_durable());
    CHECK_EQ(raw(state.hard.vote), raw(state.self));
    NodeId before{};
    for (const Progress& to : leader.followers) {
        CHECK_LT(raw(before), raw(to.id));
        before = to.id;
        CHECK_NE(raw(to.id), raw(state.self));
        CHECK_LT(raw(to.match), raw(to.next));
        CHECK_LE(raw(to.next), raw(state.log.last()) + 1);
        CHECK_LE(to.round, leader.round);
        CHECK_IMPLIES(to.window.empty(), to.window.bytes() == 0);
        CHECK_IMPLIES(to.mode != FollowerMode::stream, to.window.empty());
    }
    uint64_t round = 0;
    bool started = true;
    for (const PendingRead& read : leader.reads) {
        CHECK_IMPLIES(read.round != 0, started && read.round >= round);
        started = read.round != 0;
        if (started) round = read.round;
    }
}
}  // namespace

Milestone milestone(const Core::State& state) {
    return {state.hard,
            state.commit,
            state.log.last_id(),
            {state.log.term_at(state.commit), state.commit},
            Role{static_cast<uint8_t>(state.role.index())}};
}

void check_invariants(const Core::State& state) {
    check_log(state);
    check_durability(state);
    if (const auto* leader = state.as<Leader>()) check_leader(state, *leader);
    if (state.as<Candidate>() != nullptr) CHECK_EQ(raw(state.hard.vote), raw(state.self));
}

void check_transition(const Milestone& before, const Core::State& after) {
    CHECK_GE(raw(after.hard.term), raw(before.hard.term));
    if (after.hard.term == before.hard.term && before.hard.vote != NodeId{})
        CHECK_EQ(raw(after.hard.vote), raw(before.hard.vote));
    CHECK_GE(raw(after.commit), raw(before.commit));
    // A committed entry stays what it was.
    if (before.commit >= after.log.base().index) CHECK(after.log.matches(before.committed));
    const bool same_term = after.hard.term == before.hard.term;
    if (before.role == Role::leader && after.leads() && same_term) CHECK(after.log.matches(before.last));
    // Only a candidate becomes leader, and only in its own term.
    if (after.leads() && before.role != Role::leader) {
        CHECK(before.role == Role::candidate || before.role == Role::pre_candidate);
        CHECK(same_term);
    }
}

}  // namespace raftd::raft
