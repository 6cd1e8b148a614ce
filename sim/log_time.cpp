#include "sim/log_time.h"

#include <algorithm>

namespace raftd::sim {
namespace {

// A frame may go astray for a minute, and then says what a clock showed so long ago; beside that stand
// clock_skew_max, and what clocks of different rates drift apart in that time.
constexpr Duration kAnswerAgeMax = seconds(65);
constexpr int64_t kApartMsMax = 120'000;
// A machine's monotonic clock runs at most this many times as fast as time, and a bit.
constexpr int64_t kRateMax = 2;
constexpr int64_t kLeapMsMin = 1000;

}  // namespace

bool LogTimeCheck::showed(const ClockModel& clock, uint64_t stamp_ms) const {
    Instant now = kernel_.now();
    int64_t since_start = kWallStartMs + clock.local(now).ns / 1'000'000;
    auto near = [&](int64_t offset_ms) {
        return std::abs(since_start + offset_ms - static_cast<int64_t>(stamp_ms)) <= kApartMsMax;
    };
    return near(clock.wall_offset_ms) ||
           std::any_of(clock.past.begin(), clock.past.end(), [&](const ClockModel::Past& past) {
               return now - past.until <= kAnswerAgeMax && near(past.wall_offset_ms);
           });
}

std::optional<std::string> LogTimeCheck::judge(uint64_t stamp_ms, uint64_t before_ms, Instant before_at,
                                               const std::function<std::vector<uint32_t>()>& voters) const {
    if (stamp_ms < before_ms)
        return "made an entry stamped " + std::to_string(stamp_ms) + " behind one stamped " +
               std::to_string(before_ms);
    int64_t passed = (kernel_.now() - before_at).ns / 1'000'000;
    if (stamp_ms - before_ms <= static_cast<uint64_t>(passed * kRateMax + kLeapMsMin)) return std::nullopt;
    if (clocks_.empty()) return std::nullopt;
    const std::vector<uint32_t> asked = voters();
    auto agreeing = static_cast<size_t>(std::count_if(
        asked.begin(), asked.end(), [&](uint32_t number) { return showed(*clocks_[number - 1], stamp_ms); }));
    if (agreeing * 2 > asked.size()) return std::nullopt;
    return "stamped an entry " + std::to_string(stamp_ms - before_ms) + " ms after the one before, made " +
           std::to_string(passed) + " ms ago: only " + std::to_string(agreeing) + " of " +
           std::to_string(asked.size()) + " clocks stand there";
}

}  // namespace raftd::sim
