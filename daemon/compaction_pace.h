// How fast the log is archived. While clients write a lot, archiving takes at most kBytesASecond, about a
// quarter of what one core does of incompressible data, so that it costs them little; it falls behind then,
// and once the write-ahead log has twice the bytes that are to stay, or while nobody writes much, it goes as
// fast as it can. Decided by counted bytes and the loop's clock alone. Loop thread only.
#pragma once

#include "base/instant.h"

namespace raftd::daemon {

class CompactionPace {
public:
    static constexpr uint64_t kBytesASecond = 64u << 20;
    /// Much is written when the log grows by more than this share of what is archived meanwhile.
    static constexpr uint64_t kBusyShare = 16;

    struct Log {
        uint64_t written = 0;     // bytes, since the start
        uint64_t bytes = 0;       // that its segments take
        uint64_t keep_bytes = 0;  // that are to stay: its target
    };
    /// A piece is begun.
    void begin(Instant now, const Log& log) {
        if (now > next_at_ + kPause) written_ = log.written;  // what came in a pause doesn't count
        began_at_ = now;
    }
    /// It is done: `bytes` of the log were archived.
    void end(Instant now, uint64_t bytes, const Log& log) {
        const bool busy = log.written - written_ > bytes / kBusyShare;
        const bool behind = log.bytes >= 2 * log.keep_bytes;
        written_ = log.written;
        next_at_ = now;
        if (!busy || behind) return;
        next_at_ =
            std::max(now, began_at_ + Duration{static_cast<int64_t>(bytes * 1'000'000'000 / kBytesASecond)});
        ++yields_;
    }
    Instant next_at() const { return next_at_; }
    /// So many pieces weren't followed at once by the next one.
    uint64_t yields() const { return yields_; }

private:
    static constexpr Duration kPause = milliseconds(100);
    Instant began_at_{}, next_at_{INT64_MIN / 2};
    uint64_t written_ = 0, yields_ = 0;
};

}  // namespace raftd::daemon
