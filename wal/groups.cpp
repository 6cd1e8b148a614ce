#include "wal/groups.h"

#include <cstring>

namespace raftd::wal {

Error damaged_at(const std::string& path, uint64_t offset, const std::string& what) {
    return error(
        Errc::damaged, path + " at byte " + std::to_string(offset) + ": " + what,
        "look with `raftctl debug wal " + path + "`; if it can't be put back, `raftctl member replace`");
}

namespace {

std::string describe(const GroupSeen& seen, const ScanPoint& at) {
    std::string group = "group " + std::to_string(at.last_group + 1) + " ";
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

void take(GroupsFound& found, const GroupSeen& seen) {
    const GroupHeader& header = seen.header;
    found.last_group_closes = header.entry_count == 0 && header.hard.state == found.hard.state;
    if (header.hard.number > found.hard.number) found.hard = header.hard;
    found.entries += header.entry_count;
    found.end = {header.file_offset + header.group_bytes, header.group_number, seen.after};
}

/// The damaged stretch at the scan's end, when the log is known on both sides of it.
std::optional<Hole> hole_at(const GroupsFound& found, const GroupSeen& seen,
                            const std::optional<GroupHeader>& later, const KnownBounds& bounds) {
    const bool placed = seen.place != Place::misplaced && seen.place != Place::good;
    if (!bounds.holes || !placed) return std::nullopt;
    Hole hole;
    hole.from = found.end.log;
    hole.offset = found.end.offset;
    if (later) {
        // What a later group repeats, or contradicts, is no gap in numbers.
        if (later->group_number <= found.end.last_group + 1 || later->hard.number <= found.hard.number)
            return std::nullopt;
        hole.to = later->before;
        hole.end_offset = later->file_offset;
    } else if (bounds.log) {
        hole.to = *bounds.log;
        hole.end_offset = bounds.end;
    }
    const bool between = hole.to.index > hole.from.index && hole.to.term >= hole.from.term &&
                         hole.to.lsn_next >= hole.from.lsn_next &&
                         hole.to.timestamp_ms >= hole.from.timestamp_ms;
    if (!between) return std::nullopt;
    hole.group_number = found.end.last_group + 1;
    hole.hard_number = found.hard.number;
    hole.hard = found.hard.state;
    return hole;
}

void step_over(GroupsFound& found, Hole hole, const std::optional<GroupHeader>& later) {
    found.end = {hole.end_offset, later ? later->group_number - 1 : hole.group_number, hole.to};
    found.index.cut_after(hole.from.index);  // entries before the first bad one of its group
    found.index.note_gap(hole.from, hole.to);
    found.holes.push_back(std::move(hole));
}

}  // namespace

Result<GroupsFound> find_groups(FileWindow& window, const std::string& path, const SegmentHeader& header,
                                const KnownBounds& bounds, std::vector<std::string>& notes) {
    SegmentKey key{header.segment_id, header.salt};
    GroupsFound found;
    found.end.log = header.base;
    found.hard = header.hard;
    const uint64_t known_end = bounds.end;
    for (;;) {
        ScanPoint& at = found.end;
        if (bounds.open && at.offset >= known_end) return found;
        KnownEnd end = known_end == 0           ? KnownEnd::none
                       : at.offset >= known_end ? KnownEnd::here
                                                : KnownEnd::further;
        GroupSeen seen = read_group(window, key, at, &found.index);
        std::optional<GroupHeader> later;
        if (seen.place != Place::good && end != KnownEnd::here)
            later = find_later_group(window, key, at.offset, known_end != 0 ? known_end : window.file_bytes(),
                                     known_end != 0 ? nullptr : &found.zeros_from);
        const int unreadable = window.error();
        const uint64_t unreadable_at = window.error_offset();
        window.forgive();
        Later witness = !later ? Later::none : follows(*later, at) ? Later::follows : Later::witness;
        const GroupOutcome outcome = decide_group(seen.place, witness, end);
        if (outcome == GroupOutcome::damaged) {
            if (std::optional<Hole> hole = hole_at(found, seen, later, bounds)) {
                hole->segment_id = key.id;
                hole->what = path + " at byte " + std::to_string(at.offset) + ": " + describe(seen, at);
                if (unreadable != 0) hole->what += std::string(", ") + std::strerror(unreadable);
                step_over(found, std::move(*hole), later);
                continue;
            }
        }
        // What can't be read isn't judged.
        if (unreadable != 0)
            return damaged_at(path, unreadable_at,
                              std::string("can't be read: ") + std::strerror(unreadable));
        switch (outcome) {
            case GroupOutcome::take: take(found, seen); break;
            case GroupOutcome::skip:
                notes.push_back(path + " at byte " + std::to_string(at.offset) + ": " + describe(seen, at) +
                                "; it held no entries and a later one repeats its vote");
                at.offset = later->file_offset;
                at.last_group = later->group_number - 1;
                break;
            case GroupOutcome::torn:
                if (seen.place == Place::bad_entries && seen.header.hard.number > found.hard.number) {
                    found.hard = seen.header.hard;
                    found.hard_is_torn = true;
                }
                found.index.cut_after(at.log.index);
                return found;
            case GroupOutcome::end: found.index.cut_after(at.log.index); return found;
            case GroupOutcome::damaged: return damaged_at(path, at.offset, describe(seen, at));
        }
    }
}

}  // namespace raftd::wal
