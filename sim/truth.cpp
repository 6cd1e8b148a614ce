#include "sim/truth.h"

#include <algorithm>

#include "raft/state.h"

namespace raftd::sim {

using raft::Role;

namespace {
constexpr uint64_t kStateChecksApart = 16;  // indexes, by chance
}

Truth::Truth(Kernel& kernel, uint32_t count, const LogPoint& base, const daemon::Configuration& genesis,
             uint64_t lag_max, Reached& reached)
    : log_time(kernel),
      configs(genesis, base.chain, reached),
      kernel_(kernel),
      reached_(reached),
      base_(base),
      lag_max_(lag_max),
      members_(1),
      versions_(raw(base.index) + 1),
      committed_(raw(base.index) + 1),
      reads_(0) {
    // Of a restored cluster nothing is known below the entry that it begins behind, and nothing asked.
    versions_[0].push_back({Term{}, base.chain, 0, Lsn{1}, 0, kernel.now()});
    versions_.back() = {{base.term, base.chain, 0, base.lsn_next, base.timestamp_ms, kernel.now()}};
    committed_[0] = committed_.back() = base.chain;
    lsn_end_ = base.lsn_next;
    // Who joins a restored cluster later begins before that entry, with nothing.
    while (count-- > 0) {
        add_member();
        members_.back().chains.resize(raw(base.index) + 1, base.chain);
    }
}

void Truth::add_member() {
    members_.emplace_back().chains = {base_.chain};
    reads_.add_member();
    configs.add_member();
}

void Truth::violated(uint32_t member, const std::string& what) const {
    throw Violation(Ending::correctness, "member " + std::to_string(member) + ": " + what);
}

const Truth::Version* Truth::version(uint64_t index, uint64_t chain) const {
    if (index >= versions_.size()) return nullptr;
    for (const Version& version : versions_[index])
        if (version.chain == chain) return &version;
    return nullptr;
}

std::optional<uint64_t> Truth::chain_at(uint64_t index, const LogPoint& end) const {
    uint64_t at = raw(end.index), chain = end.chain;
    if (at < index) return std::nullopt;
    for (; at > index; --at) {
        const Version* found = version(at, chain);
        if (found == nullptr) return std::nullopt;
        chain = found->before;
    }
    return chain;
}

void Truth::check_promises(uint32_t number, const HardState& hard, const LogPoint& last) const {
    const Member& member = members_[number];
    if (hard.term < member.said)
        violated(number, "would start in term " + std::to_string(raw(hard.term)) +
                             " after it spoke in term " + std::to_string(raw(member.said)));
    auto vote = member.votes.find(hard.term);
    if (vote != member.votes.end() && vote->second != hard.vote)
        violated(number, "would start without its vote for " + std::to_string(raw(vote->second)) +
                             " in term " + std::to_string(raw(hard.term)));
    if (member.ok_index == 0) return;
    if (raw(last.index) < member.ok_index)
        violated(number, "would start with a log that ends at " + std::to_string(raw(last.index)) +
                             " after it acknowledged " + std::to_string(member.ok_index));
    std::optional<uint64_t> chain = chain_at(member.ok_index, last);
    if (!chain || *chain != member.ok_chain)
        violated(number, "would start with another entry at " + std::to_string(member.ok_index) +
                             " than the one it acknowledged");
}

void Truth::started(uint32_t number, const daemon::Node& node) {
    Member& member = members_[number];
    if (member.stale) return;
    LogPoint end = node.log_end();
    raft::View view = node.core().view();
    check_promises(number, {view.term, view.vote}, end);
    if (member.chains.size() - 1 > raw(end.index) || member.chains.back() != end.chain) {
        // What was lost was never acknowledged, or never cut on the disk: follow the chain down to what is
        // known.
        std::vector<uint64_t> chains(raw(end.index) + 1);
        uint64_t at = raw(end.index), chain = end.chain;
        while (at >= member.chains.size() || member.chains[at] != chain) {
            chains[at] = chain;
            const Version* found = version(at, chain);
            if (found == nullptr)
                violated(number, "recovered an entry at " + std::to_string(at) + " nobody ever made");
            chain = found->before;
            --at;
        }
        std::copy(member.chains.begin(), member.chains.begin() + static_cast<ptrdiff_t>(at) + 1,
                  chains.begin());
        member.chains = std::move(chains);
        reached_.hit(Reach::restarted_torn);
        configs.cut(number, at);
        const uint64_t base = raw(view.base.index);
        if (base > at) configs.install(number, base);
        follow_configs(number, member, node, std::max(at, base));
    }
    member.removed_at = {};
    member.alive = true;
    member.term = view.term;
    member.role = view.role;
    member.commit = view.commit;
    reached_.hit(Reach::restarted);
}

void Truth::ended(uint32_t number) {
    Member& member = members_[number];
    if (member.alive && member.role == Role::leader &&
        configs.at(configs.in_force(number)).what.membership.joint())
        reached_.hit(Reach::leader_lost_while_joint);
    member.alive = false;
    member.role = Role::follower;
    if (std::none_of(members_.begin(), members_.end(), [](const Member& m) { return m.alive; }))
        reached_.hit(Reach::all_down);
}

void Truth::after_turn(uint32_t number, const daemon::Node& node) {
    Member& member = members_[number];
    if (member.stale) return;
    const raft::Core& core = node.core();
    LogPoint end = node.log_end();
    Term term = core.term();
    Role role = core.role();
    configs.turn(number);
    trimmed_ = std::max(trimmed_, node.state().first_lsn());
    member.last_before_turn = member.chains.size() - 1;
    member.cut_to = UINT64_MAX;
    if (raw(end.index) + 1 != member.chains.size() || end.chain != member.chains.back())
        follow_log(number, member, node, end);
    Term led_before = member.role == Role::leader ? member.term : Term{};
    if (term != member.term || role != member.role) {
        if (term < member.term) violated(number, "its term fell");
        bool led = member.role == Role::leader, leads = role == Role::leader;
        bool anew = leads && (!led || term != member.term);
        if (led && (!leads || term != member.term)) reached_.hit(Reach::leader_deposed);
        member.term = term;
        member.role = role;
        term_max_ = std::max(term_max_, term);
        if (anew) became_leader(number, member);
    }
    if (const Index at = core.state().removed_at_index; at != member.removed_at) {
        check_removed(number, number, at);
        member.removed_at = at;
        reached_.hit(Reach::removed_member_told);
    }
    if (core.commit() != member.commit) note_commit(number, member, node, core.commit(), led_before);
    if (node.state().applied() != member.applied) {
        member.applied = node.state().applied();
        // The same indexes for all, so that members meet there.
        if (node.state().point().chain % kStateChecksApart == 0) check_state(number, node.state());
    }
}

void Truth::check_state(uint32_t number, const daemon::State& state) {
    if (state.applied() > Index{committed()}) violated(number, "applied more than is committed");
    const uint64_t digest = state.digest();
    auto [at, first] = states_.try_emplace(state.applied(), Applied{digest, number});
    if (at->second.digest != digest)
        violated(number, "its state at entry " + std::to_string(raw(state.applied())) + " isn't that of n" +
                             std::to_string(at->second.member));
    if (!first && at->second.member != number) reached_.hit(Reach::states_compared);
}

void Truth::check_archives(uint32_t number, const std::vector<snapshot::ArchiveInfo>& archives) {
    for (const snapshot::ArchiveInfo& archive : archives) {
        auto [at, first] = archives_.try_emplace(archive.first(), Archived{archive, number});
        if (at->second.archive.end != archive.end || at->second.archive.hash != archive.hash)
            violated(number, "has " + archive.name() + ", n" + std::to_string(at->second.member) + " has " +
                                 at->second.archive.name());
        if (!first && at->second.member != number) reached_.hit(Reach::archives_compared);
    }
}

void Truth::follow_log(uint32_t number, Member& member, const daemon::Node& node, const LogPoint& end) {
    uint64_t before = member.chains.size() - 1, last = raw(end.index);
    uint64_t keep = std::min(before, last);
    for (; keep > 0; --keep) {
        std::optional<LogPoint> point = node.log_at(Index{keep});
        if (!point || point->chain == member.chains[keep]) break;
    }
    if (keep < before) {
        if (member.role == Role::leader && node.core().role() == Role::leader &&
            node.core().term() == member.term)
            violated(number, "leads and cut its own log at " + std::to_string(keep));
        if (keep < raw(member.commit))
            violated(number, "cut its log at " + std::to_string(keep) + ", below its commit index");
        member.cut_to = keep;
        reached_.hit(Reach::log_cut);
        reached_.hit(Reach::config_cut, configs.cut(number, keep));
        if (before - keep >= 10) reached_.hit(Reach::log_cut_long);
        member.chains.resize(keep + 1);
        if (member.ok_index > keep) {
            member.ok_index = keep;
            member.ok_chain = member.chains[keep];
        }
    }
    const uint64_t base = raw(node.core().state().log.base().index);
    if (base > keep) {  // an installed snapshot replaced the log
        if (base > committed()) violated(number, "installed a snapshot of what isn't committed");
        member.chains.assign(committed_.begin(), committed_.begin() + static_cast<std::ptrdiff_t>(base) + 1);
        configs.install(number, base);
        reached_.hit(Reach::snapshot_installed);
        keep = base;
        if (base > last || (base == last && end.chain != committed_[base]))
            violated(number, "installed a snapshot of another history");
    }
    for (uint64_t at = keep + 1; at <= last; ++at) {
        std::optional<LogPoint> point = at == last ? end : node.log_at(Index{at});
        if (!point) violated(number, "a new entry isn't in memory");
        learn(number, *point, member.chains.back());
        member.chains.push_back(point->chain);
    }
    follow_configs(number, member, node, keep);
}

/// The configurations of its log behind `keep`, nearly always none.
void Truth::follow_configs(uint32_t number, Member& member, const daemon::Node& node, uint64_t keep) {
    const raft::Core& core = node.core();
    const std::span<const ConfigAt> all = core.state().log.configs();
    size_t first = all.size();
    while (first > 0 && raw(all[first - 1].index) > keep) --first;
    for (const ConfigAt& config : all.subspan(first)) {
        const uint64_t index = raw(config.index), chain = member.chains[index];
        const daemon::Configuration& newest = node.members().in_force();
        const uint64_t commit = raw(core.commit());
        const Term term = version(index, chain)->term;
        ConfigTruth::Maker maker{
            number,
            term,
            commit,
            commit < member.chains.size() && version(commit, member.chains[commit])->term == term,
            [&](NodeId id) { return lag(number, id); },
            lag_max_};
        auto fault = configs.push(number, index, chain, config.members,
                                  newest.index == config.index ? &newest.infos : nullptr, maker);
        if (fault) violated(number, *fault);
    }
}

/// Entries of this member's log that another one hasn't acknowledged, or doesn't have: what it acknowledged
/// may have been cut since, by a leader that this one hasn't heard of.
uint64_t Truth::lag(uint32_t number, NodeId of) const {
    const Member& mine = members_[number];
    const uint64_t last = mine.chains.size() - 1;
    if (raw(of) >= members_.size()) return last;
    const Member& other = members_[raw(of)];
    uint64_t at = std::min({last, other.ok_index, uint64_t{other.chains.size() - 1}});
    while (at > 0 && mine.chains[at] != other.chains[at]) --at;
    return last - at;
}

bool Truth::majority_at(uint32_t number, const std::function<bool(NodeId)>& yes) const {
    const auto now = configs.in_force(number), before = configs.in_force_before(number);
    return ConfigTruth::majority(configs.at(now).what.membership, yes) ||
           (before != now && ConfigTruth::majority(configs.at(before).what.membership, yes));
}

std::vector<uint32_t> Truth::voters_at(uint32_t number) const {
    std::vector<uint32_t> voters;
    for (uint32_t id = 1; id < members_.size(); ++id)
        for (auto ref : {configs.in_force(number), configs.in_force_before(number)})
            if (ConfigTruth::votes(configs.at(ref).what.membership, NodeId{id})) {
                voters.push_back(id);
                break;
            }
    return voters;
}

/// `by` believes, or says, that this member was left out by the configuration at `at`.
void Truth::check_removed(uint32_t by, uint32_t number, Index at) const {
    if (at == Index{}) return;
    const ConfigEntry& settled = configs.settled_at(raw(at));
    // Behind the entry itself, too: a snapshot says who belongs where it ends, and not since when.
    if (raw(at) > committed() || ConfigTruth::names(settled.what.membership, NodeId{number}))
        violated(by, "takes member " + std::to_string(number) + " for removed at entry " +
                         std::to_string(raw(at)) + ", which no committed configuration says");
}

void Truth::learn(uint32_t number, const LogPoint& point, uint64_t chain_before) {
    uint64_t at = raw(point.index);
    if (at >= versions_.size()) versions_.resize(at + 1);
    for (const Version& known : versions_[at]) {
        if (known.chain == point.chain) return;
        if (known.term == point.term)
            violated(number, "a second entry at " + std::to_string(at) + " of term " +
                                 std::to_string(raw(point.term)));
    }
    const Version& before = *version(at - 1, chain_before);
    if (auto fault = log_time.judge(point.timestamp_ms, before.timestamp_ms, before.stamped_at,
                                    [&] { return voters_at(number); }))
        violated(number, *fault);
    // Time that passed while stamps stood still (another leader's clock was behind) may be made up for later.
    const Instant stamped_at = point.timestamp_ms == before.timestamp_ms ? before.stamped_at : kernel_.now();
    versions_[at].push_back(
        {point.term, point.chain, chain_before, point.lsn_next, point.timestamp_ms, stamped_at});
}

void Truth::became_leader(uint32_t number, const Member& member) {
    auto [place, first] = leaders_.try_emplace(member.term, number);
    if (!first && place->second != number)
        violated(number, "leads term " + std::to_string(raw(member.term)) + " as does member " +
                             std::to_string(place->second));
    if (!first) violated(number, "leads term " + std::to_string(raw(member.term)) + " for the second time");
    check_elected(number, member);
    reached_.hit(Reach::leader_elected);
    for (const Member& other : members_)
        if (&other != &member && other.alive && other.role == Role::leader) reached_.hit(Reach::two_leaders);
    auto later = commit_by_term_.lower_bound(member.term);
    if (later == commit_by_term_.begin()) return;
    uint64_t needed = std::prev(later)->second;
    if (needed >= member.chains.size() || member.chains[needed] != committed_[needed])
        violated(number, "leads term " + std::to_string(raw(member.term)) + " without entry " +
                             std::to_string(needed) + ", committed in term " +
                             std::to_string(raw(std::prev(later)->first)));
}

/// A voter; or one that leaves by a C_new that isn't known to be committed, since its log may be the only one
/// to have that; or a learner that a newer configuration makes a voter, which it needn't have.
void Truth::check_elected(uint32_t number, const Member& member) const {
    const ConfigEntry& newest = configs.at(configs.in_force(number));
    const bool votes = ConfigTruth::votes(newest.what.membership, NodeId{number});
    const bool leaves = newest.index > raw(member.commit) &&
                        ConfigTruth::votes(configs.at(newest.before).what.membership, NodeId{number});
    const bool counted_on = ConfigTruth::names(newest.what.membership, NodeId{number}) &&
                            configs.made_voter_behind(newest.index, NodeId{number});
    if (!votes && !leaves && !counted_on) violated(number, "leads and is no voter");
    auto chose = [&](NodeId id) {
        if (id == NodeId{number}) return true;
        if (raw(id) >= members_.size()) return false;
        auto vote = members_[raw(id)].votes.find(member.term);
        return vote != members_[raw(id)].votes.end() && vote->second == NodeId{number};
    };
    if (!majority_at(number, chose))
        violated(number, "leads term " + std::to_string(raw(member.term)) + " without a majority's votes");
}

/// `led_before`: the term it led when the turn began; a leader may commit and lose office in one turn.
void Truth::note_commit(uint32_t number, Member& member, const daemon::Node& node, Index commit,
                        Term led_before) {
    if (commit < member.commit) violated(number, "its commit index fell");
    uint64_t to = raw(commit), known = committed();
    if (to >= member.chains.size()) violated(number, "its commit index lies behind its log's end");
    if (to > known) {
        Term leads = member.role == Role::leader ? member.term : led_before;
        if (leads == Term{}) violated(number, "committed before any leader did");
        Term last = version(to, member.chains[to])->term;
        if (last != leads && last != led_before)
            violated(number, "committed entry " + std::to_string(to) + " of an older term by counting");
        check_majority(number, to, node);
        if (known > 0 && member.chains[known] != committed_[known])
            violated(number, "committed another history than was committed before");
        for (uint64_t at = known + 1; at <= to; ++at) {
            committed_.push_back(member.chains[at]);
            if (version(at, member.chains[at])->term != last) reached_.hit(Reach::old_term_committed);
        }
        configs.committed(number, to);
        lsn_end_ = version(to, member.chains[to])->lsn_next;
        if (commit_by_term_.empty() || commit_by_term_.rbegin()->first < last)
            for (const Member& other : members_)
                if (&other != &member && other.role == Role::leader) {
                    reached_.hit(Reach::commit_lead_change);
                    const auto old = static_cast<uint32_t>(&other - members_.data());
                    if (configs.in_force(old) != configs.in_force(number))
                        reached_.hit(Reach::commit_by_other_members);
                }
        commit_by_term_[last] = to;
        commit_moved_at_ = kernel_.now();
    } else if (member.chains[to] != committed_[to]) {
        violated(number, "committed other entries up to " + std::to_string(to) + " than the others");
    }
    member.commit = commit;
}

/// Counted from what each has said and, of the leader, from its own disk: never from what the leader
/// believes.
void Truth::check_majority(uint32_t number, uint64_t index, const daemon::Node& node) const {
    const bool own = raw(node.core().view().durable) >= index;
    if (!own) reached_.hit(Reach::leader_disk_behind);
    size_t holding = 0;
    auto holds = [&](NodeId id) {
        if (raw(id) >= members_.size()) return false;
        const Member& member = members_[raw(id)];
        bool said = member.ok_index >= index && member.chains.size() > index &&
                    member.chains[index] == members_[number].chains[index];
        bool yes = id == NodeId{number} ? own : said;
        holding += yes;
        return yes;
    };
    if (!majority_at(number, holds))
        violated(number, "committed entry " + std::to_string(index) + ", which only " +
                             std::to_string(holding) + " voters acknowledged");
}

uint64_t Truth::committed_time_ms() const { return version(committed(), committed_.back())->timestamp_ms; }

uint32_t Truth::leader() const {
    uint32_t found = 0;
    for (uint32_t i = 1; i < members_.size(); ++i)
        if (members_[i].alive && members_[i].role == Role::leader &&
            (found == 0 || members_[i].term > members_[found].term))
            found = i;
    return found;
}

void Truth::said_term(uint32_t number, Term term) {
    Member& member = members_[number];
    if (member.said_at != kernel_.now()) {
        member.said_at = kernel_.now();
        member.said_before = member.said;
    }
    if (term < member.said_before)
        violated(number, "speaks in term " + std::to_string(raw(term)) + " after it spoke in term " +
                             std::to_string(raw(member.said_before)));
    member.said = std::max(member.said, term);
}

void Truth::said_vote(uint32_t number, Term term, NodeId to) {
    auto [place, first] = members_[number].votes.try_emplace(term, to);
    if (!first && place->second != to)
        violated(number, "votes for " + std::to_string(raw(to)) + " and " +
                             std::to_string(raw(place->second)) + " in term " + std::to_string(raw(term)));
}

void Truth::check_not_stale(uint32_t number) const {
    if (members_[number].stale)
        violated(number, "promises something while it runs on an old image of its disk");
}

void Truth::count_lost_terms() {
    std::map<Term, uint32_t> asked;  // members that asked for votes
    for (uint32_t i = 1; i < members_.size(); ++i)
        for (auto [term, to] : members_[i].votes)
            if (to == NodeId{i} && !leaders_.contains(term)) ++asked[term];
    for (auto [term, candidates] : asked) {
        reached_.hit(Reach::term_lost);
        if (candidates > 1) reached_.hit(Reach::vote_split);
    }
}

bool Truth::leader_is_idle() const {
    uint32_t number = leader();
    return number != 0 && raw(members_[number].commit) + 1 == members_[number].chains.size();
}

}  // namespace raftd::sim
