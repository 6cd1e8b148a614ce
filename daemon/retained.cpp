#include "daemon/retained.h"

#include <algorithm>

namespace raftd::daemon {
namespace {

using Refused = RetainEffects::Refused;

constexpr uint64_t kNodeBytes = 80;  // of a map or set, with a short string, reckoned

RetainEffects refused(Refused why) {
    RetainEffects effects;
    effects.refused = why;
    return effects;
}

/// The archive that holds record `lsn`, or the open one.
const ArchiveMark& mark_of(const ArchiveBounds& archives, Lsn lsn) {
    const auto& marks = archives.marks();
    auto behind = std::upper_bound(marks.begin(), marks.end(), lsn,
                                   [](Lsn a, const ArchiveMark& b) { return a < b.lsn_first; });
    return behind == marks.begin() ? marks.front() : *std::prev(behind);
}

}  // namespace

RetainEffects Retained::apply(const EntryHeader& header, ByteView body, const ArchiveBounds& archives) {
    RetainEffects effects;
    const uint64_t bytes_total = archives.bytes_total();
    if (uploads_ != 0) drop_stale(bytes_total, effects.dropped);
    std::vector<uint64_t> stale = std::move(effects.dropped);
    switch (header.kind) {
        case EntryKind::trim:
            if (auto entry = decode_trim(body))
                effects = trim(header, *entry, archives);
            else
                effects.refused = Refused::malformed;
            break;
        case EntryKind::retention:
            if (auto entry = decode_retention(body))
                effects.refused = set(*entry);
            else
                effects.refused = Refused::malformed;
            break;
        case EntryKind::cursor:
            if (auto entry = decode_cursor(body))
                effects.refused = set(header, *entry);
            else
                effects.refused = Refused::malformed;
            break;
        case EntryKind::checkpoint_begin:
            if (auto entry = decode_checkpoint_begin(body))
                effects = begin(header, *entry, bytes_total);
            else
                effects.refused = Refused::malformed;
            break;
        case EntryKind::checkpoint_chunk:
            if (auto entry = decode_checkpoint_chunk(body))
                effects.refused = add(header, *entry, bytes_total);
            else
                effects.refused = Refused::malformed;
            break;
        case EntryKind::checkpoint_commit:
            if (auto id = decode_checkpoint_commit(body))
                effects = commit(header, *id, bytes_total);
            else
                effects.refused = Refused::malformed;
            break;
        default: break;
    }
    effects.dropped.insert(effects.dropped.begin(), stale.begin(), stale.end());
    return effects;
}

bool Retained::hold_over(const Cursor& cursor, const ArchiveBounds& archives) const {
    if (!cursor.hold || cursor.hold_bytes_max == 0) return false;
    return archives.bytes_total() - mark_of(archives, cursor.lsn).bytes_before > cursor.hold_bytes_max;
}

TrimFloor Retained::floor(const ArchiveBounds& archives, Lsn lsn_next) const {
    TrimFloor floor{lsn_next, TrimFloor::By::end, {}};
    if (policy_.below_checkpoint) {
        const Checkpoint* covers = newest();
        floor = {covers != nullptr ? covers->upto + 1 : first_lsn_, TrimFloor::By::checkpoint, {}};
    }
    for (const auto& [name, cursor] : cursors_)
        if (cursor.hold && cursor.lsn < floor.lsn && !hold_over(cursor, archives))
            floor = {cursor.lsn, TrimFloor::By::cursor, name};
    return floor;
}

RetainEffects Retained::trim(const EntryHeader& header, const TrimEntry& entry,
                             const ArchiveBounds& archives) {
    RetainEffects effects;
    effects.reason = entry.reason;
    TrimFloor floor = this->floor(archives, Lsn{header.lsn_first});
    if (floor.lsn < entry.before) effects.floor = floor;
    const Lsn first = std::min(entry.before, floor.lsn);
    for (const auto& [name, cursor] : cursors_)
        if (cursor.lsn < first && hold_over(cursor, archives)) effects.holds_over.push_back(name);
    if (first <= first_lsn_) return effects;
    first_lsn_ = effects.trimmed_to = first;
    point_changed_ = true;
    std::vector<uint64_t> useless;
    for (const auto& [id, checkpoint] : checkpoints_)
        if (checkpoint.upto + 1 < first_lsn_) useless.push_back(id);
    for (uint64_t id : useless) drop(id, effects.dropped);
    return effects;
}

Index Retained::first_index(const ArchiveBounds& archives) const {
    Index first = mark_of(archives, first_lsn_).first;
    // What is there lies behind a record that stays, but may share its archive with ones that go.
    return checkpoints_.empty() ? first : std::min(first, Index{checkpoints_.begin()->first});
}

Refused Retained::set(const RetentionEntry& entry) {
    if (entry.bytes) policy_.bytes = *entry.bytes;
    if (entry.age_ms) policy_.age_ms = *entry.age_ms;
    if (entry.records) policy_.records = *entry.records;
    if (entry.below_checkpoint) policy_.below_checkpoint = *entry.below_checkpoint;
    point_changed_ = true;
    return Refused::none;
}

Refused Retained::set(const EntryHeader& header, const CursorEntry& entry) {
    auto known = cursors_.find(entry.name);
    if (entry.op == CursorEntry::Op::remove) {
        if (known == cursors_.end()) return Refused::unknown;
        name_bytes_ -= entry.name.size();
        cursors_.erase(known);
        cursors_changed_.insert(entry.name);
        return Refused::none;
    }
    if (entry.lsn < first_lsn_) return Refused::trimmed;
    if (raw(entry.lsn) > header.lsn_first) return Refused::beyond;
    if (known == cursors_.end()) {
        if (cursors_.size() >= limits_.cursors_max) return Refused::full;
        known = cursors_.emplace(entry.name, Cursor{}).first;
        name_bytes_ += entry.name.size();
    }
    Cursor& cursor = known->second;
    if (entry.op == CursorEntry::Op::set) {
        cursor = {entry.lsn, entry.hold, entry.hold_bytes_max, header.timestamp_ms};
    } else {
        cursor.lsn = std::max(cursor.lsn, entry.lsn);
        cursor.set_ms = header.timestamp_ms;
    }
    cursors_changed_.insert(entry.name);
    return Refused::none;
}

const Checkpoint* Retained::newest() const {
    const Checkpoint* newest = nullptr;
    for (const auto& [id, checkpoint] : checkpoints_)
        if (checkpoint.whole() && (newest == nullptr || checkpoint.upto > newest->upto)) newest = &checkpoint;
    return newest;
}

Refused Retained::refuse_upto(const EntryHeader& header, Lsn upto) const {
    if (raw(upto) >= header.lsn_first) return Refused::beyond;
    if (upto + 1 < first_lsn_) return Refused::trimmed;
    const Checkpoint* before = newest();
    return before != nullptr && upto <= before->upto ? Refused::not_rising : Refused::none;
}

RetainEffects Retained::begin(const EntryHeader& header, const CheckpointBegin& entry, uint64_t bytes_total) {
    RetainEffects effects = refused(refuse_upto(header, entry.upto));
    if (effects.refused != Refused::none) return effects;
    if (uploads_ >= limits_.uploads_max) {
        const std::pair<const uint64_t, Checkpoint>* oldest = nullptr;
        for (const auto& one : checkpoints_)
            if (!one.second.whole() &&
                (oldest == nullptr || one.second.touched_bytes < oldest->second.touched_bytes))
                oldest = &one;
        drop(oldest->first, effects.dropped);
    }
    Checkpoint& added = checkpoints_[header.index];
    added.upto = entry.upto;
    added.size = entry.size;
    added.sha256 = entry.sha256;
    added.touched_bytes = bytes_total;
    added.touched_ms = header.timestamp_ms;
    ++uploads_;
    checkpoints_changed_.insert(header.index);
    return effects;
}

Refused Retained::add(const EntryHeader& header, const CheckpointChunk& entry, uint64_t bytes_total) {
    auto found = checkpoints_.find(entry.id);
    if (found == checkpoints_.end()) return Refused::unknown;
    Checkpoint& upload = found->second;
    const uint64_t bytes = entry.data.size();
    // Sent again, since its answer was lost: it is there already.
    if (bytes <= upload.received && entry.offset <= upload.received - bytes) return Refused::none;
    if (upload.whole() || entry.offset != upload.received || bytes > upload.size - upload.received)
        return Refused::misplaced;
    upload.received += bytes;
    upload.touched_bytes = bytes_total;
    upload.touched_ms = header.timestamp_ms;
    checkpoints_changed_.insert(entry.id);
    return Refused::none;
}

RetainEffects Retained::commit(const EntryHeader& header, uint64_t id, uint64_t bytes_total) {
    auto found = checkpoints_.find(id);
    if (found == checkpoints_.end()) return refused(Refused::unknown);
    Checkpoint& upload = found->second;
    if (upload.whole()) return {};  // asked again, since the answer was lost
    if (upload.received != upload.size) return refused(Refused::incomplete);
    RetainEffects effects = refused(refuse_upto(header, upload.upto));
    if (effects.refused != Refused::none) return effects;
    upload.committed = Index{header.index};
    upload.touched_bytes = bytes_total;
    upload.touched_ms = header.timestamp_ms;
    --uploads_;
    checkpoints_changed_.insert(id);
    if (checkpoints_.size() - uploads_ <= limits_.checkpoints_max) return effects;
    const std::pair<const uint64_t, Checkpoint>* least = nullptr;
    for (const auto& one : checkpoints_)
        if (one.second.whole() && (least == nullptr || one.second.upto < least->second.upto)) least = &one;
    drop(least->first, effects.dropped);
    return effects;
}

void Retained::drop_stale(uint64_t bytes_total, std::vector<uint64_t>& dropped) {
    for (const auto& [id, checkpoint] : checkpoints_)
        if (!checkpoint.whole() && bytes_total - checkpoint.touched_bytes > limits_.upload_distance)
            dropped.push_back(id);
    std::vector<uint64_t> stale = std::exchange(dropped, {});
    for (uint64_t id : stale) drop(id, dropped);
}

void Retained::drop(uint64_t id, std::vector<uint64_t>& dropped) {
    auto found = checkpoints_.find(id);
    if (!found->second.whole()) --uploads_;
    checkpoints_.erase(found);
    checkpoints_changed_.insert(id);
    dropped.push_back(id);
}

uint64_t Retained::bytes() const {
    return cursors_.size() * (sizeof(Cursor) + kNodeBytes) + name_bytes_ +
           checkpoints_.size() * (sizeof(Checkpoint) + kNodeBytes) +
           cursors_changed_.size() * (kNodeBytes + kCursorNameBytesMax / 2) +
           checkpoints_changed_.size() * kNodeBytes;
}

uint64_t Retained::bytes_max(const RetainLimits& limits) {
    constexpr uint64_t kCursor = sizeof(Cursor) + 2 * kNodeBytes + 2 * kCursorNameBytesMax;
    return limits.cursors_max * kCursor +
           (limits.checkpoints_max + limits.uploads_max) * (sizeof(Checkpoint) + 2 * kNodeBytes) +
           (64u << 10);
}

}  // namespace raftd::daemon
