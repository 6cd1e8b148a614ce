// How this member's disk does: how long writes of the log take until they are synced, whether one hangs
// (H20), whether there is room (H19). Says so in the log, in events, as alarms and in status. Loop thread
// only.
#pragma once

#include <array>
#include <deque>
#include <utility>

#include "daemon/alarms.h"
#include "daemon/context.h"
#include "wal/wal.h"

namespace raftd::daemon {

class DiskWatch : public AlarmSource {
public:
    DiskWatch(Context& context, const wal::Wal& wal) : context_(context), wal_(wal) {}

    /// A write was given to the log.
    void asked(WriteId id) { writes_.emplace_back(id, context_.now); }
    /// All up to this one are synced.
    void durable(WriteId upto);
    /// Once a turn, and when the oldest write has become as old as the election timeout.
    void turn();

    /// A write waits for longer than the election timeout, or the system refuses it for want of room.
    bool stalled() const { return stalled_; }
    /// Less than disk_free_min is free: no client's appends are taken.
    bool full() const;
    uint64_t free_bytes() const { return context_.world.disk.free_bytes(); }
    /// Age of the oldest write that isn't synced; 0: none waits.
    Duration unsynced() const;
    /// Of the times from a write to its sync, since the start.
    double sync_p99_ms() const;
    double sync_max_ms() const { return static_cast<double>(longest_.ns) / 1e6; }
    void add_alarms(std::vector<std::string>& alarms) const override;

private:
    void note(Duration taken);

    Context& context_;
    const wal::Wal& wal_;
    std::deque<std::pair<WriteId, Instant>> writes_;  // not durable yet, with the time they were asked for
    std::array<uint32_t, 128> histogram_{};           // quarter octaves of a microsecond, up to an hour
    Duration longest_{};
    bool stalled_ = false;
    Instant stalled_since_{};
    Duration stall_longest_{};  // of the writes that ended in this stall
    Instant slow_said_at_{};
    uint64_t slow_unsaid_ = 0;
};

}  // namespace raftd::daemon
