#include "daemon/disk_watch.h"

#include <algorithm>
#include <bit>

namespace raftd::daemon {
namespace {

/// One line about slow syncs in this time; it says how many there were besides.
constexpr Duration kSlowSaidEvery = seconds(10);

int64_t ms_of(Duration time) { return time.ns / 1'000'000; }

}  // namespace

void DiskWatch::note(Duration taken) {
    const auto micros = static_cast<uint64_t>(taken.ns / 1000);
    // Quarter octaves: enough to tell a p99 within a fifth.
    const size_t octave = static_cast<size_t>(std::bit_width(micros | 1)) - 1;
    const size_t quarter = octave >= 2 ? (micros >> (octave - 2)) & 3 : 0;
    ++histogram_[std::min<size_t>(octave * 4 + quarter, histogram_.size() - 1)];
    longest_ = std::max(longest_, taken);
    if (stalled_) stall_longest_ = std::max(stall_longest_, taken);
}

void DiskWatch::durable(WriteId upto) {
    Duration slowest{};
    while (!writes_.empty() && writes_.front().first <= upto) {
        const Duration taken = context_.now - writes_.front().second;
        note(taken);
        slowest = std::max(slowest, taken);
        writes_.pop_front();
    }
    // A quarter of the election timeout: it is not yet a stall, and elections already suffer.
    const Duration timeout = context_.options.settings.raft.election_timeout;
    if (stalled_ || slowest * 4 <= timeout || slowest > timeout) return;
    if (slow_said_at_ != Instant{} && context_.now - slow_said_at_ < kSlowSaidEvery) {
        ++slow_unsaid_;
        return;
    }
    slow_said_at_ = context_.now;
    context_.log(LogLevel::warn, "disk_slow")("ms", ms_of(slowest))("more", std::exchange(slow_unsaid_, 0));
}

void DiskWatch::turn() {
    const bool stalled = wal_.no_room() || unsynced() > context_.options.settings.raft.election_timeout;
    if (stalled == stalled_) return;
    stalled_ = stalled;
    if (stalled) {
        stalled_since_ = context_.now;
        stall_longest_ = unsynced();
        context_.log(LogLevel::warn, "disk_stalled")("ms", ms_of(stall_longest_))("full", wal_.no_room());
        return;
    }
    const Duration took = std::max(stall_longest_, context_.now - stalled_since_);
    context_.log(LogLevel::info, "disk_moves_again")("ms", ms_of(took))("full", wal_.no_room());
}

bool DiskWatch::full() const { return free_bytes() < context_.options.settings.log.disk_free_min; }

Duration DiskWatch::unsynced() const {
    const auto oldest = wal_.oldest_unsynced();
    return oldest ? context_.now - *oldest : Duration{};
}

double DiskWatch::sync_p99_ms() const {
    uint64_t total = 0, seen = 0;
    for (uint32_t count : histogram_) total += count;
    for (size_t i = 0; i < histogram_.size(); ++i) {
        seen += histogram_[i];
        if (total != 0 && seen * 100 >= total * 99)
            return static_cast<double>(uint64_t{4 + i % 4} << (i / 4)) / 4 / 1000;
    }
    return 0;
}

void DiskWatch::add_alarms(std::vector<std::string>& alarms) const {
    if (wal_.no_room() || full()) alarms.emplace_back("disk_full");
    if (stalled_) alarms.emplace_back("disk_stalled");
}

}  // namespace raftd::daemon
