#include "sim/progress.h"

#include <algorithm>
#include <bit>

namespace raftd::sim {

Progress::Progress(Kernel& kernel, const SimNetwork& network, Cluster& cluster,
                   const std::vector<std::unique_ptr<SimClient>>& clients, Reached& reached, double spread)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      network_(network),
      cluster_(cluster),
      clients_(clients),
      reached_(reached),
      long_enough_{
          static_cast<int64_t>(static_cast<double>((cluster.election_timeout() * 10).ns) / (1 - spread))} {}

void Progress::begin(bool members) {
    members_judged_ = members;
    checked_ = kernel_.now();
    kernel_.schedule_in(cluster_.election_timeout() / 4, actor_, 0, 0);
}

void Progress::fire(uint32_t, uint64_t) {
    if (members_judged_) look();
    for (const auto& client : clients_) client->check_deadline(kernel_.now());
    kernel_.schedule_in(cluster_.election_timeout() / 4, actor_, 0, 0);
}

bool Progress::whole(uint32_t member) const {
    const DiskModel& disk = cluster_.disk(member);
    const SimStorage& storage = cluster_.storage(member);
    return cluster_.up(member) && !cluster_.paused(member) && !cluster_.stopping(member) &&
           !cluster_.hit(member) && disk.sync == DiskModel{}.sync && disk.tail == DiskModel{}.tail &&
           disk.hung_until <= kernel_.now() && !storage.limited();
}

void Progress::look() {
    const Instant now = kernel_.now();
    bool all = true;
    auto note = [&](Since& since, bool good) {
        all &= good;
        if (!good)
            since = kNever;
        else if (since == kNever)
            since = now;
    };
    const std::vector<uint32_t> machines = cluster_.machines();
    for (uint32_t i : machines) {
        Member& member = members_[i];
        if (member.life != cluster_.life(i)) member.whole = kNever;
        member.life = cluster_.life(i);
        note(member.whole, whole(i));
    }
    auto look_at = [&](uint32_t a, uint32_t b, bool up) {
        note(links_.try_emplace({a, b}, kNever).first->second,
             up && !network_.is_cut(a, b) && !network_.is_cut(b, a));
    };
    for (size_t i = 0; i < machines.size(); ++i) {
        for (size_t j = i + 1; j < machines.size(); ++j) look_at(machines[i], machines[j], true);
        for (const auto& client : clients_) look_at(machines[i], 100 + client->number(), client->running());
    }
    if (now - checked_ < long_enough_) return;
    const Instant before = now - long_enough_;
    const Truth& truth = cluster_.truth();
    if (truth.commit_moved_at() >= before && all) return;  // the usual case costs nothing more
    configs_ = cluster_.configs_in_play();
    if (!majority_stands(before)) return;
    checked_ = now;
    if (!all) reached_.hit(Reach::majority_whole);
    if (truth.commit_moved_at() < before && !truth.leader_is_idle())
        throw Violation(Ending::liveness,
                        "nothing was committed for 10 election timeouts, though a majority "
                        "stood whole and connected");
}

bool Progress::connected(uint32_t a, uint32_t b, Instant before) const {
    auto link = links_.find({std::min(a, b), std::max(a, b)});
    return link != links_.end() && link->second <= before;
}

bool Progress::majority_stands(Instant before) const {
    Set candidates = 0;
    for (const auto& [number, member] : members_)
        if (member.whole <= before && cluster_.reachable(number)) candidates |= Set{1} << (number - 1);
    return grow(0, candidates, before);
}

/// Whether some of the candidates can join those that stand together, so that all together decide.
bool Progress::grow(Set standing, Set candidates, Instant before) const {
    if (standing != 0 && decides(standing)) return client_reaches(standing, before);
    while (candidates != 0) {
        const auto number = static_cast<uint32_t>(std::countr_zero(candidates)) + 1;
        candidates &= candidates - 1;
        bool fits = true;
        for (Set rest = standing; rest != 0 && fits; rest &= rest - 1)
            fits = connected(static_cast<uint32_t>(std::countr_zero(rest)) + 1, number, before);
        if (fits && grow(standing | Set{1} << (number - 1), candidates, before)) return true;
    }
    return false;
}

bool Progress::decides(Set standing) const {
    auto stands = [&](NodeId id) { return raw(id) <= 64 && (standing >> (raw(id) - 1) & 1) != 0; };
    return std::all_of(configs_.begin(), configs_.end(), [&](const Membership* membership) {
        return ConfigTruth::majority(*membership, stands);
    });
}

bool Progress::client_reaches(Set standing, Instant before) const {
    return std::any_of(clients_.begin(), clients_.end(), [&](const auto& client) {
        bool reaches = true;
        for (Set rest = standing; rest != 0 && reaches; rest &= rest - 1)
            reaches =
                connected(static_cast<uint32_t>(std::countr_zero(rest)) + 1, 100 + client->number(), before);
        return reaches;
    });
}

}  // namespace raftd::sim
