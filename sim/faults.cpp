#include "sim/faults.h"

#include <algorithm>
#include <cerrno>

namespace raftd::sim {

Faults::Faults(Kernel& kernel, SimNetwork& network, Cluster& cluster,
               std::vector<std::unique_ptr<SimClient>>& clients, Trace& trace, Reached& reached,
               const Knobs& knobs)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      network_(network),
      cluster_(cluster),
      clients_(clients),
      trace_(trace),
      reached_(reached),
      knobs_(knobs),
      random_(kernel.random.next()),
      damage_(cluster, reached, random_.next()) {}

void Faults::begin() {
    if (knobs_.time)
        for (uint32_t i = 1; i <= cluster_.count(); ++i) {
            double place = static_cast<double>(random_.below(2001)) / 1000 - 1;
            cluster_.clock(i).set_rate(kernel_.now(), 1 + place * knobs_.rate_spread);
        }
    if (knobs_.topology) next(topology, knobs_.topology_every);
    if (knobs_.process) next(process, knobs_.process_every);
    if (knobs_.disk) next(disk, knobs_.disk_every);
    if (knobs_.time) next(time, knobs_.time_every);
    if (knobs_.clients_move) next(client_move, knobs_.clients_every);
    if (knobs_.damage) next(damage, knobs_.damage_every);
    next(audit, knobs_.audit_every);
}

void Faults::next(Kind kind, Duration mean) {
    kernel_.schedule_in(Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(mean.ns) * 2) + 1)},
                        actor_, kind, 0);
}

void Faults::note(std::string_view what, uint32_t member) {
    ++totals_[std::string(what)];
    if (trace_.on)
        trace_.line(kernel_.now(), "!",
                    std::string(what) + (member == 0 ? "" : " n" + std::to_string(member)));
}

uint32_t Faults::any_member() {
    const std::vector<uint32_t> machines = cluster_.machines();
    return machines[random_.below(machines.size())];
}

/// From half an election timeout to twenty, short ones more often.
Duration Faults::some_time() {
    Duration shortest = cluster_.election_timeout() / 2;
    return shortest * (int64_t{1} << random_.below(6)) +
           Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(shortest.ns)))};
}

void Faults::fire(uint32_t kind, uint64_t data) {
    auto member = static_cast<uint32_t>(data);
    if (kind == client_back) {
        if (!clients_[data]->running()) clients_[data]->start();
        clients_[data]->pause(false);
        return;
    }
    if (over_) return;
    switch (kind) {
        case topology: change_topology(), next(topology, knobs_.topology_every); break;
        case process: hit_process(), next(process, knobs_.process_every); break;
        case disk: hit_disk(), next(disk, knobs_.disk_every); break;
        case time: hit_time(), next(time, knobs_.time_every); break;
        case client_move: hit_client(), next(client_move, knobs_.clients_every); break;
        case audit: cluster_.audit_perhaps(any_member(), 1), next(audit, knobs_.audit_every); break;
        case damage: damage_disk(), next(damage, knobs_.damage_every); break;
        case go_on: cluster_.pause(member, false); break;
        case relieve: relieve_disk(member); break;
        default: UNREACHABLE();
    }
}

void Faults::split(const std::set<uint32_t>& side) {
    for (uint32_t a = 1; a <= cluster_.count(); ++a)
        for (uint32_t b = 1; b <= cluster_.count(); ++b)
            if (side.contains(a) != side.contains(b)) network_.cut(a, b, true);
}

void Faults::change_topology() {
    if (network_.cut_count() > 0 && random_.chance(0.6)) {
        note("heal_links", 0);
        network_.heal_all();
        return;
    }
    uint32_t one = any_member(), two = any_member();
    switch (random_.below(8)) {
        case 0: note("isolate", one), split({one}); break;
        case 1: {
            std::set<uint32_t> side;
            for (uint32_t i = 1; i <= cluster_.count(); ++i)
                if (random_.chance(0.5)) side.insert(i);
            note("halves", 0), split(side);
            break;
        }
        case 2:
            if (one != two) note("cut_one_way", one), network_.cut(one, two, true);
            break;
        case 3:  // hears all, is heard by nobody, or the other way round
            note(two > one ? "mute" : "deaf", one);
            for (uint32_t i = 1; i <= cluster_.count(); ++i)
                if (i != one) network_.cut(two > one ? one : i, two > one ? i : one, true);
            break;
        case 4:  // a bridge: all talk to `one` only
            note("bridge", one);
            for (uint32_t a = 1; a <= cluster_.count(); ++a)
                for (uint32_t b = 1; b <= cluster_.count(); ++b)
                    if (a != b && a != one && b != one && (a < one) != (b < one)) network_.cut(a, b, true);
            break;
        case 5: {
            auto client =
                100 + 1 + static_cast<uint32_t>(random_.below(std::max<size_t>(clients_.size(), 1)));
            note("cut_client", one);
            network_.cut(client, one, true);
            if (random_.chance(0.5)) network_.cut(one, client, true);
            break;
        }
        case 6: {  // and who was alone before is back: leadership may return to it
            const uint32_t leader = cluster_.truth().leader();
            if (leader == 0) break;
            note("isolate_leader", leader);
            network_.heal_all();
            split({leader});
            break;
        }
        default: note("reset", one), network_.reset_between(one, two);
    }
}

void Faults::bring_down(uint32_t member) {
    if (random_.chance(knobs_.power_share)) {
        note("power_cut", member);
        cluster_.cut_power(member, CrashPolicy::draw(random_));
    } else {
        note("kill", member);
        cluster_.kill(member);
    }
    if (random_.chance(0.25)) spoil_store(member);
    cluster_.start_in(member, random_.chance(0.3) ? milliseconds(5) : some_time());
}

void Faults::strike(uint32_t member) {
    if (cluster_.up(member)) bring_down(member);
}

/// What is kept of the replicated state is a cache: whatever becomes of it, the member has the state again.
void Faults::spoil_store(uint32_t member) {
    reached_.hit(Reach::store_spoiled);
    SimStoreDisk& store = cluster_.store(member);
    switch (random_.below(4)) {
        case 0: note("store_deleted", member), store.delete_all(); break;
        case 1: note("store_old", member), store.roll_back(1 + random_.below(8)); break;
        case 2: note("store_rot", member), store.damage(); break;
        default: {
            uint32_t other = any_member();
            if (other == member) break;
            note("store_foreign", member);
            store.copy_from(cluster_.store(other));
        }
    }
}

/// The power goes at one of the next calls of this member's disk.
void Faults::plant_bomb(uint32_t member) {
    SimStorage& storage = cluster_.storage(member);
    uint64_t at = storage.calls() + 1 + random_.below(random_.chance(0.5) ? 12 : 200);
    storage.fault = [at](uint64_t number, const DiskCall&) { return Verdict{0, number >= at}; };
}

void Faults::hit_process() {
    uint32_t member = any_member();
    switch (random_.below(8)) {
        case 0: {
            note("pause", member);
            cluster_.pause(member, true);
            kernel_.schedule_in(some_time(), actor_, go_on, member);
            break;
        }
        case 1:
            note("stop", member);
            cluster_.stop(member);
            break;
        case 2:
            note("power_bomb", member);
            plant_bomb(member);
            break;
        case 3:
            if (!random_.chance(0.3)) return bring_down(member);
            note("power_cut_all", 0);
            for (uint32_t i : cluster_.machines()) {
                if (cluster_.life(i) == 0) continue;
                cluster_.cut_power(i, CrashPolicy::draw(random_));
                cluster_.start_in(i, Duration{static_cast<int64_t>(random_.below(2'000'000'000))});
            }
            break;
        case 4: {  // a double crash: dies again while it recovers
            bring_down(member);
            plant_bomb(member);
            break;
        }
        default: bring_down(member);
    }
}

void Faults::hit_disk() {
    uint32_t member = any_member();
    DiskModel& model = cluster_.disk(member);
    SimStorage& storage = cluster_.storage(member);
    switch (random_.below(5)) {
        case 0:
            note("disk_slow", member);
            model.sync = milliseconds(static_cast<int64_t>(random_.between(1, 150)));
            break;
        case 1:
            note("disk_hung", member);
            reached_.hit(Reach::disk_hung);
            model.hung_until = kernel_.now() + some_time();
            return;
        case 2:
            note("disk_full", member);
            reached_.hit(Reach::disk_full);
            storage.set_room(random_.below(96u << 10));
            break;
        case 3:
            note("sync_fails", member);
            cluster_.expect_sync_failure(member);
            storage.fault = [done = false](uint64_t, const DiskCall& call) mutable {
                if (done || call.op != DiskOp::sync) return Verdict{};
                done = true;
                return Verdict{EIO};
            };
            break;
        default:
            note("disk_tail", member);
            model.tail = 0.3;
            model.tail_max = milliseconds(static_cast<int64_t>(random_.between(10, 800)));
    }
    kernel_.schedule_in(some_time(), actor_, relieve, member);
}

void Faults::relieve_disk(uint32_t member) {
    cluster_.storage(member).set_capacity(UINT64_MAX);
    Instant hung = cluster_.disk(member).hung_until;
    cluster_.disk(member) = good_disk_;
    cluster_.disk(member).hung_until = hung;
}

void Faults::hit_time() {
    uint32_t member = any_member();
    note("wall_jump", member);
    reached_.hit(Reach::wall_jumped);
    int64_t hour = 3'600'000, jump = random_.chance(0.1) ? 365 * 24 * hour : hour;
    cluster_.clock(member).set_wall(
        kernel_.now(), random_.chance(0.3)
                           ? 0
                           : static_cast<int64_t>(random_.below(static_cast<uint64_t>(2 * jump))) - jump);
}

void Faults::damage_disk() {
    uint32_t member = 0;
    std::string what = damage_.strike(member);
    if (!what.empty()) note(what, member);
}

void Faults::hit_client() {
    uint64_t place = random_.below(clients_.size());
    if (!clients_[place]->running()) return;
    if (random_.chance(0.4)) {  // comes back and goes on as if nothing had been
        note("client_pause", 0);
        clients_[place]->pause(true);
    } else {
        note("client_kill", 0);
        clients_[place]->kill();
    }
    kernel_.schedule_in(some_time(), actor_, client_back, place);
}

void Faults::make_whole(uint32_t member) {
    if (cluster_.lost(member)) return;
    cluster_.storage(member).fault = nullptr;
    cluster_.storage(member).set_capacity(UINT64_MAX);
    cluster_.disk(member) = good_disk_;
    cluster_.clock(member).set_rate(kernel_.now(), 1);
    cluster_.pause(member, false);
    if (cluster_.stopping(member)) cluster_.kill(member);
    if (!cluster_.reachable(member)) {  // its operator sees to that
        const ConfigTruth& configs = cluster_.truth().configs;
        const daemon::MemberInfos& infos = configs.at(configs.settled()).what.infos;
        if (auto me = infos.find(NodeId{member}); me != infos.end())
            cluster_.move_to(member, me->second.peer);
        cluster_.kill(member);
    }
    if (!cluster_.up(member)) cluster_.start(member);
}

void Faults::leave_broken(uint32_t member, const std::set<uint32_t>& core) {
    cluster_.storage(member).fault = nullptr;
    switch (random_.below(6)) {
        case 0: note("left_dead", member), cluster_.kill(member); break;
        case 1: note("left_isolated", member), split({member}); break;
        case 2:
            note("left_mute", member);
            for (uint32_t other : core) network_.cut(member, other, true);
            break;
        case 3:
            note("left_deaf", member);
            for (uint32_t other : core) network_.cut(other, member, true);
            break;
        case 4:
            note("left_hung", member);
            cluster_.disk(member).hung_until = kernel_.now() + seconds(1'000'000);
            break;
        default: note("left_paused", member), cluster_.pause(member, true);
    }
}

/// As it is once its learners have been promoted, but for those: a leader may do that as soon as they have
/// caught up, in any order.
static Membership promoted(Membership of, const std::set<uint32_t>& but = {}) {
    for (auto* half : {&of.now, &of.next})
        for (Member& member : *half)
            if (member.promote && !but.contains(static_cast<uint32_t>(raw(member.id))))
                member.learner = member.promote = false;
    return of;
}

/// A change that an operator asked for just before may need members that the core would lack.
constexpr Duration kUnderWay = milliseconds(100);

/// Members that can decide, whatever configuration comes into force among them: a majority of each half of
/// the committed one, and of those behind it that stand in the log of one of them.
std::set<uint32_t> Faults::draw_core() {
    const ConfigTruth& configs = cluster_.truth().configs;
    std::vector<uint32_t> order = cluster_.machines();
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    std::stable_partition(order.begin(), order.end(), [&](uint32_t i) { return !cluster_.hit(i); });
    std::set<uint32_t> core;
    auto has_majority = [&](const Membership& of) {
        return ConfigTruth::majority(
            of, [&](NodeId id) { return core.contains(static_cast<uint32_t>(raw(id))); });
    };
    // The worst that may come is that all are promoted but those of the core.
    auto need = [&](const Membership& of) {
        const Membership all = promoted(of);
        for (uint32_t i : order)
            if ((!has_majority(of) || !has_majority(promoted(of, core))) &&
                ConfigTruth::votes(all, NodeId{i}))
                core.insert(i);
    };
    const ConfigEntry& settled = configs.at(configs.settled());
    need(settled.what.membership);
    if (random_.chance(0.3))
        for (uint32_t i : order)
            if (settled.what.infos.contains(NodeId{i}) && !cluster_.hit(i) && random_.chance(0.5))
                core.insert(i);
    for (size_t before = 0; before != core.size();) {
        before = core.size();
        for (uint32_t i : std::set<uint32_t>(core))
            for (auto ref : configs.stack(i))
                if (configs.at(ref).index > settled.index) need(configs.at(ref).what.membership);
        if (core.size() > before) reached_.hit(Reach::core_extended);
    }
    return core;
}

std::set<uint32_t> Faults::heal_core() {
    over_ = true;
    kernel_.run_until(kernel_.now() + microseconds(10));  // who ended itself is cleaned up
    NetModel good;
    good.user_timeout = network_.model.user_timeout;
    network_.calm(good);
    kernel_.run_until(kernel_.now() + kUnderWay);
    std::set<uint32_t> core = draw_core();
    if (trace_.on) {
        std::string text = "healed core:";
        for (uint32_t i : core) text += " n" + std::to_string(i);
        trace_.line(kernel_.now(), "!", text);
    }
    for (uint32_t i : core) make_whole(i);
    for (auto& client : clients_) client->pause(false);
    for (uint32_t i : cluster_.machines())
        if (!core.contains(i)) leave_broken(i, core);
    if (core.size() < cluster_.machines().size()) reached_.hit(Reach::healed_with_minority_dead);
    return core;
}

void Faults::heal_all() {
    network_.heal_all();
    for (uint32_t i : cluster_.machines()) {
        cluster_.disk(i).hung_until = kernel_.now();
        if (cluster_.hit(i))
            cluster_.give_up(i);
        else
            make_whole(i);
    }
}

}  // namespace raftd::sim
