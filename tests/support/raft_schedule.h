// A random run over a cluster of cores: messages lost, doubled, reordered; crashes that lose what wasn't
// synced; cut links; transfers; compaction. The cluster's own checks look at every step; at the end all heals
// and the members must agree. Throws Violation. The same seed gives the same run.
#pragma once

#include "base/random.h"
#include "tests/support/raft_cluster.h"

namespace raftd::raft::test {

struct Knobs {
    size_t members = 3, learners = 0;
    double loss = 0.05, twice = 0.1, reorder = 0.2, crash = 0.002, cut = 0.004, pre_vote_off = 0;
    bool snapshots = false;
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
    return knobs;
}

class Schedule {
public:
    explicit Schedule(uint64_t seed)
        : random_(seed), knobs_(draw(random_)), cluster_(members(), options(), seed) {
        for (NodeId id : cluster_.ids()) {
            cluster_.member(id).options.pre_vote = !random_.chance(knobs_.pre_vote_off);
            cluster_.start(id);
        }
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
            out.push_back({NodeId{id}, id > knobs_.members, false, 0});
        return out;
    }
    static Options options() {
        Options options;
        options.batch_bytes_max = 1000;
        options.in_flight_bytes_max = 4000;
        return options;
    }
    NodeId any() {
        const auto ids = cluster_.ids();
        return ids[random_.below(ids.size())];
    }
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
        if (dice < 0.96) return read();
        disturb();
    }
    void deliver() {
        std::vector<std::pair<NodeId, NodeId>> busy;
        for (NodeId from : cluster_.ids())
            for (NodeId to : cluster_.ids())
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
        for (NodeId id : cluster_.ids())
            if (!cluster_.member(id).core) cluster_.start(id);
        cluster_.settle(seconds(10));
        const auto leader = cluster_.leader();
        must(leader.has_value(), "no leader 10 T after all healed");
        must(cluster_.propose(*leader, 3, 200), "the leader takes nothing");
        cluster_.turn(*leader);
        cluster_.settle(seconds(2));
        cluster_.check_log_matching();
        const Member_& first = cluster_.member(*leader);
        must(first.core->role() == Role::leader, "a healthy leader was deposed");
        for (NodeId id : cluster_.ids()) {
            const Member_& member = cluster_.member(id);
            must(member.core->last() == first.core->last(), "a log stays behind");
            must(member.core->commit() == first.core->last(), "a commit index stays behind (B31)");
            must(member.reads_begun.empty(), "a read hangs (B86)");
            must(!member.diverged, "a member believes the cluster contradicts it");
        }
        const Term term = first.core->term();
        cluster_.settle(seconds(20));
        must(first.core->term() == term, "an election though nothing failed");
    }
    static void must(bool holds, const char* otherwise) {
        if (!holds) throw Violation(otherwise);
    }

    Random random_;
    Knobs knobs_;
    Cluster cluster_;
    uint64_t reads_ = 0;
};

}  // namespace raftd::raft::test
