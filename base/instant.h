// Monotonic time in nanoseconds. Wall time appears only in EntryHeader::timestamp_ms and in logs.
#pragma once

#include <compare>
#include <cstdint>

namespace raftd {

struct Duration {
    int64_t ns = 0;
    auto operator<=>(const Duration&) const = default;
};

/// A point of the process's monotonic clock. `kNever` is later than every other.
struct Instant {
    int64_t ns = 0;
    auto operator<=>(const Instant&) const = default;
};

inline constexpr Instant kNever{INT64_MAX};

constexpr Duration microseconds(int64_t n) { return {n * 1'000}; }
constexpr Duration milliseconds(int64_t n) { return {n * 1'000'000}; }
constexpr Duration seconds(int64_t n) { return {n * 1'000'000'000}; }
constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
constexpr Duration operator*(Duration a, int64_t n) { return {a.ns * n}; }
constexpr Duration operator/(Duration a, int64_t n) { return {a.ns / n}; }
constexpr Instant operator+(Instant a, Duration d) { return {a.ns + d.ns}; }
constexpr Instant operator-(Instant a, Duration d) { return {a.ns - d.ns}; }
constexpr Duration operator-(Instant a, Instant b) { return {a.ns - b.ns}; }

}  // namespace raftd
