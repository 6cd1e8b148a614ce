// What must hold of a cluster of cores, compared with a truth kept outside of them.
#include <algorithm>

#include "raft/quorum.h"
#include "raft/text.h"
#include "tests/support/raft_cluster.h"

namespace raftd::raft::test {

namespace {
std::string name(NodeId id) { return "n" + std::to_string(raw(id)); }
}  // namespace

// I15, I16: what a leader may put behind the configuration that it has.
void Cluster::check_change(const Member_& member, const ConfigAt& before, const Entry& change) const {
    if (before.index > committed())
        throw Violation(name(member.id) + " changes a configuration that isn't committed");
    const Term term = member.core->term();
    if (std::none_of(truth_.rbegin(), truth_.rend(),
                     [&](const Entry& entry) { return entry.id.term == term; }))
        throw Violation(name(member.id) + " changes members before an entry of its term is committed (B35)");
    const Membership& after = *change.membership;
    if (!well_formed(after) || !may_follow(before.members, after))
        throw Violation(name(member.id) + " puts " + text(after) + " behind " + text(before.members));
    for (const auto* half : {&after.now, &after.next})
        for (const Member& named : *half)
            if (!is_member(before.members, named.id) && ids_committed_.count(named.id) != 0)
                throw Violation(name(member.id) + " brings " + name(named.id) + " back (B79)");
}

size_t Cluster::uncommitted_configs(const Member_& member) const {
    return static_cast<size_t>(std::count_if(member.log.begin(), member.log.end(), [&](const Entry& entry) {
        return entry.membership && entry.id.index > committed();
    }));
}

// In force is the newest in the log, else the base's (B36, B37, B38).
void Cluster::check_config(const Member_& member) const {
    const ConfigAt held = member.core->view().membership;
    const Membership* newest = &member.base_config.members;
    for (const Entry& entry : member.log)
        if (entry.membership) newest = &*entry.membership;
    if (held.members != *newest)
        throw Violation(name(member.id) + " goes by " + text(held.members) + ", its log says " +
                        text(*newest));
    if (uncommitted_configs(member) > 1)
        throw Violation(name(member.id) + " holds two configurations that aren't committed");
}

void Cluster::check_leader(Member_& member) {
    if (member.core->role() != Role::leader) return;
    auto [first, fresh] = leaders_.emplace(member.core->term(), member.id);
    if (first->second != member.id)
        throw Violation("two leaders in term " + std::to_string(raw(member.core->term())));
    if (!fresh) return;
    for (size_t at = 0; at < truth_.size(); ++at) {  // leader completeness, of what earlier terms committed
        const Entry& entry = truth_[at];
        if (entry.id.index <= member.log_base.index || truth_terms_[at] >= member.core->term()) continue;
        if (entry.id.index > member.last() || member.at(entry.id.index).id != entry.id)
            throw Violation(name(member.id) + " leads without committed entry " +
                            std::to_string(raw(entry.id.index)));
    }
}

bool Cluster::durable_on(NodeId id, const Entry& entry) const {
    const Image& disk = members_.at(id)->disk;
    if (entry.id.index <= std::max(disk.base.index, disk.snapshot.index)) return true;
    const std::optional<Entry> held = disk.at(entry.id.index);
    return held && held->id == entry.id;
}

void Cluster::check_commit(Member_& member, Index commit) {
    if (commit < member.commit_seen) throw Violation(name(member.id) + " took a commit back");
    for (Index at = member.commit_seen + 1; at <= commit; ++at) {
        if (at <= member.log_base.index) continue;
        const Entry& entry = member.at(at);
        if (at > committed()) {
            if (at != committed() + 1) throw Violation(name(member.id) + " committed with a gap");
            truth_.push_back(entry);
            truth_terms_.push_back(member.core->term());
            if (entry.membership) {
                truth_members_ = {entry.id.index, *entry.membership};
                if (!entry.membership->joint()) ++changes_committed;
                for (const Member& named : entry.membership->now) ids_committed_.insert(named.id);
                for (const Member& named : entry.membership->next) ids_committed_.insert(named.id);
            }
        }
        const Entry& agreed = truth_.at(raw(at) - first_truth_ - 1);
        if (agreed.id != entry.id || agreed.value != entry.value)
            throw Violation(name(member.id) + " committed another entry at " + std::to_string(raw(at)));
    }
    if (commit > member.commit_seen && member.core->role() == Role::leader) {
        const Entry& newest = member.at(commit);
        if (newest.id.term != member.core->term())
            throw Violation(name(member.id) + " committed an older term by counting");
        const Membership members = member.core->view().membership.members;
        if (quorum_reaches(members, [&](NodeId id) -> uint64_t { return durable_on(id, newest) ? 1 : 0; }) !=
            1)
            throw Violation(name(member.id) + " committed without a durable majority");
    }
    member.commit_seen = commit;
}

void Cluster::check_log_matching() const {
    for (const auto& [id, member] : members_)
        for (const Entry& entry : member->log) {
            auto made = values_.find(entry.id);
            if (made == values_.end() || made->second != entry.value)
                throw Violation(name(id) + " holds an entry nobody made");
        }
    for (const auto& [a_id, a] : members_)
        for (const auto& [b_id, b] : members_) {
            bool equal = true;  // walking down: below an equal entry all are equal
            Index at = std::min(a->last(), b->last());
            bool met = false;
            for (; at > std::max(a->log_base.index, b->log_base.index); at = at - 1) {
                equal = a->at(at).id == b->at(at).id;
                if (met && !equal)
                    throw Violation("logs of " + name(a_id) + " and " + name(b_id) + " don't match");
                met = met || equal;
            }
        }
}

}  // namespace raftd::raft::test
