#include "sim/config_truth.h"

#include <algorithm>
#include <set>

namespace raftd::sim {
namespace {

std::string text_of(const std::vector<Member>& half) {
    std::string text;
    for (const Member& member : half)
        text += (text.empty() ? "" : " ") + std::to_string(raw(member.id)) + (member.learner ? "L" : "");
    return text;
}

std::string text_of(const Membership& membership) {
    return "{" + text_of(membership.now) +
           (membership.joint() ? " -> " + text_of(membership.next) : std::string()) + "}";
}

std::vector<NodeId> voters(const std::vector<Member>& half) {
    std::vector<NodeId> ids;
    for (const Member& member : half)
        if (!member.learner) ids.push_back(member.id);
    return ids;
}

const Member* find(const std::vector<Member>& half, NodeId id) {
    for (const Member& member : half)
        if (member.id == id) return &member;
    return nullptr;
}

/// No voter of the one belongs to the other.
bool disjoint(const Membership& a, const Membership& b) {
    return std::none_of(a.now.begin(), a.now.end(), [&](const Member& member) {
        return !member.learner && find(b.now, member.id) != nullptr;
    });
}

}  // namespace

ConfigTruth::ConfigTruth(const daemon::Configuration& genesis, uint64_t chain, Reached& reached)
    : reached_(reached), settled_{0}, stacks_(1), before_(1) {
    ConfigEntry first{.index = raw(genesis.index), .chain = chain, .what = genesis};
    for (const Member& member : genesis.membership.now) first.ids_upto = std::max(first.ids_upto, member.id);
    all_.push_back(std::move(first));
    known_[{raw(genesis.index), chain}] = 0;
}

void ConfigTruth::add_member() {
    stacks_.push_back({0});
    before_.push_back(0);
}

const ConfigEntry& ConfigTruth::settled_at(uint64_t index) const {
    size_t at = settled_.size() - 1;
    while (at > 0 && all_[settled_[at]].index > index) --at;
    return all_[settled_[at]];
}

bool ConfigTruth::votes(const Membership& membership, NodeId id) {
    for (const auto* half : {&membership.now, &membership.next})
        if (const Member* member = find(*half, id); member != nullptr && !member->learner) return true;
    return false;
}

bool ConfigTruth::made_voter_behind(uint64_t index, NodeId id) const {
    return std::any_of(all_.begin(), all_.end(), [&](const ConfigEntry& entry) {
        return entry.index > index && votes(entry.what.membership, id);
    });
}

bool ConfigTruth::names(const Membership& membership, NodeId id) {
    return find(membership.now, id) != nullptr || find(membership.next, id) != nullptr;
}

bool ConfigTruth::majority(const Membership& membership, const std::function<bool(NodeId)>& yes) {
    for (const auto* half : {&membership.now, &membership.next}) {
        if (half == &membership.next && !membership.joint()) break;
        size_t all = 0, agreeing = 0;
        for (const Member& member : *half) {
            if (member.learner) continue;
            ++all;
            agreeing += yes(member.id);
        }
        if (agreeing * 2 <= all) return false;
    }
    return true;
}

size_t ConfigTruth::cut(uint32_t member, uint64_t keep) {
    std::vector<Ref>& stack = stacks_[member];
    const size_t held = stack.size();
    while (stack.size() > 1 && all_[stack.back()].index > keep) stack.pop_back();
    return held - stack.size();
}

void ConfigTruth::install(uint32_t member, uint64_t base) {
    std::vector<Ref>& stack = stacks_[member];
    stack.clear();
    for (Ref ref : settled_)
        if (all_[ref].index <= base) stack.push_back(ref);
}

std::optional<std::string> ConfigTruth::push(uint32_t member, uint64_t index, uint64_t chain,
                                             const Membership& membership, const daemon::MemberInfos* infos,
                                             const Maker& maker) {
    std::vector<Ref>& stack = stacks_[member];
    if (all_[stack.back()].index == index && all_[stack.back()].chain == chain) return std::nullopt;
    auto [place, fresh] = known_.try_emplace({index, chain}, static_cast<Ref>(all_.size()));
    if (!fresh) {
        stack.push_back(place->second);
        return std::nullopt;
    }
    const Ref before = stack.back();
    ConfigEntry made{.index = index,
                     .chain = chain,
                     .term = maker.term,
                     .maker = maker.member,
                     .what = {Index{index}, membership, {}},
                     .ids_upto = all_[before].ids_upto,
                     .before = before};
    if (infos == nullptr)
        return "made configuration " + std::to_string(index) + " and doesn't know its members";
    made.what.infos = *infos;
    for (const auto* half : {&membership.now, &membership.next})
        for (const Member& one : *half) made.ids_upto = std::max(made.ids_upto, one.id);
    if (auto fault = judge(all_[before], made, maker))
        return "made configuration " + text_of(membership) + " behind " +
               text_of(all_[before].what.membership) + ": " + *fault;
    note_intents(all_[before], made);
    all_.push_back(std::move(made));
    stack.push_back(place->second);
    if (on_made) on_made(all_[stack.back()]);
    return std::nullopt;
}

std::optional<std::string> ConfigTruth::judge(const ConfigEntry& before, const ConfigEntry& made,
                                              const Maker& maker) const {
    if (before.index > maker.commit) return "the one before isn't committed";
    if (!maker.own_term) return "nothing of its term is committed";
    if (auto fault = judge_step(before.what.membership, made.what.membership)) return fault;
    if (auto fault = judge_ids(before, made)) return fault;
    if (auto fault = judge_names(made)) return fault;
    for (NodeId id : voters(made.what.membership.next)) {
        if (votes(before.what.membership, id) || id == NodeId{maker.member}) continue;
        const uint64_t lag = maker.lag(id);
        if (lag > maker.lag_max)
            return "member " + std::to_string(raw(id)) + " is to vote and lacks " + std::to_string(lag) +
                   " entries";
    }
    return std::nullopt;
}

std::optional<std::string> ConfigTruth::judge_step(const Membership& before, const Membership& after) const {
    for (const auto* half : {&after.now, &after.next}) {
        if (half == &after.next && !after.joint()) break;
        if (voters(*half).empty()) return "nobody votes";
        for (size_t i = 1; i < half->size(); ++i)
            if ((*half)[i - 1].id >= (*half)[i].id) return "a member twice, or not in order";
    }
    if (before.joint()) {
        if (after.joint() || after.now != before.next) return "a joint one is followed by its new half alone";
        return std::nullopt;
    }
    if (after.joint()) {
        if (after.now != before.now) return "the old half isn't what was in force";
        return std::nullopt;
    }
    if (voters(before.now) != voters(after.now)) return "voters change without a joint step";
    return std::nullopt;
}

std::optional<std::string> ConfigTruth::judge_ids(const ConfigEntry& before, const ConfigEntry& made) const {
    for (const auto* half : {&made.what.membership.now, &made.what.membership.next})
        for (const Member& member : *half) {
            const std::string who = "member " + std::to_string(raw(member.id));
            auto info = made.what.infos.find(member.id);
            if (info == made.what.infos.end()) return who + " has no name nor address";
            auto known = before.what.infos.find(member.id);
            if (known != before.what.infos.end()) {
                if (known->second.incarnation != info->second.incarnation)
                    return who + " has another incarnation";
            } else if (member.id <= before.ids_upto) {
                return who + " has an id that was used";
            }
        }
    return std::nullopt;
}

/// No two voters of a half have the same name or address: nobody could say which of them is meant.
std::optional<std::string> ConfigTruth::judge_names(const ConfigEntry& made) const {
    for (const auto* half : {&made.what.membership.now, &made.what.membership.next}) {
        std::set<std::string> taken;
        for (NodeId id : voters(*half)) {
            const daemon::MemberInfo& info = made.what.infos.at(id);
            for (const std::string& text : {info.name, info.peer, info.client})
                if (!text.empty() && !taken.insert(text).second) return "two voters are " + text;
        }
    }
    return std::nullopt;
}

/// Who meant a learner to be promoted; it may be another one that does it.
void ConfigTruth::note_intents(const ConfigEntry& before, ConfigEntry& made) {
    const Membership& after = made.what.membership;
    for (const Member& member : after.joint() ? after.next : after.now) {
        auto meant = before.intended.find(member.id);
        if (member.promote)
            made.intended[member.id] = meant != before.intended.end() ? meant->second : made.maker;
        const Member* was = find(before.what.membership.now, member.id);
        bool promoted = after.joint() && !member.learner && was != nullptr && was->promote;
        if (promoted) reached_.hit(Reach::promoted_by_itself);
        if (promoted && meant != before.intended.end() && meant->second != made.maker)
            reached_.hit(Reach::promoted_by_another_leader);
    }
    if (before.what.membership.joint() && before.maker != made.maker)
        reached_.hit(Reach::joint_left_by_another_leader);
}

void ConfigTruth::committed(uint32_t member, uint64_t upto) {
    for (Ref ref : stacks_[member]) {
        const ConfigEntry& entry = all_[ref];
        if (entry.index <= all_[settled_.back()].index || entry.index > upto) continue;
        settled_.push_back(ref);
        note_settled(member, entry);
        if (on_settled) on_settled(entry);
    }
}

void ConfigTruth::note_settled(uint32_t member, const ConfigEntry& entry) {
    reached_.hit(Reach::config_committed);
    const Membership& now = entry.what.membership;
    if (now.joint()) {
        reached_.hit(Reach::joint_committed);
        return;
    }
    const ConfigEntry& before = all_[entry.before];
    if (!before.what.membership.joint()) return;
    const Membership was{before.what.membership.now, {}, false};
    if (disjoint(was, now)) reached_.hit(Reach::all_replaced);
    if (entry.maker == member && !votes(now, NodeId{member})) reached_.hit(Reach::leader_removed_itself);
}

}  // namespace raftd::sim
