// Vocabulary types: each number of the system has a type of its own, so that a term can't be passed
// for an index. Plain values, usable on any thread. Read next: base/entry.h, base/membership.h.
#pragma once

#include <compare>
#include <cstdint>
#include <type_traits>

namespace raftd {

enum class Term : uint64_t {};     // reign of a leader; 0 = before the first election
enum class Index : uint64_t {};    // position in the Raft log; the first entry is 1, 0 = genesis
enum class Lsn : uint64_t {};      // dense number of a record; the first is 1, 0 = none
enum class NodeId : uint64_t {};   // a member; 0 = nobody
enum class WriteId : uint64_t {};  // rising number of a write to the log; 0 = nothing to wait for
enum class ReadId : uint64_t {};   // one linearizable read

template <class E>
concept Tagged = std::is_enum_v<E> && std::is_same_v<std::underlying_type_t<E>, uint64_t>;

template <Tagged E>
constexpr uint64_t raw(E value) {
    return static_cast<uint64_t>(value);
}
template <Tagged E>
constexpr E operator+(E value, uint64_t by) {
    return E{raw(value) + by};
}
template <Tagged E>
constexpr E operator-(E value, uint64_t by) {
    return E{raw(value) - by};
}
/// Distance from `b` up to `a`. Requires: b <= a.
template <Tagged E>
constexpr uint64_t operator-(E a, E b) {
    return raw(a) - raw(b);
}
template <Tagged E>
constexpr E& operator++(E& value) {
    return value = value + 1;
}

/// Position of an entry and the term of the leader that made it; together they name its content.
struct EntryId {
    Term term{};
    Index index{};
    auto operator<=>(const EntryId&) const = default;
};

/// True when a log that ends at `a` is at least as up to date as one that ends at `b` (thesis 3.6.1).
constexpr bool up_to_date(EntryId a, EntryId b) {
    return a.term != b.term ? a.term > b.term : a.index >= b.index;
}

/// What a member must never forget: the newest term it saw and its vote there.
struct HardState {
    Term term{};
    NodeId vote{};
    bool operator==(const HardState&) const = default;
};

/// Entries from `first` on have this term, up to the next run's first.
struct TermRun {
    Term term;
    Index first;
    bool operator==(const TermRun&) const = default;
};

/// 128 bits that name a cluster, or one data directory of a member (its incarnation).
struct Uuid {
    uint64_t high = 0, low = 0;
    auto operator<=>(const Uuid&) const = default;
};
using ClusterId = Uuid;
using Incarnation = Uuid;

}  // namespace raftd
