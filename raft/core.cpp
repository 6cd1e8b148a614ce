// The door of the core: term rule, dispatch by event and role, and assembly of what is owed.
#include "raft/core.h"

#include "base/check.h"
#include "raft/invariants.h"
#include "raft/state.h"

namespace raftd::raft {

namespace {
constexpr Index kIndexMax{uint64_t{1} << 62};
// Terms rise by one an election: nobody was away for so many. Without it a single wrong message could bring
// everybody to the last term there is, where nobody can be elected any more.
constexpr uint64_t kTermLeap = uint64_t{1} << 40;

/// The term that a message speaks for; a pre-vote and its grant name a term that nobody is in yet.
struct Spoken {
    Term term;
    bool binding;
};
Spoken spoken_term(const msg::Any& message) {
    if (const auto* vote = std::get_if<msg::Vote>(&message)) return {vote->term, !vote->pre};
    if (const auto* answer = std::get_if<msg::VoteOk>(&message))
        return {answer->term, !(answer->pre && answer->granted)};
    return {std::visit([](const auto& any) { return any.term; }, message), true};
}
bool from_leader(const msg::Any& message) {
    return std::holds_alternative<msg::Append>(message) || std::holds_alternative<msg::Snapshot>(message);
}
}  // namespace

Core::State::State(const Options& options_in, NodeId self_in, const Restart& restart, uint64_t seed,
                   Instant now_in)
    : options(options_in),
      self(self_in),
      random(seed),
      now(now_in),
      health(restart.health),
      boot(restart.boot),
      hard(restart.hard),
      log(restart, options_in.in_flight_bytes_max),
      commit(std::max(restart.base.index, restart.commit)),
      durable(restart.last),
      written(restart.last),
      kept(restart.last) {
    // A term found in the log is newer than the one stored: no vote was given in it (B16).
    if (log.last_id().term > hard.term) {
        hard = {log.last_id().term, NodeId{}};
        hard_dirty = true;
    }
    become_follower(hard.term, NodeId{});
    config_told = log.config_version();
    role_told = {hard.term, NodeId{}, false};
#ifdef RAFTD_DCHECK
    checking = true;
#endif
}

Core::Taken Core::State::step(const Event& event) {
    now = std::max(now, event.now);
    Taken taken{log.last(), log.last()};
    std::visit(
        [&](const auto& what) {
            if constexpr (std::is_void_v<decltype(on(what))>) {
                on(what);
                taken = {log.last(), log.last()};
            } else {
                taken = on(what);
            }
        },
        event.what);
    return taken;
}

void Core::State::on(const ev::Tick&) {
    if (auto* leader = as<Leader>()) {
        if (now >= leader->heartbeat_at) heartbeat_due();
    } else if (auto* follower = as<Follower>()) {
        if (now >= follower->election_at) election_due();
    } else if (auto* pre = as<PreCandidate>()) {
        if (now >= pre->retry_at) election_due();
    } else if (auto* candidate = as<Candidate>()) {
        if (now >= candidate->retry_at) election_due();
    }
    expire_reads();
}

void Core::State::on(const ev::Durable& event) {
    CHECK_LE(raw(event.id), raw(last_write));
    durable_write = std::max(durable_write, event.id);
    while (!writes.empty() && writes.front().id <= event.id) {
        durable = std::max(durable, writes.front().last);
        writes.pop_front();
    }
    if (leads())
        advance_commit();
    else if (std::holds_alternative<Candidate>(role))
        count_votes();  // my own vote may count now
}

void Core::State::on(const ev::Health& event) {
    health = event;
    if (leads() && !may_lead() && !as<Leader>()->handover) hand_over(best_successor(), false, true);
}

void Core::State::on(const ev::Mended& event) {
    // Cut off meanwhile, maybe with other entries in its place by now: one (index, term) names one prefix.
    if (event.first <= log.base().index || event.last > log.last() ||
        log.term_at(event.last) != event.runs.back().term)
        return;
    log.restate(event.first, event.last, event.runs, event.configs);
}

void Core::State::on(const ev::Contradicted& event) {
    Progress* to = follower(event.from);
    if (to == nullptr) return;
    to->contradicts = true;
    const Tally rest = tally(membership(), [&](NodeId id) {
        const Progress* other = follower(id);
        return other != nullptr && other->contradicts ? -1 : 0;
    });
    if (rest != Tally::lost) return;
    diverged = event.at;
    become_follower(hard.term, NodeId{});
}

void Core::State::on(const ev::Peer& event) {
    auto at = std::find(unfit_peers.begin(), unfit_peers.end(), event.id);
    if (event.may_lead && at != unfit_peers.end()) unfit_peers.erase(at);
    if (!event.may_lead && at == unfit_peers.end() && unfit_peers.size() < kVotersMax)
        unfit_peers.push_back(event.id);
}

// A closed connection of the leader most often means that its process is gone. Stickiness ends here, so that
// this member grants a pre-vote; those that still hear the leader refuse, so a mere reset changes nothing.
void Core::State::on(const ev::Link& event) {
    if (event.up) meet(event.peer);
    auto* follower = as<Follower>();
    if (follower == nullptr || event.up || event.peer != follower->leader || follower->link_lost) return;
    follower->link_lost = true;
    const auto within = static_cast<uint64_t>((options.election_timeout / 10).ns);
    follower->election_at =
        std::min(follower->election_at, now + Duration{static_cast<int64_t>(random.below(within))});
}

void Core::State::on(const ev::Heard& event) {
    const auto* follower = as<Follower>();
    if (follower != nullptr && event.term == hard.term && event.from == follower->leader)
        heard_leader(event.from);
}

Core::Taken Core::State::on(const ev::Message& event) {
    const Taken nothing{log.last(), log.last()};
    if (event.from == self || event.from == NodeId{}) return nothing;
    const Spoken spoken = spoken_term(event.message);
    if (spoken.term == Term{} || spoken.term >= kTermMax || spoken.term > hard.term + kTermLeap)
        return nothing;
    meet(event.from);
    if (term_rule(event)) return {log.last(), log.last()};
    return dispatch(event);
}

bool Core::State::term_rule(const ev::Message& event) {
    const Spoken spoken = spoken_term(event.message);
    if (!spoken.binding) return false;
    if (spoken.term < hard.term) {
        answer_stale(event);
        return true;
    }
    if (spoken.term == hard.term) return false;
    const auto* vote = std::get_if<msg::Vote>(&event.message);
    if (vote != nullptr && !vote->transfer && sticky()) {
        say(event.from, msg::VoteOk{hard.term, false, false, removed_at(event.from)});
        return true;
    }
    become_follower(spoken.term, from_leader(event.message) ? event.from : NodeId{});
    return false;
}

// Who speaks of an older term learns mine; otherwise two sides that can't win may wait for each other for
// ever (B01, B03). Old answers say nothing any more and get none.
void Core::State::answer_stale(const ev::Message& event) {
    if (const auto* append = std::get_if<msg::Append>(&event.message))
        say(event.from, msg::AppendNo{hard.term, {}, log.last(), append->round, msg::Why::stale_term});
    else if (std::holds_alternative<msg::Snapshot>(event.message))
        say(event.from, msg::AppendNo{hard.term, {}, log.last(), 0, msg::Why::stale_term});
    else if (const auto* vote = std::get_if<msg::Vote>(&event.message))
        say(event.from, msg::VoteOk{hard.term, false, vote->pre, removed_at(event.from)});
    else if (const auto* ask = std::get_if<msg::ReadIndex>(&event.message))
        say(event.from, msg::ReadIndexOk{hard.term, ask->id, Index{}, false});
}

Core::Taken Core::State::dispatch(const ev::Message& event) {
    const NodeId from = event.from;
    if (const auto* append = std::get_if<msg::Append>(&event.message)) {
        if (append->last >= kIndexMax) return {log.last(), log.last()};
        return on_append(event, *append);
    }
    if (const auto* ok = std::get_if<msg::AppendOk>(&event.message)) on_append_ok(from, *ok);
    if (const auto* no = std::get_if<msg::AppendNo>(&event.message)) on_append_no(from, *no);
    if (const auto* vote = std::get_if<msg::Vote>(&event.message)) on_vote(from, *vote);
    if (const auto* vote_ok = std::get_if<msg::VoteOk>(&event.message)) on_vote_ok(from, *vote_ok);
    if (const auto* offer = std::get_if<msg::Snapshot>(&event.message)) on_snapshot(from, *offer);
    if (std::holds_alternative<msg::TimeoutNow>(event.message)) on_timeout_now(from);
    if (const auto* ask = std::get_if<msg::ReadIndex>(&event.message)) on_read_index(from, *ask);
    if (const auto* read = std::get_if<msg::ReadIndexOk>(&event.message)) on_read_index_ok(from, *read);
    return {log.last(), log.last()};
}

// Everything that vouched for what is cut vouches for less from here on.
void Core::State::cut_log(Index keep) {
    CHECK_GE(raw(keep), raw(commit));
    log.cut_after(keep);
    for (size_t at = 0; at < writes.size(); ++at) writes[at].last = std::min(writes[at].last, keep);
    durable = std::min(durable, keep);
    kept = std::min(kept, keep);
    promised = std::min(promised, keep);
    answer.verified = std::min(answer.verified, keep);
}

void Core::State::raise_commit(Index to) {
    if (to <= commit) return;
    CHECK_LE(raw(to), raw(log.last()));
    commit = to;
}

WriteId Core::State::wait_for_entries(Index upto) const {
    if (upto <= durable) return WriteId{};
    for (size_t at = 0; at < writes.size(); ++at)
        if (writes[at].last >= upto) return writes[at].id;
    return last_write;
}

NodeId Core::State::leader() const {
    if (leads()) return self;
    const auto* follower = as<Follower>();
    return follower == nullptr ? NodeId{} : follower->leader;
}

void Core::State::collect(Output& output) {
    output.clear();
    if (leads()) drive_handover();  // may end the reign
    if (auto* leader = as<Leader>()) {
        want_entries(output);
        start_reads(*leader);
    } else {
        ask_leader();
    }
    output.reset = std::exchange(reset, std::nullopt);
    if (hard_dirty || kept < written || log.last() > written || output.reset) {
        const WriteId id = ++last_write;
        output.write = {id, hard, std::min(kept, written), log.last(), true};
        if (hard_dirty || output.reset) hard_write = id;  // nothing is said before a new log is begun
        hard_dirty = false;
        written = kept = log.last();
        writes.push_back({id, log.last(), now});
    }
    for (Waiting& said : waiting)
        output.send.push_back(
            {said.to, std::move(said.message), said.after_hard ? wait_for_hard() : WriteId{}});
    waiting.clear();
    answer_append(output);
    // The no-op that is wanted now comes with the first messages of the reign.
    const auto* fresh = as<Leader>();
    const bool opening =
        fresh != nullptr && fresh->round == 1 && output.want && output.want->kind == EntryKind::noop;
    if (leads() && !opening) send_appends(output);
    if (auto* leader = as<Leader>()) finish_reads(*leader);
    output.install = std::exchange(install, std::nullopt);
    output.commit = commit;
    output.durable = durable;
    output.lost_after = std::exchange(lost_after, std::nullopt);
    output.diverged = std::exchange(diverged, std::nullopt);
    output.transfer = std::exchange(transfer_end, std::nullopt);
    output.reads.swap(reads_done);
    output.reads_failed.swap(reads_failed);
    if (config_told != log.config_version()) {
        config_told = log.config_version();
        output.membership = log.config();
    }
    const Output::RoleChange present{hard.term, leader(), leads()};
    if (present.term != role_told.term || present.leader != role_told.leader ||
        present.leading != role_told.leading)
        output.role = role_told = present;
}

Instant Core::State::deadline() const {
    Instant first = asked_reads.empty() ? kNever : asked_reads.front().ends_at;
    if (const auto* leader = as<Leader>()) {
        first = std::min(first, leader->heartbeat_at);
    } else if (const auto* follower = as<Follower>()) {
        if (follower->leader != NodeId{} || needed()) first = std::min(first, follower->election_at);
    } else if (const auto* pre = as<PreCandidate>()) {
        first = std::min(first, pre->retry_at);
    } else if (const auto* candidate = as<Candidate>()) {
        first = std::min(first, candidate->retry_at);
    }
    return first;
}

View Core::State::view() const {
    View view{};
    view.role = Role{static_cast<uint8_t>(role.index())};
    view.term = hard.term;
    view.vote = hard.vote;
    view.leader = leader();
    view.commit = commit;
    view.durable = durable;
    view.last = log.last();
    view.base = log.base();
    view.needed_from = log.last() + 1;
    view.membership = log.config();
    const auto* leader = as<Leader>();
    if (leader == nullptr) return view;
    view.accepting = !leader->handover && !disk_stalled(options.disk_stall_max);
    view.reign_proven = log.term_at(commit) == hard.term;
    if (leader->handover) view.transfer_to = leader->handover->to;
    for (const Progress& to : leader->followers) {
        view.followers.push_back({to.id, to.mode, to.match, to.next, to.window.bytes(), to.heard_at,
                                  to.regressed, answers(to, options.election_timeout) && near_end(to)});
        view.needed_from = std::min(view.needed_from, to.match + 1);
    }
    return view;
}

// --- the face
// ------------------------------------------------------------------------------------------------

Core::Core(const Options& options, NodeId self, const Restart& restart, uint64_t seed, Instant now)
    : state_(std::make_unique<State>(options, self, restart, seed, now)) {}
Core::Core(std::unique_ptr<State> state) : state_(std::move(state)) {}
Core::Core(const Core& other) : state_(std::make_unique<State>(*other.state_)) {}
Core& Core::operator=(const Core& other) {
    *state_ = *other.state_;
    return *this;
}
Core::Core(Core&&) noexcept = default;
Core& Core::operator=(Core&&) noexcept = default;
Core::~Core() = default;

Core::Taken Core::step(const Event& event) {
    if (!state_->checking) [[likely]]
        return state_->step(event);
    const Milestone before = milestone(*state_);
    const Taken taken = state_->step(event);
    raft::check_invariants(*state_);
    check_transition(before, *state_);
    return taken;
}
void Core::collect(Output& output) {
    state_->collect(output);
    if (state_->checking) raft::check_invariants(*state_);
}
void Core::check_invariants(bool on) { state_->checking = on; }
Instant Core::deadline() const { return state_->deadline(); }
EntryId Core::next_id() const { return {state_->hard.term, state_->log.last() + 1}; }
std::optional<Index> Core::keep_upto(const msg::Append& append, std::span<const EntryMeta> entries) const {
    if (append.term < state_->hard.term || (append.term == state_->hard.term && state_->leads())) return {};
    const State::Fit fit = state_->judge(append, entries);
    if (fit.kind != State::Fit::Kind::good) return {};
    return fit.keep;
}
bool Core::may_install(EntryId at) const { return at.index > state_->commit && !state_->in_doubt(at); }
std::optional<Refusal> Core::may_change(const Membership& target) const { return state_->may_change(target); }
NodeId Core::ids_used_upto() const { return state_->log.ids_used_upto(); }
Role Core::role() const { return Role{static_cast<uint8_t>(state_->role.index())}; }
Term Core::term() const { return state_->hard.term; }
NodeId Core::leader() const { return state_->leader(); }
Index Core::commit() const { return state_->commit; }
Index Core::last() const { return state_->log.last(); }
Term Core::term_at(Index index) const { return state_->log.term_at(index); }
bool Core::accepting() const {
    const auto* leader = state_->as<Leader>();
    return leader != nullptr && !leader->handover && !state_->disk_stalled(state_->options.disk_stall_max);
}
View Core::view() const { return state_->view(); }

}  // namespace raftd::raft
