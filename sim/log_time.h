// The log's time (H9) against the clocks of all machines, which only the simulator can see: stamps never
// fall, and one that leaps farther than time has passed is right only where a majority's clocks stood. Read
// next: sim/truth.cpp, which asks for each entry that is made.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/machine.h"

namespace raftd::sim {

class LogTimeCheck {
public:
    explicit LogTimeCheck(Kernel& kernel) : kernel_(kernel) {}

    /// A machine's clock; it outlives this. All are given, in order, or none: then only falling is seen.
    void add(const ClockModel& clock) { clocks_.push_back(&clock); }
    /// An entry stamped `stamp_ms` has just been made behind one that was stamped `before_ms` and made at
    /// `before_at`, where these vote (numbers of machines, from 1). What is wrong with it, or nothing.
    std::optional<std::string> judge(uint64_t stamp_ms, uint64_t before_ms, Instant before_at,
                                     const std::function<std::vector<uint32_t>()>& voters) const;

private:
    bool showed(const ClockModel& clock, uint64_t stamp_ms) const;

    Kernel& kernel_;
    std::vector<const ClockModel*> clocks_;
};

}  // namespace raftd::sim
