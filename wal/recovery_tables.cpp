// The rules of the two tables of recovery.h, one line each, and how they are looked up. Pure.
#include <initializer_list>

#include "base/check.h"
#include "wal/recovery.h"

namespace raftd::wal {
namespace {

/// A set of values of one condition.
template <class E>
struct Set {
    uint32_t bits = 0;
    constexpr bool has(E value) const { return (bits >> static_cast<int>(value) & 1) != 0; }
};
template <class E>
constexpr Set<E> any_of(std::initializer_list<E> values) {
    Set<E> set;
    for (E value : values) set.bits |= 1u << static_cast<int>(value);
    return set;
}
template <class E>
constexpr Set<E> any() {
    return {~0u};
}

struct FileRule {
    Set<SealState> seal;
    Set<NextState> next;
    Set<Behind> behind;
    FileOutcome outcome;
};
using S = SealState;
using N = NextState;
using F = FileOutcome;

/// A roll is: header of the new file, synced; seal of the old, synced; groups. So a successor whose header is
/// not good is a torn creation only while the seal is zero and no group lies behind the header.
constexpr FileRule kFileRules[] = {
    {any<S>(), any_of({N::too_new}), any<Behind>(), F::too_new},
    {any<S>(), any_of({N::foreign}), any<Behind>(), F::foreign},

    {any_of({S::no_segment}), any_of({N::absent, N::zero, N::bad}), any<Behind>(), F::damaged},
    {any_of({S::no_segment}), any_of({N::fits, N::stranger}), any<Behind>(),
     F::accept},  // older ones were dropped

    {any_of({S::zero}), any_of({N::absent}), any<Behind>(), F::go_on},
    {any_of({S::zero, S::torn}), any_of({N::fits}), any<Behind>(), F::finish_roll},
    {any_of({S::zero, S::names_other}), any_of({N::zero}), any_of({Behind::zeros}), F::spare},
    {any_of({S::zero}), any_of({N::zero}), any_of({Behind::stale}), F::remove},
    {any_of({S::zero}), any_of({N::bad}), any_of({Behind::zeros, Behind::stale}), F::remove},
    {any_of({S::zero}), any_of({N::zero, N::bad}), any_of({Behind::groups}), F::damaged},
    {any_of({S::zero}), any_of({N::stranger}), any<Behind>(), F::damaged},

    {any_of({S::torn}), any_of({N::absent, N::zero, N::bad, N::stranger}), any<Behind>(), F::damaged},

    {any_of({S::names_next}), any_of({N::fits}), any<Behind>(), F::accept},
    {any_of({S::names_next}), any_of({N::absent, N::zero, N::bad, N::stranger}), any<Behind>(), F::damaged},

    {any_of({S::names_other}), any_of({N::zero}), any_of({Behind::stale, Behind::groups}), F::damaged},
    {any_of({S::names_other}), any_of({N::absent, N::bad, N::fits, N::stranger}), any<Behind>(), F::damaged},
};

struct GroupRule {
    Set<Place> place;
    Set<Later> later;
    Set<KnownEnd> end;
    GroupOutcome outcome;
};
using P = Place;
using L = Later;
using K = KnownEnd;
using G = GroupOutcome;

/// One group is in flight at a time, so only the last one can be torn, and every later group witnesses it.
constexpr GroupRule kGroupRules[] = {
    {any_of({P::good}), any<L>(), any_of({K::none, K::further}), G::take},
    {any_of({P::good}), any<L>(), any_of({K::here}), G::damaged},
    {any_of({P::zero, P::bad_header, P::bad_entries, P::misplaced}), any<L>(), any_of({K::here}), G::end},

    {any_of({P::misplaced}), any<L>(), any_of({K::none, K::further}), G::damaged},
    {any_of({P::zero}), any_of({L::none}), any_of({K::none}), G::end},
    {any_of({P::bad_header, P::bad_entries}), any_of({L::none}), any_of({K::none}), G::torn},
    {any_of({P::zero, P::bad_header, P::bad_entries}), any_of({L::none}), any_of({K::further}), G::damaged},
    {any_of({P::zero, P::bad_header}), any_of({L::follows}), any_of({K::none, K::further}), G::skip},
    {any_of({P::bad_entries}), any_of({L::follows}), any_of({K::none, K::further}), G::damaged},
    {any_of({P::zero, P::bad_header, P::bad_entries}), any_of({L::witness}), any_of({K::none, K::further}),
     G::damaged},
};

}  // namespace

FileOutcome decide_file(SealState seal, NextState next, Behind behind) {
    for (const FileRule& rule : kFileRules)
        if (rule.seal.has(seal) && rule.next.has(next) && rule.behind.has(behind)) return rule.outcome;
    UNREACHABLE();
}

GroupOutcome decide_group(Place place, Later later, KnownEnd known_end) {
    for (const GroupRule& rule : kGroupRules)
        if (rule.place.has(place) && rule.later.has(later) && rule.end.has(known_end)) return rule.outcome;
    UNREACHABLE();
}

int file_rules_matching(SealState seal, NextState next, Behind behind) {
    int count = 0;
    for (const FileRule& rule : kFileRules)
        if (rule.seal.has(seal) && rule.next.has(next) && rule.behind.has(behind)) ++count;
    return count;
}

int group_rules_matching(Place place, Later later, KnownEnd known_end) {
    int count = 0;
    for (const GroupRule& rule : kGroupRules)
        if (rule.place.has(place) && rule.later.has(later) && rule.end.has(known_end)) ++count;
    return count;
}

}  // namespace raftd::wal
