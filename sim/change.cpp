#include "sim/change.h"

#include <algorithm>
#include <charconv>

namespace raftd::sim {
namespace {

constexpr std::string_view kNames[] = {"add_learner",
                                       "add_voter",
                                       "promote",
                                       "demote",
                                       "remove",
                                       "remove_leader",
                                       "replace",
                                       "replace_all",
                                       "address",
                                       "priority",
                                       "shrink_to_dead",
                                       "healed",
                                       "dead_address",
                                       "wrong_address",
                                       "used_id",
                                       "transfer",
                                       "transfer_to_learner"};
static_assert(std::size(kNames) == kChangeKinds);

constexpr int kMembersMost = 11;
constexpr int kVotersMost = 7;

pb::MemberInfo* find(Wanted& wanted, uint64_t id) {
    for (pb::MemberInfo& member : wanted)
        if (member.id() == id) return &member;
    return nullptr;
}

int voters_of(const pb::MemberList& list) {
    return static_cast<int>(std::count_if(list.members().begin(), list.members().end(),
                                          [](const pb::MemberInfo& member) { return member.voter(); }));
}

/// One of the members that fit; nothing when none does.
template <class Fits>
const pb::MemberInfo* pick(const pb::MemberList& list, Random& random, Fits&& fits) {
    std::vector<const pb::MemberInfo*> fitting;
    for (const pb::MemberInfo& member : list.members())
        if (fits(member)) fitting.push_back(&member);
    return fitting.empty() ? nullptr : fitting[random.below(fitting.size())];
}

/// The member of this id, changed so; nothing once it is gone.
MakeWanted altered(uint64_t id, std::function<void(pb::MemberInfo&)> alter) {
    return [id, alter = std::move(alter)](const pb::MemberList& list) -> std::optional<Wanted> {
        Wanted wanted = client::members_of(list);
        pb::MemberInfo* member = find(wanted, id);
        if (member == nullptr) return std::nullopt;
        alter(*member);
        return wanted;
    };
}

MakeWanted without(uint64_t id) {
    return [id](const pb::MemberList& list) -> std::optional<Wanted> {
        Wanted wanted = client::members_of(list);
        std::erase_if(wanted, [id](const pb::MemberInfo& member) { return member.id() == id; });
        bool votes = std::any_of(wanted.begin(), wanted.end(),
                                 [](const pb::MemberInfo& member) { return member.voter(); });
        return votes ? std::optional(wanted) : std::nullopt;
    };
}

MakeWanted with(Wanted more) {
    return [more = std::move(more)](const pb::MemberList& list) -> std::optional<Wanted> {
        Wanted wanted = client::members_of(list);
        for (const pb::MemberInfo& member : more)
            if (find(wanted, member.id()) == nullptr) wanted.push_back(member);
        return wanted;
    };
}

std::optional<ChangePlan> plan_join(ChangeKind kind, const pb::MemberList& list, ChangeWorld& world) {
    if (list.members_size() >= kMembersMost || voters_of(list) >= kVotersMost) return std::nullopt;
    auto info = world.fresh(list, 0, {});
    if (!info) return std::nullopt;
    info->set_promote(kind == ChangeKind::add_voter);
    return ChangePlan{kind, {{with({*info})}}};
}

/// As `member replace`: the new one as a learner, then in one change in the place of the old one.
std::optional<ChangePlan> plan_replace(const pb::MemberList& list, ChangeWorld& world) {
    const pb::MemberInfo* old = pick(list, world.random, [&](const pb::MemberInfo& member) {
        return std::count_if(list.members().begin(), list.members().end(),
                             [&](const pb::MemberInfo& other) { return other.name() == member.name(); }) == 1;
    });
    if (old == nullptr || list.members_size() >= kMembersMost) return std::nullopt;
    auto info = world.fresh(list, 0, old->name());
    if (!info || info->name() != old->name()) return std::nullopt;
    const uint64_t gone = old->id(), fresh = info->id();
    const bool voter = old->voter();
    auto in_its_place = [gone, fresh, voter](const pb::MemberList& now) -> std::optional<Wanted> {
        Wanted wanted = client::members_of(now);
        std::erase_if(wanted, [gone](const pb::MemberInfo& member) { return member.id() == gone; });
        pb::MemberInfo* member = find(wanted, fresh);
        if (member == nullptr) return std::nullopt;
        if (voter) member->set_voter(true);
        return wanted;
    };
    return ChangePlan{ChangeKind::replace, {{with({*info})}, {in_its_place, {fresh}}}};
}

std::optional<ChangePlan> plan_replace_all(const pb::MemberList& list, ChangeWorld& world) {
    const size_t count = 1 + world.random.below(3);
    if (static_cast<size_t>(list.members_size()) + count > kMembersMost + 2) return std::nullopt;
    Wanted fresh;
    std::vector<uint64_t> ids;
    for (size_t place = 0; place < count; ++place) {
        auto info = world.fresh(list, place, {});
        if (!info) return std::nullopt;
        ids.push_back(info->id());
        fresh.push_back(std::move(*info));
    }
    auto only_fresh = [ids](const pb::MemberList& now) -> std::optional<Wanted> {
        Wanted wanted;
        for (pb::MemberInfo member : now.members()) {
            if (std::find(ids.begin(), ids.end(), member.id()) == ids.end()) continue;
            member.set_voter(true);
            wanted.push_back(std::move(member));
        }
        return wanted.size() == ids.size() ? std::optional(wanted) : std::nullopt;
    };
    return ChangePlan{ChangeKind::replace_all, {{with(fresh)}, {only_fresh, ids}}};
}

std::optional<ChangePlan> plan_address(const pb::MemberList& list, ChangeWorld& world) {
    const pb::MemberInfo* member = pick(list, world.random, [](const auto&) { return true; });
    const std::string host = "n" + std::to_string(member->id());
    std::string peer = host + ":" + std::to_string(7001 + 1000 * world.random.below(4));
    if (peer == member->peer()) peer = host + ":6001";
    return ChangePlan{ChangeKind::address,
                      {{altered(member->id(), [peer](pb::MemberInfo& it) { it.set_peer(peer); })}},
                      0,
                      {static_cast<uint32_t>(member->id())}};
}

/// Only those that are down are to vote.
std::optional<ChangePlan> plan_shrink_to_dead(const pb::MemberList& list, ChangeWorld& world) {
    Wanted wanted;
    for (const pb::MemberInfo& member : list.members())
        if (member.voter() && world.down(member.id())) wanted.push_back(member);
    if (wanted.empty() || wanted.size() == static_cast<size_t>(list.members_size())) return std::nullopt;
    return ChangePlan{ChangeKind::shrink_to_dead, {{[wanted](const pb::MemberList&) { return wanted; }}}};
}

/// A member that can't be one: nobody answers, somebody else does, or its id was another's.
std::optional<ChangePlan> plan_stranger(ChangeKind kind, const pb::MemberList& list, ChangeWorld& world) {
    uint64_t id = list.next_id();
    std::string peer = "nowhere:7001";
    if (kind == ChangeKind::wrong_address) {
        const pb::MemberInfo* other = pick(list, world.random, [&](const pb::MemberInfo& member) {
            return member.voter() && !world.down(member.id());
        });
        if (other == nullptr) return std::nullopt;
        peer = other->peer();
    }
    if (kind == ChangeKind::used_id) {
        id = 1 + world.random.below(list.next_id());
        bool present = id >= list.next_id();
        for (const pb::MemberInfo& member : list.members()) present |= member.id() == id;
        for (uint64_t leaving : list.leaving()) present |= leaving == id;
        if (present) return std::nullopt;
    }
    auto wanted = [id, peer, kind](const pb::MemberList& now) -> std::optional<Wanted> {
        Wanted target = client::members_of(now);
        if (find(target, id) != nullptr) return std::nullopt;
        pb::MemberInfo stranger;
        stranger.set_id(kind == ChangeKind::used_id ? id : now.next_id());
        stranger.set_name("stranger");
        stranger.set_peer(peer);
        stranger.set_client("nowhere:7002");
        target.push_back(stranger);
        return target;
    };
    return ChangePlan{kind, {{wanted}}};
}

std::optional<ChangePlan> plan_transfer(ChangeKind kind, const pb::MemberList& list, ChangeWorld& world) {
    const pb::MemberInfo* to = pick(list, world.random, [&](const pb::MemberInfo& member) {
        return member.voter() == (kind == ChangeKind::transfer);
    });
    if (to == nullptr) return std::nullopt;
    return ChangePlan{kind, {}, to->id()};
}

/// One member with another role, or gone.
std::optional<ChangePlan> plan_one(ChangeKind kind, const pb::MemberList& list, ChangeWorld& world) {
    Random& random = world.random;
    const bool alone = voters_of(list) == 1;
    auto chosen = [&](auto&& fits) { return pick(list, random, fits); };
    const pb::MemberInfo* one = nullptr;
    switch (kind) {
        case ChangeKind::promote: {
            one = chosen([](const pb::MemberInfo& member) { return !member.voter(); });
            if (one == nullptr || voters_of(list) >= kVotersMost) return std::nullopt;
            const bool by_itself = random.chance(0.5);
            return ChangePlan{kind, {{altered(one->id(), [by_itself](pb::MemberInfo& member) {
                                  if (member.voter()) return;
                                  member.set_voter(!by_itself);
                                  member.set_promote(by_itself);
                              })}}};
        }
        case ChangeKind::demote:
            one = chosen([&](const pb::MemberInfo& member) { return member.voter() && !alone; });
            if (one == nullptr) return std::nullopt;
            return ChangePlan{kind, {{altered(one->id(), [](pb::MemberInfo& it) { it.set_voter(false); })}}};
        case ChangeKind::priority: {
            one = chosen([](const auto&) { return true; });
            const auto priority = static_cast<uint32_t>(random.below(4));
            return ChangePlan{
                kind, {{altered(one->id(), [priority](pb::MemberInfo& it) { it.set_priority(priority); })}}};
        }
        case ChangeKind::remove:
            one = chosen([&](const pb::MemberInfo& member) { return !member.voter() || !alone; });
            break;
        default:
            one =
                chosen([&](const pb::MemberInfo& member) { return member.id() == list.leader() && !alone; });
    }
    if (one == nullptr) return std::nullopt;
    return ChangePlan{kind, {{without(one->id())}}};
}

}  // namespace

std::string_view text_of(ChangeKind kind) { return kNames[static_cast<size_t>(kind)]; }

void ChangeTotals::add(const ChangeTotals& other) {
    for (size_t kind = 0; kind < kChangeKinds; ++kind)
        for (size_t end = 0; end < counts[kind].size(); ++end) counts[kind][end] += other.counts[kind][end];
}

uint64_t ChangeTotals::completed() const {
    uint64_t sum = 0;
    for (size_t kind = 0; kind < kChangeKinds; ++kind)
        if (changes_members(static_cast<ChangeKind>(kind))) sum += counts[kind][0];
    return sum;
}

std::string ChangeTotals::text() const {
    std::string line;
    for (size_t kind = 0; kind < kChangeKinds; ++kind) {
        line.append(line.empty() ? "" : " ").append(kNames[kind]);
        for (size_t end = 0; end < counts[kind].size(); ++end)
            line.append(end == 0 ? "=" : "/").append(std::to_string(counts[kind][end]));
    }
    return line;
}

void ChangeTotals::parse(std::string_view line) {
    for (size_t kind = 0; kind < kChangeKinds; ++kind) {
        const std::string key = " " + std::string(kNames[kind]) + "=";
        const std::string text = " " + std::string(line);
        size_t at = text.find(key);
        if (at == std::string::npos) continue;
        const char* from = text.data() + at + key.size();
        for (uint64_t& count : counts[kind]) {
            uint64_t value = 0;
            auto parsed = std::from_chars(from, text.data() + text.size(), value);
            count += value;
            from = parsed.ptr + 1;
            if (parsed.ptr == text.data() + text.size() || *parsed.ptr != '/') break;
        }
    }
}

std::optional<ChangePlan> plan_change(ChangeKind kind, const pb::MemberList& list, ChangeWorld& world) {
    switch (kind) {
        case ChangeKind::add_learner:
        case ChangeKind::add_voter: return plan_join(kind, list, world);
        case ChangeKind::replace: return plan_replace(list, world);
        case ChangeKind::replace_all: return plan_replace_all(list, world);
        case ChangeKind::address: return plan_address(list, world);
        case ChangeKind::shrink_to_dead: return plan_shrink_to_dead(list, world);
        case ChangeKind::dead_address:
        case ChangeKind::wrong_address:
        case ChangeKind::used_id: return plan_stranger(kind, list, world);
        case ChangeKind::transfer:
        case ChangeKind::transfer_to_learner: return plan_transfer(kind, list, world);
        default: return plan_one(kind, list, world);
    }
}

/// Keeps the cluster between one and seven voters, mostly three to five.
ChangeKind draw_kind(const pb::MemberList& list, Random& random) {
    const int voters = voters_of(list);
    auto weight = [&](ChangeKind kind) -> uint64_t {
        switch (kind) {
            case ChangeKind::add_learner: return 2;
            case ChangeKind::add_voter: return voters <= 2 ? 12 : voters <= 4 ? 5 : 1;
            case ChangeKind::promote: return 4;
            case ChangeKind::demote: return voters >= 4 ? 3 : 1;
            case ChangeKind::remove: return voters >= 5 ? 6 : 2;
            case ChangeKind::remove_leader: return voters >= 3 ? 3 : 1;
            case ChangeKind::replace: return 4;
            case ChangeKind::replace_all: return 3;
            case ChangeKind::transfer: return 3;
            case ChangeKind::shrink_to_dead: return 2;
            case ChangeKind::healed: return 0;
            default: return 1;
        }
    };
    uint64_t sum = 0;
    for (size_t kind = 0; kind < kChangeKinds; ++kind) sum += weight(static_cast<ChangeKind>(kind));
    uint64_t place = random.below(sum);
    size_t kind = 0;
    for (; place >= weight(static_cast<ChangeKind>(kind)); ++kind)
        place -= weight(static_cast<ChangeKind>(kind));
    return static_cast<ChangeKind>(kind);
}

}  // namespace raftd::sim
