// Changes of the members as an operator asks for them: kinds, how a wanted list is made from the present one,
// and a ledger of what became of them.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "client/member_list.h"

namespace raftd::sim {

enum class ChangeKind : uint8_t {
    add_learner,
    add_voter,  // a learner that is to be promoted by itself
    promote,
    demote,
    remove,
    remove_leader,
    replace,      // the same name, another id
    replace_all,  // no voter stays
    address,
    priority,
    shrink_to_dead,  // to voters that can't be reached: refused, or they are back
    healed,          // the one that must succeed after healing; never drawn
    // Refused, whatever happens.
    dead_address,
    wrong_address,
    used_id,
    // No change, but asked for in the same way.
    transfer,
    transfer_to_learner,
    count_
};
inline constexpr size_t kChangeKinds = static_cast<size_t>(ChangeKind::count_);
std::string_view text_of(ChangeKind kind);
/// Changes the members when it is completed.
constexpr bool changes_members(ChangeKind kind) { return kind < ChangeKind::dead_address; }
constexpr bool must_be_refused(ChangeKind kind) {
    return kind >= ChangeKind::dead_address && kind < ChangeKind::transfer;
}

/// What became of those that were asked for; adds up over runs.
struct ChangeTotals {
    enum class End : uint8_t { completed, refused, abandoned, count_ };
    std::array<std::array<uint64_t, static_cast<size_t>(End::count_)>, kChangeKinds> counts{};

    void note(ChangeKind kind, End end) { ++counts[static_cast<size_t>(kind)][static_cast<size_t>(end)]; }
    void add(const ChangeTotals& other);
    /// Changes of the members that were completed.
    uint64_t completed() const;
    /// `kind=completed/refused/abandoned` of each, on one line.
    std::string text() const;
    /// Adds such a line.
    void parse(std::string_view line);
};

using client::Wanted;
/// From the list as it is; nothing when it makes no sense any more.
using MakeWanted = std::function<std::optional<Wanted>(const pb::MemberList&)>;

struct ChangeStage {
    MakeWanted wanted;
    std::vector<uint64_t> caught_up{};  // who must be, before
};
struct ChangePlan {
    ChangeKind kind;
    std::vector<ChangeStage> stages{};
    uint64_t transfer_to = 0;
    std::vector<uint32_t> moved{};  // restarted at their new addresses at the end
};

/// What planning may ask of the world.
struct ChangeWorld {
    Random& random;
    /// The `place`-th new member, from 0: made and started, or there from an earlier try. Nothing: no more.
    std::function<std::optional<pb::MemberInfo>(const pb::MemberList&, size_t place, const std::string& name)>
        fresh;
    std::function<bool(uint64_t id)> down;
};
/// Nothing when this kind isn't possible now.
std::optional<ChangePlan> plan_change(ChangeKind kind, const pb::MemberList& list, ChangeWorld& world);
ChangeKind draw_kind(const pb::MemberList& list, Random& random);

}  // namespace raftd::sim
