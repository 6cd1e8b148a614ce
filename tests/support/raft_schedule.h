// A random run over a cluster of cores: messages lost, doubled, reordered; crashes that lose what wasn't
// synced; cut links; transfers; compaction; any set of members turned into any other, with new ones joining
// and removed ones going on to run. The cluster's own checks look at every step; at the end all heals and the
// members must agree. Throws Violation. The same seed gives the same run.
#pragma once

#include "base/random.h"
#include "raft/quorum.h"
#include "raft/text.h"
#include "tests/support/raft_cluster.h"

namespace raftd::raft::test {

struct Knobs {
    size_t members = 3, learners = 0;
    double loss = 0.05, twice = 0.1, reorder = 0.2, crash = 0.002, cut = 0.004, pre_vote_off = 0;
    bool snapshots = false, changes = false, priorities = false;
};

inline Knobs draw(Random& random) {
    Knobs knobs;
    knobs.members = random.chance(0.5) ? 3 : random.between(1, 5);
    knobs.learners = random.chance(0.2) ? 1 : 0;
    knobs.loss = random.chance(0.5) ? 0 : 0.2 * random.chance(0.5) + 0.02;
    knobs.twice = random.chance(0.5) ? 0 : 0.2;
    knobs.reorder = random.chance(0.5) ? 0 : 0.4;
    knobs.crash = random.chance(0.3) ? 0 : 0.004;
    knobs.cut = random.chance(0.4) ? 0 : 0.01;
    knobs.pre_vote_off = random.chance(0.2) ? 0.5 : 0;
    knobs.snapshots = random.chance(0.4);
    knobs.changes = random.chance(0.6);
    knobs.priorities = random.chance(0.2);
    return knobs;
}

class Schedule {
public:
    explicit Schedule(uint64_t seed)
        : random_(seed),
          knobs_(draw(random_)),
          cluster_(members(), options(), seed, knobs_.changes ? kSpares : 0) {
        const auto ids = cluster_.ids();
        for (size_t at = 0; at < ids.size(); ++at) {
            cluster_.member(ids[at]).options.pre_vote = !random_.chance(knobs_.pre_vote_off);
            if (at < knobs_.members + knobs_.learners) start(ids[at]);
        }
    }
    uint64_t changes() const { return cluster_.changes_committed; }
    /// How all members stand, one a line.
    std::string describe() {
        std::string out;
        for (NodeId id : cluster_.ids()) {
            const auto& core = cluster_.member(id).core;
            out += text(id) + " " + (core ? text(core->view()) : "down") + "\n";
        }
        return out;
    }

    void go(size_t steps) {
        for (size_t step = 0; step < steps; ++step) {
            act();
            if (step % 200 == 0) cluster_.check_log_matching();
        }
        heal();
    }

private:
    std::vector<Member> members() {
        std::vector<Member> out;
        for (uint64_t id = 1; id <= knobs_.members + knobs_.learners; ++id)
            out.push_back({NodeId{id}, id > knobs_.members, false, priority()});
        return out;
    }
    static Options options() {
        Options options;
        options.batch_bytes_max = 1000;
        options.in_flight_bytes_max = 4000;
        return options;
    }
    void start(NodeId id) {
        cluster_.start(id);
        started_.push_back(id);
    }
    /// Of those that were ever started.
    NodeId any() { return started_[random_.below(started_.size())]; }
    void act() {
        const double dice = static_cast<double>(random_.below(1000)) / 1000;
        if (dice < 0.60) return deliver();
        if (dice < 0.75) return void(cluster_.persist(any(), random_.between(1, 3)));
        if (dice < 0.85) {
            const uint64_t most = random_.chance(0.1) ? 400 : 10;
            return cluster_.advance(cluster_.now +
                                    milliseconds(static_cast<int64_t>(random_.between(1, most))));
        }
        if (dice < 0.93) return propose();
        if (dice < 0.95) return read();
        if (dice < 0.975) return change();
        disturb();
    }
    void deliver() {
        std::vector<std::pair<NodeId, NodeId>> busy;
        for (NodeId from : started_)
            for (NodeId to : started_)
                if (!cluster_.link(from, to).empty()) busy.emplace_back(from, to);
        if (busy.empty()) return;
        const auto [from, to] = busy[random_.below(busy.size())];
        auto& letters = cluster_.link(from, to);
        if (random_.chance(knobs_.loss)) return cluster_.drop(from, to, 0);
        const size_t position = random_.chance(knobs_.reorder) ? random_.below(letters.size()) : 0;
        cluster_.deliver(from, to, position, random_.chance(knobs_.twice));
    }
    void propose() {
        const auto leader = random_.chance(0.9) ? cluster_.leader() : any();
        if (!leader) return;
        cluster_.propose(*leader, random_.between(1, 5), static_cast<uint32_t>(random_.between(97, 1500)));
        if (random_.chance(0.7)) cluster_.turn(*leader);
    }
    void read() {
        const NodeId id = any();
        if (!cluster_.member(id).core) return;
        cluster_.read(id, ReadId{++reads_});
        cluster_.turn(id);
    }
    uint8_t priority() { return static_cast<uint8_t>(knobs_.priorities ? random_.below(3) : 0); }
    /// Each member may go, become a learner or a voter; new ones come as learners, most with the intent to be
    /// promoted. At times all voters go at once and the learners take their place.
    void change() {
        const auto leader = random_.chance(0.9) ? cluster_.leader() : any();
        if (!knobs_.changes || !leader || !cluster_.member(*leader).core) return;
        const Core& core = *cluster_.member(*leader).core;
        const bool replace_all = random_.chance(0.2);
        Membership target;
        for (Member member : core.view().membership.members.now) {
            const bool was_learner = member.learner;
            if (replace_all ? !was_learner : random_.chance(0.15)) continue;
            if (replace_all || random_.chance(0.2)) member.learner = !was_learner;
            member.promote = member.learner && random_.chance(0.3);
            if (random_.chance(0.1)) member.priority = priority();
            target.now.push_back(member);
        }
        for (uint64_t fresh = random_.chance(0.5) ? random_.between(1, 3) : 0; fresh > 0; --fresh) {
            const NodeId id =
                core.ids_used_upto() + 1 + (target.now.empty() ? 0 : newest_extra(core, target));
            if (raw(id) > cluster_.ids().size() || target.now.size() >= 7) break;
            target.now.push_back({id, true, random_.chance(0.8), priority()});
            if (random_.chance(0.9) && !was_started(id)) start(id);  // the rest: dead addresses, for now
        }
        if (!core.may_change(target))
            cluster_.step(*leader, {}, {cluster_.now, ev::ProposeMembership{target}});
        cluster_.turn(*leader);
    }
    static uint64_t newest_extra(const Core& core, const Membership& target) {
        return target.now.back().id > core.ids_used_upto() ? target.now.back().id - core.ids_used_upto() : 0;
    }
    bool was_started(NodeId id) const {
        return std::find(started_.begin(), started_.end(), id) != started_.end();
    }
    void disturb() {
        const NodeId id = any(), other = any();
        Member_& member = cluster_.member(id);
        if (!member.core) {
            if (random_.chance(0.5)) cluster_.start(id);
            return;
        }
        if (random_.chance(knobs_.crash * 25)) {
            cluster_.crash(id, random_.below(member.writes.size() + 1));
            return;
        }
        if (random_.chance(knobs_.cut * 25)) {
            cluster_.cut.insert({id, other});
            if (random_.chance(0.5)) cluster_.cut.insert({other, id});
        }
        if (random_.chance(0.3) && !cluster_.cut.empty()) cluster_.cut.erase(cluster_.cut.begin());
        if (random_.chance(0.1)) cluster_.step(id, {}, {cluster_.now, ev::Transfer{other}});
        if (random_.chance(0.1)) cluster_.step(id, {}, {cluster_.now, ev::Link{other, false}});
        if (random_.chance(0.2)) cluster_.step(id, {}, {cluster_.now, ev::Readers{random_.chance(0.5)}});
        if (random_.chance(0.1)) cluster_.step(id, {}, {cluster_.now, ev::Peer{other, random_.chance(0.7)}});
        if (knobs_.snapshots && random_.chance(0.2)) cluster_.compact(id);
        cluster_.turn(id);
    }
    void heal() {
        cluster_.cut.clear();
        for (NodeId id : cluster_.ids()) {
            if (!was_started(id)) start(id);
            if (!cluster_.member(id).core) cluster_.start(id);
            for (NodeId peer : cluster_.ids()) cluster_.step(id, {}, {cluster_.now, ev::Peer{peer, true}});
            cluster_.turn(id);
        }
        cluster_.settle(seconds(10));
        must(cluster_.leader().has_value(), "no leader 10 T after all healed");
        if (knobs_.priorities) cluster_.settle(seconds(15));
        const NodeId leader = cluster_.leader().value();
        must(cluster_.propose(leader, 3, 200), "the leader takes nothing");
        cluster_.turn(leader);
        cluster_.settle(seconds(2));
        cluster_.check_log_matching();
        check_agreement(cluster_.member(leader));
        const Term term = cluster_.member(leader).core->term();
        cluster_.settle(seconds(20));
        must(cluster_.member(leader).core->term() == term, "an election though nothing failed");
    }
    void check_agreement(const Member_& first) {
        must(first.core->role() == Role::leader, "a healthy leader was deposed");
        const View view = first.core->view();
        const Membership& members = view.membership.members;
        must(!members.joint(), "a joint configuration is never left (B42)");
        must(is_voter(members, first.id), "somebody leads who doesn't vote (B47)");
        for (const Member& member : members.now)
            must(!member.promote, "a learner that has all is never promoted");
        for (NodeId id : cluster_.ids()) {
            const Member_& member = cluster_.member(id);
            must(member.reads_begun.empty(), "a read hangs (B86)");
            must(!member.diverged, "a member believes the cluster contradicts it");
            if (!is_member(members, id)) continue;  // hears no more
            must(member.core->last() == first.core->last(), "a log stays behind");
            must(member.core->commit() == first.core->last(), "a commit index stays behind (B31)");
        }
    }
    static void must(bool holds, const char* otherwise) {
        if (!holds) throw Violation(otherwise);
    }

    static constexpr size_t kSpares = 10;
    Random random_;
    Knobs knobs_;
    Cluster cluster_;
    std::vector<NodeId> started_;
    uint64_t reads_ = 0;
};

}  // namespace raftd::raft::test
