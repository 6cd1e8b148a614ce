// The log's time (H9). Producers expire and records age by the stamps of entries, so one wrong clock must not
// move them. While a majority of the voters (itself included; of both halves while joint) was heard recently
// and all that were heard agree within `clock_skew_max`, a leader stamps its own clock; otherwise the newest
// stamp plus the time that its monotonic clock has counted since. Stamps never fall, whatever the clocks do.
// A median would be no help: two of three clocks can be wrong together. Pure: time comes in as values. Loop
// thread only. Read next: daemon/replica.h, which takes no other stamps than these.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/instant.h"
#include "base/membership.h"

namespace raftd::daemon {

/// A stamp that LogClock has made, in milliseconds since 1970: nothing else may become an entry's time.
enum class LogTime : uint64_t {};
constexpr uint64_t raw(LogTime time) { return static_cast<uint64_t>(time); }

/// The clock that stands apart from the others.
struct ClockSkew {
    NodeId member{};
    int64_t difference_ms = 0;  // to the middle of the other clocks; positive: it is ahead
    bool operator==(const ClockSkew&) const = default;
};

class LogClock {
public:
    /// `heard_within`: how old a voter's answer may be to count as heard; also how long a disagreement must
    /// last to become an alarm, since an answer that was held up looks like a clock that is behind.
    LogClock(NodeId self, Duration skew_max, Duration heard_within);

    /// The configuration in force: learners' clocks don't count.
    void set_members(const Membership& members);
    /// An answer of `from` came at `now` and says what its clock showed. Counts in any role, so that a new
    /// leader knows from the votes already how its voters' clocks stand.
    void heard(NodeId from, uint64_t wall_ms, Instant now);

    /// Time for the next entry of this leader. `now` never falls; `wall_ms`: its own clock at `now`;
    /// `newest_ms`: the stamp of the log's last entry. Ensures: at least `newest_ms`.
    LogTime stamp(Instant now, int64_t wall_ms, uint64_t newest_ms);

    /// Looks at the clocks again: call once a turn while leading, so that an alarm begins and ends without
    /// appends.
    void watch(Instant now, int64_t wall_ms);
    /// Ends an alarm: this member doesn't lead any more, so it doesn't judge.
    void unwatch();
    /// The disagreement that has lasted for `heard_within` or more.
    const std::optional<ClockSkew>& alarm() const { return alarm_; }
    /// By the last stamp() or watch(): stamps follow the clocks. While false, nothing may be dropped for its
    /// age.
    bool agreed() const { return basis_ == Basis::agreed; }

private:
    enum class Basis : uint8_t {
        agreed,
        unheard,   // no majority was heard recently
        disputed,  // two clocks that were heard differ by more than the bound
    };
    struct Reading {
        NodeId from;
        int64_t wall_ms;
        Instant at;
    };
    struct Difference {
        NodeId member;
        int64_t ms;  // its clock less this leader's
    };

    void judge(Instant now, int64_t wall_ms);
    std::optional<int64_t> difference(NodeId voter, Instant now, int64_t wall_ms) const;
    bool majority_heard(const std::vector<Member>& half, Instant now, int64_t wall_ms) const;
    ClockSkew outlier() const;

    NodeId self_;
    Duration skew_max_, heard_within_;
    Membership members_;
    std::vector<Reading> readings_;        // newest of each voter
    std::vector<Difference> differences_;  // scratch of judge()
    Basis basis_ = Basis::unheard;
    // What basis_ was judged from: the entries of one turn are judged together.
    std::optional<std::pair<Instant, int64_t>> judged_;
    std::optional<Instant> disputed_since_;
    std::optional<ClockSkew> alarm_;
    // Where time was when it last followed the clocks, or another leader's entry was met: it is counted from
    // there, so that no part of a millisecond is lost at each stamp.
    uint64_t anchor_ms_ = 0, newest_ms_ = 0;
    Instant anchor_at_{};
};

/// `member=n2 difference=+31536000s`, for the log and for status.
std::string text_of(const ClockSkew& skew, const std::string& name);

}  // namespace raftd::daemon
