// Who belongs (joint consensus only, thesis 4.3), handing leadership over (3.10), and what snapshots do to
// the log. The configuration in force is the newest in the log, else the base's; Log keeps that true by
// itself.
#include "base/check.h"
#include "raft/state.h"

namespace raftd::raft {

// --- how followers stand
// ------------------------------------------------------------------------------------------

/// It said something of this reign, lately.
bool Core::State::answers(const Progress& to, Duration within) const {
    return to.round != 0 && now - to.heard_at < within;
}

/// What it lacks is a part of what may be on its way to it anyhow.
bool Core::State::near_end(const Progress& to) const {
    if (planted(PlantedBug::promote_at_once)) return true;
    if (to.mode != FollowerMode::stream || to.regressed || to.contradicts) return false;
    if (to.match >= log.last()) return true;
    return log.sizes().holds(to.match + 1) &&
           log.sizes().bytes(to.match + 1, log.last()) <= options.in_flight_bytes_max / 2;
}

/// Whether a majority of this half's voters answered within T and, if asked for, has nearly all.
bool Core::State::half_answers(const std::vector<Member>& half, bool near) const {
    const auto& leader = std::get<Leader>(role);
    return quorum_reaches({half, {}, false}, [&](NodeId id) -> uint64_t {
               if (id == self) return disk_stalled(options.disk_stall_max) ? 0 : 1;
               for (const Progress& to : leader.followers)
                   if (to.id == id)
                       return answers(to, options.election_timeout) && (!near || near_end(to)) ? 1 : 0;
               return 0;
           }) == 1;
}

// --- changes
// ------------------------------------------------------------------------------------------------------

std::optional<Refusal> Core::State::may_change(const Membership& target) const {
    const auto* leader = as<Leader>();
    if (leader == nullptr) return Refusal::not_leading;
    if (log.term_at(commit) != hard.term && !planted(PlantedBug::change_before_own_commit))
        return Refusal::no_own_commit;
    if ((log.config().index > commit && !planted(PlantedBug::change_over_change)) || membership().joint() ||
        leader->wanted || leader->handover)
        return Refusal::in_progress;
    if (target.joint() || !well_formed(target)) return Refusal::malformed;
    const std::vector<Member>& present = membership().now;
    const std::vector<NodeId> voters = voters_of(target.now), voters_now = voters_of(present);
    if ((voters.size() > options.voters_max && voters.size() > voters_now.size()) ||
        (target.now.size() > options.members_max && target.now.size() > present.size()))
        return Refusal::too_many;
    for (const Member& member : target.now)
        if (!is_member(membership(), member.id) && member.id <= log.ids_used_upto() &&
            !planted(PlantedBug::forget_used_ids))
            return Refusal::id_used;
    if (voters == voters_now) return std::nullopt;
    for (NodeId id : voters) {
        if (is_voter(membership(), id)) continue;
        auto ready = [&](const Progress& to) {
            return to.id == id && answers(to, options.election_timeout) && near_end(to);
        };
        if (std::none_of(leader->followers.begin(), leader->followers.end(), ready))
            return Refusal::not_caught_up;
    }
    // Each half must be able to decide from the first moment on, and go on doing so.
    if (!half_answers(present, false) || !half_answers(target.now, true)) return Refusal::would_lose_quorum;
    return std::nullopt;
}

void Core::State::on(const ev::ProposeMembership& event) {
    if (leads() && !may_change(event.target)) begin_change(event.target.now);
}

void Core::State::begin_change(const std::vector<Member>& target) {
    auto& leader = std::get<Leader>(role);
    // A change of learners alone moves no quorum and needs no joint step.
    if (voters_of(target) == voters_of(membership().now))
        leader.wanted = Membership{target, {}, false};
    else
        leader.wanted = Membership{membership().now, target, true};
}

/// At each heartbeat: what the configuration in force asks its leader to do by itself.
void Core::State::follow_up() {
    auto& leader = std::get<Leader>(role);
    for (Progress& to : leader.followers)
        to.near_rounds = answers(to, half()) && near_end(to) ? to.near_rounds + 1 : 0;
    // Who was removed is told for a while after the commit, then no more.
    std::erase_if(leader.followers, [&](const Progress& to) { return to.leaves_at <= now; });
    if (log.config().index <= commit)
        for (Progress& to : leader.followers)
            if (to.leaves_at == kNever && !is_member(membership(), to.id))
                to.leaves_at = now + options.election_timeout * 2;
    if (leader.handover) leader.handover->told = false;  // it may have been lost: said again
    promote_learners();
    prefer_higher_priority();
}

// The intent stands in the configuration, so whoever leads carries it on. All that are ready go together, so
// that growing from one to three doesn't stop at two.
void Core::State::promote_learners() {
    const auto& leader = std::get<Leader>(role);
    std::vector<NodeId> ready;
    for (const Member& member : membership().now) {
        const Progress* to = member.learner && member.promote ? follower(member.id) : nullptr;
        if (to != nullptr && to->near_rounds >= 2) ready.push_back(member.id);
    }
    for (; !ready.empty() && !leader.wanted; ready.pop_back()) {
        Membership target{membership().now, {}, false};
        for (Member& member : target.now)
            if (std::find(ready.begin(), ready.end(), member.id) != ready.end())
                member.learner = member.promote = false;
        if (!may_change(target)) begin_change(target.now);
    }
}

// A leader follows its newest configuration as soon as it is in the log. Who is no longer in it still gets
// the entry that says so, and its commit (follow_up).
void Core::State::configuration_changed() {
    auto& leader = std::get<Leader>(role);
    leader.wanted.reset();
    for (const auto* half_of : {&membership().now, &membership().next})
        for (const Member& member : *half_of) follow(member.id);
}

// Elected with a change in its log that isn't known to be committed: who left by it may not have heard.
void Core::State::tell_the_removed() {
    const std::span<const ConfigAt> configs = log.configs();
    if (log.config().index <= commit || configs.size() < 2) return;
    const Membership& before = configs[configs.size() - 2].members;
    for (const auto* half_of : {&before.now, &before.next})
        for (const Member& member : *half_of) follow(member.id);
}

void Core::State::follow(NodeId id) {
    auto& followers = std::get<Leader>(role).followers;
    if (id == self || follower(id) != nullptr) return;
    Progress fresh;
    fresh.id = id;
    fresh.next = log.last() + 1;
    fresh.heard_at = now;
    followers.push_back(std::move(fresh));
    std::sort(followers.begin(), followers.end(),
              [](const Progress& a, const Progress& b) { return a.id < b.id; });
}

/// The no-op that opens a reign, and membership entries that are due: the caller builds and proposes them.
void Core::State::want_entries(Output& output) {
    auto& leader = std::get<Leader>(role);
    if (log.last_id().term != hard.term) {
        output.want = Output::Want{hard.term, EntryKind::noop, {}};
    } else if (leader.wanted) {
        output.want = Output::Want{hard.term, EntryKind::membership, *leader.wanted};
    } else if (membership().joint() && membership().leave_joint && log.config().index <= commit &&
               log.term_at(commit) == hard.term) {
        output.want =
            Output::Want{hard.term, EntryKind::membership, Membership{membership().next, {}, false}};
    }
}

// The change is done: a leader that is no voter any more brings a successor up and goes. Meanwhile it takes
// nothing new; without a successor it goes at once.
void Core::State::leave_if_removed() {
    if (log.config().index > commit || membership().joint() || is_voter(membership(), self)) return;
    auto& leader = std::get<Leader>(role);
    for (Progress& to : leader.followers)
        if (!is_member(membership(), to.id)) to.due = true;  // nobody else will tell them of the commit
    if (leader.handover)
        leader.handover->must_leave = true;
    else
        hand_over(best_successor(), false, true);
}

// --- transfer
// ----------------------------------------------------------------------------------------------------

bool Core::State::fit_to_lead(const Leader& leader, NodeId id) const {
    if (id == self || !is_voter(membership(), id) || !peer_may_lead(id)) return false;
    for (const Progress& to : leader.followers)
        if (to.id == id)
            return near_end(to) && answers(to, half()) &&
                   !(to.owes && now - to.owes_since > options.disk_stall_max);
    return false;
}

NodeId Core::State::best_successor() const {
    const auto& leader = std::get<Leader>(role);
    const Progress* best = nullptr;
    auto rank = [&](const Progress& to) {
        return std::pair{member_of(membership(), to.id)->priority, to.match};
    };
    for (const Progress& to : leader.followers)
        if (fit_to_lead(leader, to.id) && (best == nullptr || rank(to) > rank(*best))) best = &to;
    return best == nullptr ? NodeId{} : best->id;
}

// At most once in 10 T over all reigns: a new leader waits so long, too (H27). Otherwise priority and a bad
// disk would hand leadership back and forth.
void Core::State::prefer_higher_priority() {
    auto& leader = std::get<Leader>(role);
    const Member* me = member_of(membership(), self);
    if (me == nullptr || now < leader.preference_at || leader.handover || leader.wanted ||
        membership().joint() || log.config().index > commit || log.term_at(commit) != hard.term)
        return;
    const NodeId best = best_successor();
    if (best == NodeId{} || member_of(membership(), best)->priority <= me->priority) return;
    leader.preference_at = now + options.election_timeout * 10;
    hand_over(best, false, false);
}

void Core::State::on(const ev::Transfer& event) {
    const auto* leader = as<Leader>();
    if (leader == nullptr || leader->handover || !fit_to_lead(*leader, event.to)) {
        transfer_end = leader == nullptr ? Output::TransferEnd::lost_office : Output::TransferEnd::unfit;
        return;
    }
    hand_over(event.to, true, false);
}

void Core::State::hand_over(NodeId to, bool asked, bool must_leave) {
    if (to == NodeId{}) {
        if (must_leave) become_follower(hard.term, NodeId{});
        return;
    }
    std::get<Leader>(role).handover =
        Leader::Handover{to, now + options.election_timeout, false, must_leave, asked};
}

void Core::State::drive_handover() {
    auto& leader = std::get<Leader>(role);
    if (!leader.handover) return;
    Leader::Handover& over = *leader.handover;
    if (now >= over.ends_at) return end_handover(Output::TransferEnd::timed_out);
    const Progress* to = follower(over.to);
    if (to == nullptr || !is_voter(membership(), over.to)) return end_handover(Output::TransferEnd::unfit);
    if (over.told || to->match != log.last()) return;
    // Whoever asked is whole and can wait for its own disk: then nobody's append ends without an outcome.
    if (over.asked && commit != log.last()) return;
    over.told = true;
    say_now(over.to, msg::TimeoutNow{hard.term});
}

void Core::State::end_handover(Output::TransferEnd how) {
    auto& leader = std::get<Leader>(role);
    const Leader::Handover over = *std::exchange(leader.handover, std::nullopt);
    if (over.asked) transfer_end = how;
    if (over.must_leave) become_follower(hard.term, NodeId{});
}

// --- snapshots
// ---------------------------------------------------------------------------------------------------

void Core::State::on_snapshot(NodeId from, const msg::Snapshot& offer) {
    const auto* known = as<Follower>();
    if (leads() || (known != nullptr && known->leader != NodeId{} && known->leader != from)) return;
    heard_leader(from);
    if (in_doubt(offer.at)) return;  // offered again at each heartbeat, and judged once the hole is mended
    if (offer.at.index > commit && offer.at.term <= offer.term) install = Output::Install{from, offer.at};
}

void Core::State::on(const ev::Installed& event) {
    log.note_ids(event.ids_used_upto);
    // Who gave it may have been in a later term by then, which nothing else has told here yet.
    if (event.at.term > hard.term) become_follower(event.at.term, NodeId{});
    if (event.at.index <= commit) return;  // overtaken by the log meanwhile
    if (log.matches(event.at)) {
        raise_commit(event.at.index);
        durable = std::max(durable, event.at.index);  // the snapshot holds them
        log.compact(event.at);
        log.set_base_config(event.members);
    } else if (!leads()) {  // a leader's log is never replaced
        log.reset(event.at, event.members);
        commit = durable = event.at.index;
        for (size_t at = 0; at < writes.size(); ++at) writes[at].last = event.at.index;
        written = kept = event.at.index;
        promised = Index{};
        reset = event.at;
    }
    if (const NodeId of = leader(); of != NodeId{} && !leads()) {
        if (answer.to != of) answer = {of, Index{}, 0};
        answer.verified = std::max(answer.verified, event.at.index);
    }
    if (leads()) configuration_changed();
}

void Core::State::on(const ev::Compacted& event) {
    CHECK_LE(raw(event.upto.index), raw(std::min(commit, durable)));
    log.compact(event.upto);
}

void Core::State::on(const ev::SnapshotEnded& event) {
    Progress* to = follower(event.to);
    if (to == nullptr || to->mode != FollowerMode::snapshot) return;
    if (event.ok && event.at.index >= log.base().index && event.at.index <= log.last())
        to->to_probe(event.at.index + 1);
    to->due = true;
}

}  // namespace raftd::raft
