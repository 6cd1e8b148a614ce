#include "wal/groups.h"

#include <cstring>

namespace raftd::wal {

Error damaged_at(const std::string& path, uint64_t offset, const std::string& what) {
    return error(
        Errc::damaged, path + " at byte " + std::to_string(offset) + ": " + what,
        "look with `raftctl debug wal " + path + "`; if it can't be put back, `raftctl member replace`");
}

GroupsWalk::GroupsWalk(std::string path, const SegmentHeader& header, const KnownBounds& bounds)
    : path_(std::move(path)), key_{header.segment_id, header.salt}, bounds_(bounds) {
    found_.end.log = header.base;
    found_.hard = header.hard;
}

std::string GroupsWalk::place() const { return path_ + " at byte " + std::to_string(found_.end.offset); }

std::string GroupsWalk::describe(const GroupSeen& seen) const {
    std::string group = "group " + std::to_string(found_.end.last_group + 1) + " ";
    switch (seen.place) {
        case Place::zero: return group + "is missing (zeros)";
        case Place::bad_header: return group + "has a damaged header";
        case Place::misplaced: return group + "doesn't follow the group before it";
        case Place::bad_entries:
            return group + "has a damaged entry at byte " + std::to_string(seen.fault_offset) + " (" +
                   text_of(seen.fault) + ")";
        case Place::good: return group + "stands behind the end of the segment";
    }
    return group;
}

void GroupsWalk::take(const GroupSeen& seen) {
    const GroupHeader& header = seen.header;
    found_.last_group_closes = header.entry_count == 0 && header.hard.state == found_.hard.state;
    if (header.hard.number > found_.hard.number) found_.hard = header.hard;
    found_.entries += header.entry_count;
    found_.end = {header.file_offset + header.group_bytes, header.group_number, seen.after};
}

/// The successor goes on here, or before: whatever entries were lost, it had cut them off; and its header
/// repeats the hard state.
bool GroupsWalk::is_cut_off(const GroupSeen& seen) const {
    const bool placed = seen.place != Place::misplaced && seen.place != Place::good;
    return placed && bounds_.log && bounds_.log->index <= found_.end.log.index;
}

/// The damaged stretch at the walk's place, when the log is known on both sides of it.
std::optional<Hole> GroupsWalk::hole_at(const GroupSeen& seen,
                                        const std::optional<GroupHeader>& later) const {
    const bool placed = seen.place != Place::misplaced && seen.place != Place::good;
    if (!bounds_.holes || !placed) return std::nullopt;
    Hole hole;
    hole.segment_id = key_.id;
    hole.from = found_.end.log;
    hole.offset = found_.end.offset;
    if (later) {
        // What a later group repeats, or contradicts, is no gap in numbers.
        if (later->group_number <= found_.end.last_group + 1 || later->hard.number <= found_.hard.number)
            return std::nullopt;
        hole.to = later->before;
        hole.end_offset = later->file_offset;
    } else if (bounds_.log) {
        hole.to = *bounds_.log;
        hole.end_offset = bounds_.end;
    }
    const bool between = hole.to.index > hole.from.index && hole.to.term >= hole.from.term &&
                         hole.to.lsn_next >= hole.from.lsn_next &&
                         hole.to.timestamp_ms >= hole.from.timestamp_ms;
    if (!between) return std::nullopt;
    hole.group_number = found_.end.last_group + 1;
    hole.hard_number = found_.hard.number;
    hole.hard = found_.hard.state;
    hole.what = place() + ": " + describe(seen);
    return hole;
}

void GroupsWalk::step_over(Hole hole, const std::optional<GroupHeader>& later) {
    found_.end = {hole.end_offset, later ? later->group_number - 1 : hole.group_number, hole.to};
    found_.index.cut_after(hole.from.index);  // entries before the first bad one of its group
    found_.index.note_gap(hole.from, hole.to);
    found_.holes.push_back(std::move(hole));
}

void GroupsWalk::pass_over(uint64_t to, std::string note) {
    found_.notes.push_back(std::move(note));
    found_.needless.push_back({found_.end.offset, to});
    found_.index.cut_after(found_.end.log.index);
    found_.end.offset = to;
}

Result<bool> GroupsWalk::judge(GroupOutcome outcome, const GroupSeen& seen,
                               const std::optional<GroupHeader>& later) {
    ScanPoint& at = found_.end;
    switch (outcome) {
        case GroupOutcome::take: take(seen); return false;
        case GroupOutcome::skip:
            pass_over(later->file_offset, place() + ": " + describe(seen) +
                                              "; it held no entries and a later one repeats its vote");
            at.last_group = later->group_number - 1;
            return false;
        case GroupOutcome::torn:
            if (seen.place == Place::bad_entries && seen.header.hard.number > found_.hard.number) {
                found_.hard = seen.header.hard;
                found_.hard_is_torn = true;
            }
            [[fallthrough]];
        case GroupOutcome::end: found_.index.cut_after(at.log.index); return true;
        case GroupOutcome::damaged: break;
    }
    return damaged_at(path_, at.offset, describe(seen));
}

/// One group, or one stretch of damage.
Result<bool> GroupsWalk::next(FileWindow& window) {
    const ScanPoint& at = found_.end;
    if (bounds_.open && at.offset >= bounds_.end) return true;
    const KnownEnd end = bounds_.end == 0           ? KnownEnd::none
                         : at.offset >= bounds_.end ? KnownEnd::here
                                                    : KnownEnd::further;
    const GroupSeen seen = read_group(window, key_, at, &found_.index);
    std::optional<GroupHeader> later;
    if (seen.place != Place::good && end != KnownEnd::here)
        later =
            find_later_group(window, key_, at.offset, bounds_.end != 0 ? bounds_.end : window.file_bytes(),
                             bounds_.end != 0 ? nullptr : &found_.zeros_from);
    const int unreadable = window.error();
    const uint64_t unreadable_at = window.error_offset();
    window.forgive();
    const Later witness = !later ? Later::none : follows(*later, at) ? Later::follows : Later::witness;
    const GroupOutcome outcome = decide_group(seen.place, witness, end);
    const std::string why = unreadable != 0 ? std::string(", ") + std::strerror(unreadable) : "";
    if (outcome == GroupOutcome::damaged && is_cut_off(seen)) {
        pass_over(bounds_.end, place() + ": " + describe(seen) + why + "; the segment behind had cut it off");
        return true;
    }
    if (outcome == GroupOutcome::damaged) {
        if (std::optional<Hole> hole = hole_at(seen, later)) {
            hole->what += why;
            step_over(std::move(*hole), later);
            return false;
        }
    }
    // What can't be read isn't judged, unless it makes no difference.
    if (unreadable != 0 && outcome != GroupOutcome::skip)
        return damaged_at(path_, unreadable_at, std::string("can't be read: ") + std::strerror(unreadable));
    return judge(outcome, seen, later);
}

Result<bool> GroupsWalk::go_on(FileWindow& window, uint64_t bytes) {
    const uint64_t began = found_.end.offset;
    do {
        TRY(ended, next(window));
        if (ended) return true;
    } while (found_.end.offset - began < bytes);
    return false;
}

Result<GroupsFound> find_groups(FileWindow& window, const std::string& path, const SegmentHeader& header,
                                const KnownBounds& bounds, std::vector<std::string>& notes) {
    GroupsWalk walk(path, header, bounds);
    TRY_VOID(walk.go_on(window, UINT64_MAX));
    GroupsFound found = std::move(walk.found());
    notes.insert(notes.end(), found.notes.begin(), found.notes.end());
    return found;
}

}  // namespace raftd::wal
