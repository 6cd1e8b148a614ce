// Both halves of replication: what a follower makes of an append, and how a leader feeds its followers and
// finds out what is committed (thesis 3.5, 3.6).
#include "base/check.h"
#include "raft/state.h"

namespace raftd::raft {

// --- the follower
// ----------------------------------------------------------------------------------------------

namespace {
/// What `append` says of itself: consecutive, in order of term, none newer than its sender.
bool consistent(const msg::Append& append, std::span<const EntryMeta> entries) {
    if (append.last < append.prev.index || append.last - append.prev.index != entries.size()) return false;
    EntryId before = append.prev;
    for (const EntryMeta& entry : entries) {
        if (entry.id.index != before.index + 1 || entry.id.term < before.term || entry.id.term == Term{})
            return false;
        if (entry.membership != nullptr && !well_formed(*entry.membership)) return false;
        before = entry.id;
    }
    return before.term <= append.term;
}
}  // namespace

/// Of entries in a gap nothing is known but that their terms are at most the one behind it: those are taken
/// for equal, and it is for the caller to see what rests on that.
size_t Core::State::first_difference(std::span<const EntryMeta> entries) const {
    for (size_t at = 0; at < entries.size(); ++at) {
        const EntryId id = entries[at].id;
        if (in_gap(id.index) ? id.term > log.term_at(health.known_from) : !log.matches(id)) return at;
    }
    return entries.size();
}

Core::State::Fit Core::State::judge(const msg::Append& append, std::span<const EntryMeta> entries) const {
    using Kind = Fit::Kind;
    if (!consistent(append, entries)) return {Kind::malformed, {}, 0, {}};
    const EntryId base = log.base();
    // What the base covers is committed, so every leader of this term has it: only the rest needs a look.
    size_t covered = 0;
    if (append.prev.index < base.index) {
        if (append.last < base.index) return {Kind::good, log.last(), entries.size(), append.last};
        covered = base.index - append.prev.index;
        if (entries[covered - 1].id != base) return {Kind::diverged, base.index, 0, {}};
    } else if (in_gap(append.prev.index)) {
        // Whether they match isn't known before the repair, but for a term that can't stand there.
        const bool differs = append.prev.term > log.term_at(health.known_from) && append.prev.index > commit;
        return {differs ? Kind::conflict : Kind::repairing, append.prev.index, 0, {}};
    } else if (!log.matches(append.prev)) {
        return {append.prev.index <= commit ? Kind::diverged : Kind::conflict, append.prev.index, 0, {}};
    }
    const size_t first_new = covered + first_difference(entries.subspan(covered));
    if (first_new == entries.size()) {  // all of it is here: whatever lies behind stays (B21)
        const bool cut = planted(PlantedBug::truncate_on_match) && append.last < log.last();
        const Index verified = in_gap(append.last) ? health.hole_first - 1 : append.last;
        return {Kind::good, cut ? std::max(commit, append.last) : log.last(), first_new, verified};
    }
    const Index keep = entries[first_new].id.index - 1;
    if (keep >= health.hole_first && keep < health.known_from && append.prev.index < health.hole_first) {
        // They part somewhere in the gap, or at its end, and nobody knows where. What lies before that place
        // was acknowledged, maybe: to drop it with the rest, if only until the leader's is on disk, would
        // break P1.
        if (keep >= commit) return {Kind::repairing, {}, 0, {}};
    }
    if (keep < commit) return {Kind::diverged, keep + 1, 0, {}};
    // What replaces the hole with all behind it heals it; what comes behind it has to wait for the repair.
    const bool whole = health.hole_first == Index{} || append.last < health.hole_first;
    if (!whole && keep >= health.hole_first) return {Kind::repairing, {}, 0, append.prev.index};
    if (!health.may_ack) return {Kind::no_room, {}, 0, {}};
    return {Kind::good, keep, first_new, append.last};
}

Core::Taken Core::State::on_append(const ev::Message& event, const msg::Append& append) {
    const Taken nothing{log.last(), log.last()};
    const auto* known = as<Follower>();
    if (leads() || (known != nullptr && known->leader != NodeId{} && known->leader != event.from))
        return nothing;        // two leaders in one term: one of us lies, and a vote will settle it
    heard_leader(event.from);  // a rejected append counts as well (B08)
    const Fit fit = judge(append, event.entries);
    switch (fit.kind) {
        case Fit::Kind::malformed: return nothing;
        case Fit::Kind::diverged: diverged = fit.keep; return nothing;
        case Fit::Kind::conflict: {
            const Index below = append.prev.index <= log.last() ? append.prev.index - 1 : log.last();
            EntryId hint = log.at_most({append.prev.term, below});
            // From before the gap on: what replaces it has to come with it.
            if (in_gap(hint.index)) hint = {log.term_at(health.hole_first - 1), health.hole_first - 1};
            say(event.from, msg::AppendNo{hard.term, hint, log.last(), append.round, msg::Why::conflict});
            return nothing;
        }
        case Fit::Kind::no_room:
        case Fit::Kind::repairing: {
            const auto why = fit.kind == Fit::Kind::no_room ? msg::Why::no_room : msg::Why::repairing;
            say(event.from, msg::AppendNo{hard.term, {}, log.last(), append.round, why});
            raise_commit(std::min(append.commit, fit.verified));  // what it follows is here, and the same
            return nothing;
        }
        case Fit::Kind::good: break;
    }
    if (fit.keep < log.last()) cut_log(fit.keep);
    if (fit.keep < health.hole_first) health.hole_first = health.known_from = Index{};
    log.append(event.entries.subspan(fit.first_new));
    // Only what this very message verified may become committed: behind it may lie a dead leader's tail
    // (B23).
    raise_commit(std::min(append.commit, planted(PlantedBug::commit_unverified) ? log.last() : fit.verified));
    if (answer.to != event.from) answer = {event.from, Index{}, 0};
    answer.verified = std::max(answer.verified, fit.verified);
    answer.round = std::max(answer.round, append.round);
    return {fit.keep, log.last()};
}

// One answer a turn. What isn't durable yet is promised once, by an answer that waits for its write; until
// then heartbeats are answered with what is durable, so that a slow disk doesn't look like a dead member.
void Core::State::answer_append(Output& output) {
    if (answer.to == NodeId{}) return;
    Index match = answer.verified;
    if (health.hole_first != Index{}) match = std::min(match, health.hole_first - 1);
    WriteId after = wait_for_hard();
    if (match > promised)
        after = std::max(after, wait_for_entries(match));
    else
        match = std::min(match, durable);
    promised = std::max(promised, match);
    output.send.push_back({answer.to, msg::AppendOk{hard.term, match, answer.round, readers_waiting}, after});
    answer = {};
}

// --- the leader
// ------------------------------------------------------------------------------------------------

Core::Taken Core::State::on(const ev::Propose& event) {
    const Index end = log.last();
    if (!leads()) return {end, end};
    CHECK(!event.entries.empty());
    Index at = end;
    for (const EntryMeta& entry : event.entries) {
        ++at;
        CHECK_EQ(raw(entry.id.index), raw(at));
        CHECK_EQ(raw(entry.id.term), raw(hard.term));
        if (entry.membership != nullptr)
            CHECK(well_formed(*entry.membership) && may_follow(membership(), *entry.membership));
    }
    const uint64_t version = log.config_version();
    log.append(event.entries);
    if (log.config_version() != version) configuration_changed();
    return {end, log.last()};
}

Progress* Core::State::follower(NodeId id) {
    auto* leader = as<Leader>();
    if (leader == nullptr) return nullptr;
    for (Progress& to : leader->followers)
        if (to.id == id) return &to;
    return nullptr;
}

void Core::State::on_append_ok(NodeId from, const msg::AppendOk& ok) {
    Progress* to = follower(from);
    auto* leader = as<Leader>();
    if (to == nullptr || ok.match > log.last() || ok.round > leader->round) return;
    to->heard_at = now;
    to->round = std::max(to->round, ok.round);
    to->readers_waiting = ok.readers_waiting;
    const bool moved = to->acknowledged(ok.match, leader->round, now);
    switch (to->mode) {
        case FollowerMode::probe:
            if (to->match + 1 >= to->next) {
                // What it had no room for may be there by now, and nothing behind it: a refusal that came
                // late.
                if (to->match >= std::min(to->blocked_at, log.last()))
                    to->to_stream();
                else if (moved && now >= to->paused_until)
                    to->probe_out = false;  // else with the next heartbeat: what it has it can't vouch for
            }
            break;
        case FollowerMode::stream: break;
        case FollowerMode::snapshot:
            if (ok.match >= log.base().index) {
                to->next = ok.match + 1;
                to->to_stream();
            }
            break;
    }
    if (to->readers_waiting && to->commit_sent < commit) to->due = true;
    if (moved) advance_commit();
    // Committing may have ended the reign (a leader that removed itself).
    if (leads()) finish_reads(std::get<Leader>(role));
}

void Core::State::on_append_no(NodeId from, const msg::AppendNo& no) {
    Progress* to = follower(from);
    auto* leader = as<Leader>();
    if (to == nullptr || no.round > leader->round || no.why == msg::Why::stale_term) return;
    to->heard_at = now;
    to->round = std::max(to->round, no.round);
    if (no.why != msg::Why::conflict) {
        if (to->mode == FollowerMode::snapshot) return;
        to->to_probe(std::min(to->next, no.last + 1));
        to->blocked_at = to->next;
        to->paused_until = now + options.heartbeat;
        to->probe_out = true;  // the next heartbeat tries again
    } else {
        // Answering a message that went out after the acknowledgement came, it has less than it acknowledged.
        if (no.last < to->match && no.round > to->match_round) to->regressed = true;
        const EntryId base = log.base();
        // Its log ends below mine: `base.index` can't be told about, which leads to a snapshot.
        const Index next = no.hint.index < base.index ? base.index : log.at_most(no.hint).index + 1;
        if (to->mode == FollowerMode::snapshot) {
            if (no.hint.index >= base.index && log.matches(no.hint)) to->to_probe(next);
        } else if (next < to->next && to->next > to->match + 1) {
            to->to_probe(next);  // otherwise it is an old answer, and says nothing new (B25)
        }
    }
    finish_reads(*leader);
}

Index Core::State::own_match() const {
    if (planted(PlantedBug::count_unsynced_self)) return log.last();
    return health.hole_first == Index{} ? durable : std::min(durable, health.hole_first - 1);
}

void Core::State::advance_commit() {
    const auto& leader = std::get<Leader>(role);
    auto match_of = [&](NodeId id) -> uint64_t {
        if (id == self) return raw(own_match());
        for (const Progress& to : leader.followers)
            if (to.id == id) return raw(to.match);
        return 0;
    };
    const bool one_half = planted(PlantedBug::one_half_decides) && membership().joint();
    Index reached{one_half ? quorum_reaches({membership().next, {}, false}, match_of)
                           : quorum_reaches(membership(), match_of)};
    if (planted(PlantedBug::count_learners)) {
        Membership all = membership();
        for (auto* half_of : {&all.now, &all.next})
            for (Member& member : *half_of) member.learner = false;
        reached = Index{quorum_reaches(all, match_of)};
    }
    if (reached <= commit) return;
    // Copies of an older term's entry prove nothing (figure 8); one of mine commits all before it.
    if (log.term_at(reached) != hard.term && !planted(PlantedBug::commit_older_term)) return;
    raise_commit(reached);
    for (Progress& to : std::get<Leader>(role).followers)
        if (to.readers_waiting && to.commit_sent < commit) to.due = true;
    leave_if_removed();
}

bool Core::State::quorum_active() const {
    const auto& leader = std::get<Leader>(role);
    return quorum_reaches(membership(), [&](NodeId id) -> uint64_t {
               if (id == self) return 1;
               for (const Progress& to : leader.followers) {
                   if (to.id != id) continue;
                   const bool hung = to.owes && now - to.owes_since > options.disk_stall_max;
                   return now - to.heard_at < half() && !hung ? 1 : 0;
               }
               return 0;
           }) == 1;
}

void Core::State::heartbeat_due() {
    auto& leader = std::get<Leader>(role);
    leader.heartbeat_at = now + options.heartbeat;
    if (options.check_quorum && !quorum_active()) return become_follower(hard.term, NodeId{});
    if (disk_stalled(std::min(options.election_timeout, options.disk_stall_max)) && !leader.handover) {
        hand_over(best_successor(), false, true);
        if (!leads()) return;
    }
    ++leader.round;
    for (Progress& to : leader.followers) {
        to.due = true;
        to.probe_out = false;
    }
    follow_up();
}

void Core::State::send_appends(Output& output) {
    for (Progress& to : std::get<Leader>(role).followers) send_to(to, output);
}

void Core::State::send_to(Progress& to, Output& output) {
    if (to.mode != FollowerMode::snapshot && to.next - 1 < log.base().index) to.to_snapshot();
    if (to.mode == FollowerMode::snapshot) return send_snapshot(to, output);
    uint64_t bytes = 0;
    const Index before = to.next - 1;
    Index last = before;
    if (now >= to.paused_until && !to.probe_out) last = next_batch(to, bytes, output);
    if (last == before && !to.due && (to.mode == FollowerMode::stream || to.probe_out)) return;
    const auto& leader = std::get<Leader>(role);
    // A leader's term is durable since its election, so nothing has to be waited for.
    output.send.push_back({to.id,
                           msg::Append{hard.term, {log.term_at(before), before}, last, commit, leader.round},
                           WriteId{}});
    if (last != before) to.sent(last, bytes, now);
    // What follows may have to be read first: asked for now, it is there when the window opens.
    if (last != before && to.next <= log.last() && !log.sizes().holds(to.next)) next_batch(to, bytes, output);
    to.due = false;
    to.commit_sent = commit;
    if (to.mode == FollowerMode::probe) to.probe_out = true;
}

/// The last entry to be sent now, or next - 1; asks for entries whose sizes aren't known any more.
Index Core::State::next_batch(Progress& to, uint64_t& bytes, Output& output) {
    const Index none = to.next - 1;
    if (to.ready.first == to.next && to.ready.last <= log.last()) {
        bytes = to.ready.bytes;
        return std::exchange(to.ready, {}).last;
    }
    const uint64_t sent = planted(PlantedBug::no_send_window) ? 0 : to.window.bytes();
    if (to.next > log.last() || to.window.full() || sent >= options.in_flight_bytes_max) return none;
    const bool stream = to.mode == FollowerMode::stream;
    // A probe may well miss, so it takes along little.
    const uint64_t budget = stream ? std::min(options.batch_bytes_max, options.in_flight_bytes_max - sent)
                                   : options.batch_bytes_max / 4;
    const bool at_least_one = stream ? to.window.empty() : to.blocked_at != Index{};
    if (!log.sizes().holds(to.next)) {
        if (to.fetch == 0 && (stream || at_least_one)) {
            to.fetch = ++fetch_counter;
            output.fetch.push_back({to.fetch, to.id, to.next, budget});
        }
        return none;
    }
    Index last = log.sizes().fit(to.next, log.last(), budget);
    if (last == none && at_least_one) last = to.next;
    if (last != none) bytes = log.sizes().bytes(to.next, last);
    return last;
}

void Core::State::on(const ev::Fetched& event) {
    Progress* to = follower(event.to);
    if (to == nullptr || to->fetch == 0 || to->fetch != event.id) return;
    to->fetch = 0;
    if (event.got != ev::Got::ok) {
        if (to->next <= log.base().index) to->to_snapshot();
        to->paused_until = now + options.heartbeat;
    } else if (event.first == to->next && event.last >= event.first && event.last <= log.last()) {
        to->ready = {event.first, event.last, event.bytes};
    }
}

// It has to download; heartbeats go on meanwhile, and say by their prev what it must have before entries
// follow.
void Core::State::send_snapshot(Progress& to, Output& output) {
    if (!to.due) return;
    to.due = false;
    const EntryId base = log.base();
    output.send.push_back({to.id, msg::Snapshot{hard.term, base}, WriteId{}});
    output.send.push_back(
        {to.id, msg::Append{hard.term, base, base.index, commit, std::get<Leader>(role).round}, WriteId{}});
}

}  // namespace raftd::raft
