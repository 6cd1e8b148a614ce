#include "raft/progress.h"

#include <algorithm>

namespace raftd::raft {

void Progress::to_probe(Index next_to_try) {
    mode = FollowerMode::probe;
    next = std::max(next_to_try, match + 1);
    window.clear();
    probe_out = false;
    owes = false;
    fetch = 0;
    ready = {};
}

void Progress::to_stream() {
    mode = FollowerMode::stream;
    next = std::max(next, match + 1);
    probe_out = false;
    blocked_at = Index{};
}

void Progress::to_snapshot() {
    to_probe(next);
    mode = FollowerMode::snapshot;
    due = true;
}

bool Progress::acknowledged(Index durable_there, uint64_t my_round, Instant now) {
    if (durable_there <= match) return false;
    match = durable_there;
    match_round = my_round;
    next = std::max(next, match + 1);
    window.answered(match);
    owes = match + 1 < next;
    owes_since = now;
    return true;
}

void Progress::sent(Index last, uint64_t bytes, Instant now) {
    if (!owes) owes_since = now;
    owes = true;
    if (mode == FollowerMode::probe) return;  // next moves when the probe is answered
    window.push(last, bytes);
    next = last + 1;
}

}  // namespace raftd::raft
