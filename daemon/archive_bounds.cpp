#include "daemon/archive_bounds.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::daemon {
namespace {

constexpr uint64_t kChangedBytes = 64;  // a node of the set, reckoned

}  // namespace

ArchiveBounds::ArchiveBounds(const ArchiveLimits& limits, const LogPoint& base) : limits_(limits) {
    marks_.push_back({base.index + 1, base.lsn_next, base.timestamp_ms, 0});
    changed_.insert(base.index + 1);
}

bool ArchiveBounds::add(const EntryHeader& header, const LogPoint& after) {
    open_.bytes += encoded_bytes(header);
    ++open_.entries;
    const bool is_cut = header.kind == EntryKind::cut;
    if (!is_cut && header.kind != EntryKind::noop) ++open_.changes;
    // A cut behind nothing would make an archive that says nothing new. A cursor or a checkpoint is
    // something: who saves a snapshot wants all that was committed.
    const bool cut = is_cut && open_.changes != 0;
    if (open_.bytes < limits_.bytes && open_.entries < limits_.entries && !cut) return false;
    marks_.push_back({after.index + 1, after.lsn_next, after.timestamp_ms, bytes_total()});
    changed_.insert(after.index + 1);
    open_ = {};
    if (marks_.size() > limits_.marks_max) thin_out();
    return true;
}

/// Every second mark goes, never the first nor the open one: what a trim frees is then told more coarsely.
void ArchiveBounds::thin_out() {
    std::deque<ArchiveMark> kept;
    for (size_t i = 0; i < marks_.size(); ++i) {
        if (i % 2 == 0 || i + 1 == marks_.size())
            kept.push_back(marks_[i]);
        else
            changed_.insert(marks_[i].first);
    }
    marks_ = std::move(kept);
}

void ArchiveBounds::forget_below(Index first) {
    while (marks_.size() > 1 && marks_[1].first <= first) {
        changed_.insert(marks_.front().first);
        marks_.pop_front();
    }
}

uint64_t ArchiveBounds::bytes() const {
    return marks_.size() * sizeof(ArchiveMark) + changed_.size() * kChangedBytes;
}

uint64_t ArchiveBounds::bytes_max(const ArchiveLimits& limits) {
    return (limits.marks_max + 2) * (sizeof(ArchiveMark) + kChangedBytes);
}

void ArchiveBounds::all_dirty() {
    for (const ArchiveMark& mark : marks_) changed_.insert(mark.first);
}

uint64_t ArchiveBounds::dirty_bytes() const { return changed_.size() * kChangedBytes; }

void ArchiveBounds::take_dirty(snapshot::StoreBatch& into) {
    for (Index first : changed_) {
        auto mark = std::lower_bound(marks_.begin(), marks_.end(), first,
                                     [](const ArchiveMark& a, Index b) { return a.first < b; });
        auto& value = into.keys[snapshot::state_key(snapshot::kArchiveMarkKeys, raw(first))];
        if (mark != marks_.end() && mark->first == first)
            value =
                snapshot::encode_archive_mark({raw(mark->lsn_first), mark->timestamp_ms, mark->bytes_before});
    }
    changed_.clear();
}

std::optional<ArchiveBounds> ArchiveBounds::load(const ArchiveLimits& limits,
                                                 const std::map<Index, snapshot::ArchiveMarkRecord>& marks,
                                                 const OpenArchive& open, const LogPoint& applied) {
    if (marks.empty() || marks.size() > limits.marks_max) return std::nullopt;
    ArchiveBounds bounds(limits);
    for (const auto& [first, record] : marks)
        bounds.marks_.push_back({first, Lsn{record.lsn_first}, record.timestamp_ms, record.bytes_before});
    bounds.open_ = open;
    if (!bounds.fits(applied)) return std::nullopt;
    return bounds;
}

bool ArchiveBounds::fits(const LogPoint& applied) const {
    for (size_t i = 1; i < marks_.size(); ++i) {
        const ArchiveMark &before = marks_[i - 1], &mark = marks_[i];
        if (mark.lsn_first < before.lsn_first || mark.timestamp_ms < before.timestamp_ms ||
            mark.bytes_before < before.bytes_before)
            return false;
    }
    const ArchiveMark& last = marks_.back();
    return raw(last.first) != 0 && last.lsn_first <= applied.lsn_next &&
           last.timestamp_ms <= applied.timestamp_ms && last.first <= applied.index + 1 &&
           open_.entries == applied.index + 1 - last.first && open_.entries < limits_.entries &&
           open_.bytes < limits_.bytes && open_.bytes / kEntryHeaderBytes >= open_.entries &&
           open_.changes <= open_.entries;
}

}  // namespace raftd::daemon
