#include "sim/churn.h"

#include <algorithm>

namespace raftd::sim {

Churn::Churn(Kernel& kernel, SimNetwork& network, Cluster& cluster,
             std::vector<std::unique_ptr<SimClient>>& clients, Faults& faults, Trace& trace, Reached& reached,
             const Knobs& knobs)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      cluster_(cluster),
      clients_(clients),
      faults_(faults),
      reached_(reached),
      knobs_(knobs),
      random_(kernel.random.next()) {
    for (uint32_t i = 0; i < knobs.operators; ++i)
        operators_.push_back(
            std::make_unique<Operator>(kernel, network, cluster, trace, reached, 90 + i + 100));
    cluster.truth().configs.on_settled = [this](const ConfigEntry& entry) { settled(entry); };
    cluster.truth().configs.on_made = [this](const ConfigEntry& entry) { made(entry); };
}

Churn::~Churn() {
    cluster_.truth().configs.on_settled = nullptr;
    cluster_.truth().configs.on_made = nullptr;
    kernel_.remove(actor_);
}

void Churn::begin() {
    over_ = false;
    for (uint64_t which = 0; which < operators_.size(); ++which) next(which);
}

void Churn::next(uint64_t which) {
    const auto wait =
        knobs_.change_every_min.ns +
        static_cast<int64_t>(random_.below(static_cast<uint64_t>(knobs_.change_every_min.ns) * 2));
    kernel_.schedule_in(Duration{wait}, actor_, change, which);
}

void Churn::end() {
    over_ = true;
    for (auto& one : operators_) one->drop();
}

ChangeTotals Churn::totals() const {
    ChangeTotals sum;
    for (const auto& one : operators_) sum.add(one->totals);
    return sum;
}

/// Clients hear of it too; machines that are of no use any more go after a while, so that they are in the way
/// for some time.
void Churn::settled(const ConfigEntry& entry) {
    if (entry.what.membership.joint()) return;
    std::vector<std::string> names, addresses;
    for (const auto& [id, info] : entry.what.infos) {
        names.push_back(info.name);
        addresses.push_back(info.client);
    }
    for (auto& client : clients_) client->set_members(names, addresses);
    for (uint32_t number : cluster_.machines()) {
        if (NodeId{number} > entry.ids_upto || entry.what.infos.contains(NodeId{number})) continue;
        if (!leaving_.insert(number).second) continue;
        const bool soon = random_.chance(0.2);
        kernel_.schedule_in(Duration{static_cast<int64_t>(random_.below(soon ? 50'000'000 : 20'000'000'000))},
                            actor_, retire, number);
    }
}

/// A step of a change was taken: this is when a crash tells most.
void Churn::made(const ConfigEntry& entry) {
    if (over_ || !random_.chance(knobs_.strike_chance)) return;
    const Duration wait{static_cast<int64_t>(random_.below(random_.chance(0.5) ? 3'000'000 : 100'000'000))};
    uint32_t whom = entry.maker;
    if (random_.chance(0.3)) {
        const std::vector<uint32_t> machines = cluster_.machines();
        whom = machines[random_.below(machines.size())];
    }
    kernel_.schedule_in(wait, actor_, strike, whom);
}

void Churn::fire(uint32_t kind, uint64_t data) {
    if (kind == retire) {
        if (!over_) cluster_.give_up(static_cast<uint32_t>(data));
        return;
    }
    if (over_) return;
    Operator& it = *operators_[kind == change || kind == restart_operator ? data : 0];
    switch (kind) {
        case strike: return faults_.strike(static_cast<uint32_t>(data));
        case restart_operator:
            if (it.busy()) it.restart();
            return;
        default: break;
    }
    if (!it.busy()) {
        it.begin({.patience = seconds(static_cast<int64_t>(random_.between(4, 25))),
                  .hasty = random_.chance(0.3)});
        if (random_.chance(0.1))
            kernel_.schedule_in(Duration{static_cast<int64_t>(random_.below(2'000'000'000))}, actor_,
                                restart_operator, data);
    }
    next(data);
}

void Churn::change_afresh(const std::set<uint32_t>& core) {
    Operator& it = *operators_[0];
    const uint64_t way = random_.below(3);
    const auto priority = static_cast<uint32_t>(random_.below(4));
    std::optional<pb::MemberInfo> fresh;
    auto wanted = [this, &it, core, way, priority,
                   fresh](const pb::MemberList& list) mutable -> std::optional<Wanted> {
        Wanted target;
        size_t voters = 0, whole = 0;
        for (const pb::MemberInfo& member : list.members()) {
            if (core.contains(static_cast<uint32_t>(member.id()))) whole += member.voter();
            voters += member.voter();
        }
        for (pb::MemberInfo member : list.members()) {
            const bool sound = core.contains(static_cast<uint32_t>(member.id())) ||
                               (fresh && member.id() == fresh->id());  // it may vote already
            const bool half_replaced =
                std::any_of(list.members().begin(), list.members().end(), [&](const pb::MemberInfo& other) {
                    return other.name() == member.name() && other.id() != member.id();
                });
            if (half_replaced && !member.voter()) continue;
            if (way != 0 && !sound && (!member.voter() || whole * 2 > voters - 1)) {
                voters -= member.voter();
                continue;
            }
            if (!sound) member.set_promote(false);  // it will never be caught up
            target.push_back(std::move(member));
        }
        // One that an earlier change made is as broken as any other that isn't in the core.
        if (way == 2 && !fresh && list.members_size() < 9 && cluster_.count() < list.next_id()) {
            fresh = it.fresh(list, 0, {});
            if (fresh) fresh->set_promote(true);
        }
        const bool joined = fresh && std::any_of(target.begin(), target.end(), [&](const auto& member) {
                                return member.id() == fresh->id();
                            });
        if (fresh && !joined) target.push_back(*fresh);
        if (!fresh) target.front().set_priority(priority);
        return target;
    };
    it.begin({.kind = ChangeKind::healed, .wanted = wanted, .patience = seconds(1000)});
}

void Churn::transfer_afresh(uint32_t to) {
    Operator& it = *operators_[0];
    it.begin({.kind = ChangeKind::transfer, .patience = seconds(1000), .transfer_to = to});
}

}  // namespace raftd::sim
