// The one reader of the logical log: from the buffer at once, from files in a while. Tails, slow followers
// and the pump itself read through it, so where a truncation cut is known in one place (H28).
#pragma once

#include <optional>
#include <unordered_map>

#include "daemon/context.h"
#include "daemon/replica.h"
#include "wal/wal.h"

namespace raftd::daemon {

/// What a read from files was for; comes back with its result.
struct ReadFor {
    enum class Who : uint8_t { follower, late_send, tail, follower_point, commit_point, state };
    Who who;
    uint64_t a = 0, b = 0, c = 0;  // follower: fetch id, node; tail: connection, stream, generation
    raft::msg::Append append{};    // late_send: what it is for
};

class LogReader {
public:
    LogReader(Context& context, Replica& replica, wal::Wal& wal)
        : context_(context), replica_(replica), wal_(wal) {}

    /// [first, last] of at most bytes_max (at least one entry) from memory; nothing when `first` isn't there.
    std::optional<Index> in_memory(Index first, Index upto, uint64_t bytes_max,
                                   std::vector<Slice>& out) const;
    /// The entry before the first one there is; its lsn_next is the first LSN.
    LogPoint base() const { return wal_.base(); }
    bool holds(Index index) const { return replica_.buffer().holds(index); }  // in memory
    /// Begins a read from files; the result comes with take().
    void from_files(const wal::ReadRequest& request, const ReadFor& purpose);
    struct Done {
        ReadFor purpose;
        wal::ReadResult result;
    };
    std::optional<Done> take();

private:
    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    uint64_t cookie_last_ = 0;
    std::unordered_map<uint64_t, ReadFor> under_way_;
};

}  // namespace raftd::daemon
