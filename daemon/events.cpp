#include "daemon/events.h"

#include <algorithm>

namespace raftd::daemon {
namespace {

constexpr std::string_view kKinds[] = {
    "alarm_cleared", "alarm_raised",    "became_leader", "configuration", "disk_moves_again",
    "disk_stalled",  "feature_raised",  "following",     "handed_over",   "history_differs",
    "log_damaged",   "members_change",  "peer_linked",   "peer_lost",     "peer_refused",
    "recovered",     "refused_by_peer", "removed",       "stopping",
};
static_assert(std::is_sorted(std::begin(kKinds), std::end(kKinds)));

}  // namespace

bool Events::is_event(std::string_view kind) {
    return std::binary_search(std::begin(kKinds), std::end(kKinds), kind);
}

void Events::write(LogLevel level, std::string_view line) {
    if (is_event(line.substr(0, line.find(' ')))) {
        kept_.push_back({++last_, clock_.wall_ms(), level, std::string(line)});
        if (kept_.size() > kKept) kept_.pop_front();
    }
    if (log_.wants(level)) log_.write(level, line);
}

std::deque<MemberEvent> Events::since(uint64_t number, size_t count_max) const {
    std::deque<MemberEvent> found;
    for (const MemberEvent& event : kept_)
        if (event.number > number && found.size() < count_max) found.push_back(event);
    return found;
}

}  // namespace raftd::daemon
