#include "daemon/log_clock.h"

#include <algorithm>
#include <cstdlib>

#include "base/planted.h"

namespace raftd::daemon {
namespace {

int64_t milliseconds_of(Duration duration) { return duration.ns / 1'000'000; }

/// Clocks of other machines are input: a difference of absurd ones must not overflow.
int64_t clamp_wall(uint64_t wall_ms) {
    constexpr uint64_t kFarthest = uint64_t{1} << 52;
    return static_cast<int64_t>(std::min(wall_ms, kFarthest));
}

}  // namespace

LogClock::LogClock(NodeId self, Duration skew_max, Duration heard_within)
    : self_(self), skew_max_(skew_max), heard_within_(heard_within) {}

void LogClock::set_members(const Membership& members) {
    members_ = members;
    judged_.reset();
}

void LogClock::heard(NodeId from, uint64_t wall_ms, Instant now) {
    Reading reading{from, clamp_wall(wall_ms), now};
    judged_.reset();
    for (Reading& known : readings_)
        if (known.from == from) {
            known = reading;
            return;
        }
    readings_.push_back(reading);
}

/// What the voter's clock shows now, by its last answer, against mine. It is carried on by the monotonic
/// clock, so that a jump of my own is seen before anybody answers again. How long the answer was on its way
/// isn't known: it makes a clock look a little behind, and counts as part of the difference.
std::optional<int64_t> LogClock::difference(NodeId voter, Instant now, int64_t wall_ms) const {
    if (voter == self_) return 0;
    for (const Reading& reading : readings_)
        if (reading.from == voter && now - reading.at <= heard_within_)
            return reading.wall_ms + milliseconds_of(now - reading.at) - wall_ms;
    return std::nullopt;
}

bool LogClock::majority_heard(const std::vector<Member>& half, Instant now, int64_t wall_ms) const {
    size_t voters = 0, heard = 0;
    for (const Member& member : half) {
        if (member.learner) continue;
        ++voters;
        heard += difference(member.id, now, wall_ms).has_value();
    }
    return heard * 2 > voters;
}

void LogClock::judge(Instant now, int64_t wall_ms) {
    if (judged_ == std::pair{now, wall_ms}) return;
    judged_ = {now, wall_ms};
    differences_.assign(1, {self_, 0});  // also when it votes no more: its clock is the one to be stamped
    for (const auto* half : {&members_.now, &members_.next})
        for (const Member& member : *half) {
            if (member.learner || member.id == self_) continue;
            bool met = std::any_of(differences_.begin(), differences_.end(),
                                   [&](const Difference& one) { return one.member == member.id; });
            auto ms = difference(member.id, now, wall_ms);
            if (ms && !met) differences_.push_back({member.id, *ms});
        }
    auto [low, high] = std::minmax_element(differences_.begin(), differences_.end(),
                                           [](const auto& a, const auto& b) { return a.ms < b.ms; });
    if (high->ms - low->ms > milliseconds_of(skew_max_)) {
        basis_ = Basis::disputed;
        if (planted(PlantedBug::stamp_own_clock)) basis_ = Basis::agreed;
        return;
    }
    bool majority = majority_heard(members_.now, now, wall_ms) &&
                    (!members_.joint() || majority_heard(members_.next, now, wall_ms));
    basis_ = majority ? Basis::agreed : Basis::unheard;
}

LogTime LogClock::stamp(Instant now, int64_t wall_ms, uint64_t newest_ms) {
    wall_ms = clamp_wall(static_cast<uint64_t>(std::max<int64_t>(wall_ms, 0)));
    judge(now, wall_ms);
    if (newest_ms != newest_ms_) {  // another leader's entry, or entries of mine were cut
        anchor_ms_ = newest_ms;
        anchor_at_ = now;
    }
    if (basis_ == Basis::agreed) {
        newest_ms_ = std::max(newest_ms, static_cast<uint64_t>(wall_ms));
        anchor_ms_ = newest_ms_;
        anchor_at_ = now;
    } else {
        uint64_t passed = static_cast<uint64_t>(milliseconds_of(now - anchor_at_));
        newest_ms_ = std::max(newest_ms, anchor_ms_ + passed);
    }
    return LogTime{newest_ms_};
}

void LogClock::watch(Instant now, int64_t wall_ms) {
    judge(now, clamp_wall(static_cast<uint64_t>(std::max<int64_t>(wall_ms, 0))));
    if (basis_ != Basis::disputed) return unwatch();
    if (!disputed_since_) disputed_since_ = now;
    if (now - *disputed_since_ >= heard_within_) alarm_ = outlier();
}

void LogClock::unwatch() {
    disputed_since_.reset();
    alarm_.reset();
}

/// The clock that is farthest from the middle of the others: of an even number of those, from the middle two
/// and what lies between them. Of two clocks, the other one.
ClockSkew LogClock::outlier() const {
    ClockSkew worst;
    std::vector<int64_t> others;
    for (const Difference& one : differences_) {
        others.clear();
        for (const Difference& other : differences_)
            if (other.member != one.member) others.push_back(other.ms);
        std::sort(others.begin(), others.end());
        int64_t low = others[(others.size() - 1) / 2], high = others[others.size() / 2];
        int64_t apart = one.ms - std::clamp(one.ms, low, high);
        bool tie = std::abs(apart) == std::abs(worst.difference_ms) && worst.member == self_;
        if (std::abs(apart) > std::abs(worst.difference_ms) || tie) worst = {one.member, apart};
    }
    return worst;
}

std::string text_of(const ClockSkew& skew, const std::string& name) {
    std::string sign = skew.difference_ms < 0 ? "-" : "+";
    int64_t seconds = (std::abs(skew.difference_ms) + 500) / 1000;
    return "member=" + name + " difference=" + sign + std::to_string(seconds) + "s";
}

}  // namespace raftd::daemon
