// Who belongs (joint consensus only, thesis 4.3), handing leadership over (3.10), and what snapshots do to
// the log. The configuration in force is the newest in the log, else the base's; Log keeps that true by
// itself.
#include "base/check.h"
#include "raft/state.h"

namespace raftd::raft {

namespace {
constexpr size_t kVotersAllowed = 9, kMembersAllowed = 16;

std::vector<NodeId> voters_of(const std::vector<Member>& members) {
    std::vector<NodeId> voters;
    for (const Member& member : members)
        if (!member.learner) voters.push_back(member.id);
    return voters;
}
}  // namespace

std::optional<Refusal> Core::State::may_change(const Membership& target) const {
    const auto* leader = as<Leader>();
    if (leader == nullptr) return Refusal::not_leading;
    if (log.term_at(commit) != hard.term) return Refusal::no_own_commit;
    if (log.config().index > commit || membership().joint() || leader->wanted) return Refusal::in_progress;
    const std::vector<NodeId> voters = voters_of(target.now);
    if (voters.size() > kVotersAllowed || target.now.size() > kMembersAllowed) return Refusal::too_many;
    // The new half must be able to decide from its first moment on.
    size_t ready = 0;
    for (NodeId id : voters) {
        bool live = id == self, near = id == self;
        for (const Progress& to : leader->followers)
            if (to.id == id) {
                live = now - to.heard_at < options.election_timeout;
                near = to.mode == FollowerMode::stream && to.match + 1024 > log.last();
            }
        if (!is_voter(membership(), id) && !near) return Refusal::not_caught_up;
        ready += live ? 1 : 0;
    }
    if (voters.empty() || ready < voters.size() / 2 + 1) return Refusal::would_lose_quorum;
    return std::nullopt;
}

void Core::State::on(const ev::ProposeMembership& event) {
    auto* leader = as<Leader>();
    if (leader == nullptr || may_change(event.target)) return;
    // A change of learners alone moves no quorum and needs no joint step.
    if (voters_of(event.target.now) == voters_of(membership().now))
        leader->wanted = Membership{event.target.now, {}, false};
    else
        leader->wanted = Membership{membership().now, event.target.now, true};
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

// A leader follows its newest configuration as soon as it is in the log. Who is no longer in it still gets
// the entry that says so, and its commit, for a while.
void Core::State::configuration_changed() {
    auto& leader = std::get<Leader>(role);
    leader.wanted.reset();
    for (Progress& to : leader.followers) {
        if (is_member(membership(), to.id))
            to.leaves_at = kNever;
        else if (to.leaves_at == kNever)
            to.leaves_at = now + options.election_timeout * 2;
    }
    for (const auto* half_of : {&membership().now, &membership().next}) {
        for (const Member& member : *half_of) {
            if (member.id == self || follower(member.id) != nullptr) continue;
            Progress fresh;
            fresh.id = member.id;
            fresh.next = log.last() + 1;
            fresh.heard_at = now;
            leader.followers.push_back(std::move(fresh));
        }
    }
    std::sort(leader.followers.begin(), leader.followers.end(),
              [](const Progress& a, const Progress& b) { return a.id < b.id; });
}

void Core::State::leave_if_removed() {
    if (log.config().index > commit || membership().joint() || is_voter(membership(), self)) return;
    become_follower(hard.term, NodeId{});
}

// --- transfer
// ----------------------------------------------------------------------------------------------------

bool Core::State::fit_to_lead(const Leader& leader, NodeId id) const {
    if (id == self || !is_voter(membership(), id) || !peer_may_lead(id)) return false;
    for (const Progress& to : leader.followers)
        if (to.id == id)
            return to.mode == FollowerMode::stream && now - to.heard_at < half() && !to.regressed &&
                   !(to.owes && now - to.owes_since > options.disk_stall_max);
    return false;
}

NodeId Core::State::best_successor() const {
    const auto& leader = std::get<Leader>(role);
    NodeId best{};
    Index best_match{};
    for (const Progress& to : leader.followers)
        if (fit_to_lead(leader, to.id) && (best == NodeId{} || to.match > best_match)) {
            best = to.id;
            best_match = to.match;
        }
    return best;
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
    if (to == nullptr) return end_handover(Output::TransferEnd::unfit);
    if (over.told || to->match != log.last()) return;
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
    if (offer.at.index > commit && offer.at.term <= offer.term) install = Output::Install{from, offer.at};
}

void Core::State::on(const ev::Installed& event) {
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
