#include "sim/progress.h"

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
          static_cast<int64_t>(static_cast<double>((cluster.election_timeout() * 10).ns) / (1 - spread))},
      members_(cluster.count() + 1),
      hosts_(cluster.count() + 1 + clients.size()),
      links_(hosts_ * hosts_, kNever) {}

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
    for (uint32_t i = 1; i < members_.size(); ++i) {
        Member& member = members_[i];
        if (member.life != cluster_.life(i)) member.whole = kNever;
        member.life = cluster_.life(i);
        note(member.whole, whole(i));
    }
    for (uint32_t a = 1; a < hosts_; ++a)
        for (uint32_t b = 1; b < a && b < members_.size(); ++b) {
            bool client = a >= members_.size();
            uint32_t host = client ? 100 + a - static_cast<uint32_t>(members_.size()) + 1 : a;
            bool good = !network_.is_cut(host, b) && !network_.is_cut(b, host);
            if (client) good = good && clients_[a - members_.size()]->running();
            note(link(a, b), good);
        }
    if (now - checked_ < long_enough_) return;
    const Instant before = now - long_enough_;
    const Truth& truth = cluster_.truth();
    if (truth.commit_moved_at() >= before && all) return;  // the usual case costs nothing more
    if (!majority_stands(before)) return;
    checked_ = now;
    if (!all) reached_.hit(Reach::majority_whole);
    if (truth.commit_moved_at() < before && !truth.leader_is_idle())
        throw Violation(Ending::liveness,
                        "nothing was committed for 10 election timeouts, though a majority "
                        "stood whole and connected");
}

bool Progress::majority_stands(Instant before) const {
    const auto count = static_cast<uint32_t>(members_.size() - 1);
    for (uint32_t set = 1; set < 1u << count; ++set)
        if (static_cast<uint32_t>(std::popcount(set)) == count / 2 + 1 && stand_together(set, before))
            return true;
    return false;
}

/// Bit i - 1 of `set`: member i.
bool Progress::stand_together(uint32_t set, Instant before) const {
    for (uint32_t a = 1; a < members_.size(); ++a) {
        if ((set >> (a - 1) & 1) == 0) continue;
        if (members_[a].whole > before) return false;
        for (uint32_t b = 1; b < a; ++b)
            if ((set >> (b - 1) & 1) != 0 && link(a, b) > before) return false;
    }
    for (size_t client = members_.size(); client < hosts_; ++client) {
        bool reaches = true;
        for (uint32_t b = 1; b < members_.size(); ++b)
            if ((set >> (b - 1) & 1) != 0) reaches &= link(client, b) <= before;
        if (reaches) return true;
    }
    return false;
}

}  // namespace raftd::sim
