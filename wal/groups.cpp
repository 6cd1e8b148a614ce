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

}  // namespace

Result<GroupsFound> find_groups(FileWindow& window, const std::string& path, const SegmentHeader& header,
                                uint64_t known_end, std::vector<std::string>& notes) {
    SegmentKey key{header.segment_id, header.salt};
    GroupsFound found;
    found.end.log = header.base;
    found.hard = header.hard;
    for (;;) {
        ScanPoint& at = found.end;
        KnownEnd end = known_end == 0           ? KnownEnd::none
                       : at.offset >= known_end ? KnownEnd::here
                                                : KnownEnd::further;
        GroupSeen seen = read_group(window, key, at, &found.index);
        std::optional<GroupHeader> later;
        if (seen.place != Place::good && end != KnownEnd::here)
            later =
                find_later_group(window, key, at.offset, known_end != 0 ? known_end : window.file_bytes());
        if (window.error() != 0)
            return damaged_at(path, window.error_offset(),
                              std::string("can't be read: ") + std::strerror(window.error()));
        Later witness = !later ? Later::none : follows(*later, at) ? Later::follows : Later::witness;
        switch (decide_group(seen.place, witness, end)) {
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
