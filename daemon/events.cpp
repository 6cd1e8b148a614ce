#include "daemon/events.h"

#include <algorithm>

namespace raftd::daemon {
namespace {

constexpr std::string_view kKinds[] = {
    "alarm_cleared",   "alarm_raised",     "append_body_bad", "append_chain_mismatch",
    "archives_differ", "became_leader",    "checkpoint",      "checkpoint_dropped",
    "configuration",   "disk_moves_again", "disk_slow",       "disk_stalled",
    "fault",           "fault_over",       "feature_raised",  "following",
    "freeze_over",     "frozen",           "handed_over",     "history_differs",
    "hold_over",       "log_damaged",      "members_change",  "peer_linked",
    "peer_lost",       "peer_refused",     "recovered",       "refused_by_peer",
    "removed",         "repair_begun",     "repair_failed",   "repair_waits",
    "repaired",        "scrub_done",       "states_differ",   "stopping",
    "thawed",          "trimmed",          "verify_begun",    "verify_damage",
    "verify_done",
};
static_assert(std::is_sorted(std::begin(kKinds), std::end(kKinds)));

/// Part of a line is what peers and clients say of themselves, so its length isn't ours to trust.
std::string kept_part(std::string_view line) {
    constexpr std::string_view kCut = "...";
    if (line.size() <= Events::kLineBytesMax) return std::string(line);
    size_t end = Events::kLineBytesMax - kCut.size();
    auto inside_character = [&](size_t at) { return (static_cast<uint8_t>(line[at]) & 0xc0) == 0x80; };
    for (int steps = 0; steps < 3 && inside_character(end); ++steps) --end;
    return std::string(line.substr(0, end)).append(kCut);
}

}  // namespace

bool Events::is_event(std::string_view kind) {
    return std::binary_search(std::begin(kKinds), std::end(kKinds), kind);
}

void Events::write(LogLevel level, std::string_view line) {
    if (is_event(line.substr(0, line.find(' ')))) {
        kept_.push_back({++last_, clock_.wall_ms(), level, kept_part(line)});
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
