// Who leads: timeouts, pre-votes, votes (thesis 3.4, 9.6; H21).
#include "base/check.h"
#include "raft/state.h"

namespace raftd::raft {

bool Core::State::may_campaign() const {
    const bool untouched = log.last() == log.base().index && hard.term == log.base().term;
    if (untouched && met_peers.size() + 1 < options.min_members) return false;
    return needed() && may_lead() && health.may_vote && hard.term + 1 < kTermMax &&
           !disk_stalled(options.disk_stall_max);
}

// A voter; or one that leaves by a C_new which isn't known to be committed: its log may be the only one that
// has C_new, and then nobody else can be elected (thesis 4.2.2). Or a learner that a C_old,new of an older
// reign makes a voter, in a log that is too old to get its vote: whoever has that log can't be elected
// without it. Such a one asks, but has no vote of its own.
bool Core::State::needed() const {
    const ConfigAt& newest = log.config();
    if (removed_at_index != Index{} && removed_at_index >= newest.index) return false;
    if (is_voter(newest.members, self)) return true;
    if (counted_on && is_member(newest.members, self)) return true;
    const std::span<const ConfigAt> configs = log.configs();
    return newest.index > commit && configs.size() > 1 && is_voter(configs[configs.size() - 2].members, self);
}

void Core::State::meet(NodeId peer) {
    if (met_peers.size() + 1 >= options.min_members || !is_member(membership(), peer)) return;
    if (std::find(met_peers.begin(), met_peers.end(), peer) == met_peers.end()) met_peers.push_back(peer);
}

bool Core::State::sticky() const {
    if (!options.check_quorum) return false;
    if (leads()) return quorum_active();
    const auto* follower = as<Follower>();
    return follower != nullptr && follower->leader != NodeId{} && !follower->link_lost &&
           now - follower->heard_at < half();
}

void Core::State::become_follower(Term term, NodeId of) {
    if (leads()) leave_office();
    if (of != NodeId{}) counted_on = false;
    if (term > hard.term) {
        hard = {term, NodeId{}};
        hard_dirty = true;
        waiting.clear();  // they speak of a term that is over for me
        answer = {};
        promised = Index{};
    }
    fail_asked_reads();
    const Duration timeout = draw();
    role = Follower{of, now, timeout, now + timeout};
}

void Core::State::heard_leader(NodeId from) {
    auto* follower = as<Follower>();
    if (follower == nullptr) {  // a campaign that somebody else has won
        become_follower(hard.term, from);
        return;
    }
    counted_on = false;
    follower->leader = from;
    follower->heard_at = now;
    follower->election_at = now + follower->timeout;
    follower->link_lost = false;
}

void Core::State::election_due() {
    if (!may_campaign()) {
        become_follower(hard.term, NodeId{});
        return;
    }
    if (options.pre_vote)
        pre_campaign();
    else
        campaign(false);
}

void Core::State::pre_campaign() {
    fail_asked_reads();
    PreCandidate pre;
    pre.retry_at = now + draw();
    pre.votes.add(self, true);
    role = std::move(pre);
    for (NodeId id : voters_of(membership()))
        if (id != self)  // nothing is promised by asking, so it needn't wait for the disk
            say_now(id, msg::Vote{hard.term + 1, log.last_id(), true, false});
    count_votes();
}

void Core::State::campaign(bool transfer) {
    become_follower(hard.term + 1, NodeId{});
    hard.vote = self;
    Candidate candidate;
    candidate.retry_at = now + draw();
    candidate.transfer = transfer;
    candidate.votes.add(self, true);
    role = std::move(candidate);
    for (NodeId id : voters_of(membership()))
        if (id != self) say(id, msg::Vote{hard.term, log.last_id(), false, transfer});
}

void Core::State::count_votes() {
    if (const auto* pre = as<PreCandidate>()) {
        if (tally(membership(), [&](NodeId id) { return pre->votes.of(id); }) == Tally::won) campaign(false);
        return;
    }
    const auto* candidate = as<Candidate>();
    if (candidate == nullptr || !hard_durable()) return;
    if (tally(membership(), [&](NodeId id) { return candidate->votes.of(id); }) == Tally::won)
        become_leader();
}

void Core::State::become_leader() {
    CHECK(hard_durable());
    CHECK_EQ(raw(hard.vote), raw(self));
    counted_on = false;
    Leader leader;
    leader.heartbeat_at = now + options.heartbeat;
    leader.preference_at = now + options.election_timeout * 10;
    role = std::move(leader);
    configuration_changed();  // makes the followers
    tell_the_removed();
}

void Core::State::leave_office() {
    auto& leader = std::get<Leader>(role);
    lost_after = commit;
    for (const PendingRead& read : leader.reads)
        if (read.from == NodeId{}) reads_failed.push_back(read.id);
    if (leader.handover && leader.handover->asked)
        transfer_end = leader.handover->told ? Output::TransferEnd::done : Output::TransferEnd::lost_office;
}

// Votes are answered by log and term, whatever I believe my role or the asker's to be (B45).
void Core::State::on_vote(NodeId from, const msg::Vote& vote) {
    const bool free_to = vote.term > hard.term || hard.vote == NodeId{} || hard.vote == from;
    const bool current = vote.term >= hard.term && !(vote.term == hard.term && leader() != NodeId{});
    const bool recent = up_to_date(vote.last, log.last_id());
    const bool granted = current && free_to && health.may_vote && (vote.transfer || !sticky()) && recent;
    // A configuration that it has and I don't is newer than mine.
    if (current && !recent && leader() == NodeId{} && !is_voter(membership(), self) &&
        vote.last.index > log.config().index)
        counted_on = true;
    if (vote.pre) {
        if (granted)
            say(from, msg::VoteOk{vote.term, true, true, Index{}});
        else
            say(from, msg::VoteOk{hard.term, false, true, removed_at(from)});
        // Somebody is on its way: no need to campaign soon as well.
        if (auto* follower = as<Follower>(); granted && follower != nullptr && follower->link_lost)
            follower->election_at = now + draw();
        return;
    }
    if (!granted) {
        say(from, msg::VoteOk{hard.term, false, false, removed_at(from)});
        return;
    }
    if (hard.vote != from) {
        CHECK_EQ(raw(hard.vote), 0u);
        become_follower(hard.term, NodeId{});
        hard.vote = from;
        hard_dirty = true;
    } else if (auto* follower = as<Follower>()) {
        follower->election_at = now + follower->timeout;
    }
    const msg::VoteOk yes{hard.term, true, false, Index{}};
    if (planted(PlantedBug::vote_before_durable)) return say_now(from, yes);
    say(from, yes);
}

void Core::State::on_vote_ok(NodeId from, const msg::VoteOk& answer_in) {
    if (!answer_in.granted && answer_in.removed_at > removed_at_index &&
        answer_in.removed_at >= log.config().index)
        removed_at_index = answer_in.removed_at;
    if (auto* pre = as<PreCandidate>()) {
        if (!answer_in.pre || (answer_in.granted && answer_in.term != hard.term + 1)) return;
        pre->votes.add(from, answer_in.granted);
        count_votes();
    } else if (auto* candidate = as<Candidate>()) {
        if (answer_in.pre || answer_in.term != hard.term) return;
        candidate->votes.add(from, answer_in.granted);
        count_votes();
    }
}

void Core::State::on_timeout_now(NodeId from) {
    const auto* follower = as<Follower>();
    if (follower == nullptr || follower->leader != from || !may_campaign()) return;
    campaign(true);
}

// Only a committed configuration is proof that somebody was removed.
Index Core::State::removed_at(NodeId id) const {
    const bool newest = planted(PlantedBug::silence_by_uncommitted);
    const ConfigAt& committed = newest ? log.config() : log.config_at(commit);
    if ((committed.index > commit && !newest) || is_member(committed.members, id)) return Index{};
    return committed.index;
}

}  // namespace raftd::raft
