#include "daemon/log_buffer.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::daemon {
namespace {

// Below this a run of received entries is copied: 16 KiB cost about 2 us, a pinned chunk costs a MiB.
constexpr uint32_t kAdoptBytesMin = 16u << 10;

}  // namespace

LogBuffer::LogBuffer(const LogPoint& end, uint32_t chunk_bytes)
    : chunk_bytes_(chunk_bytes), first_(end.index + 1), before_(end), end_(end) {}

std::byte* LogBuffer::reserve(uint32_t bytes) {
    if (open_.size() - used_ < bytes) {
        open_ = Chunk::make(std::max(bytes, chunk_bytes_));
        used_ = 0;
        open_is_last_run_ = false;
    }
    Slice room = open_.part(used_, bytes);
    used_ += bytes;
    if (open_is_last_run_ && !runs_.empty() && runs_.back().bytes.join(room)) return room.data();
    add_run(room);
    open_is_last_run_ = true;
    return room.data();
}

void LogBuffer::add_run(const Slice& bytes) {
    runs_.push_back({bytes, end_.index + 1});
    open_is_last_run_ = false;
}

void LogBuffer::add_place(uint32_t bytes) {
    // Entries are added in order, so the new one lies behind the last of the same run, or begins it.
    uint64_t number = run_first_ + runs_.size() - 1;
    uint32_t offset = 0;
    if (!entries_.empty() && entries_.back().run == number)
        offset = entries_.back().offset + entries_.back().bytes;
    entries_.push_back({number, offset, bytes});
    bytes_ += bytes;
}

EntryHeader LogBuffer::append(EntryHeader draft, ByteView body, Term term, uint64_t now_ms) {
    CHECK_EQ(draft.body_bytes, body.size());
    finish_header(draft, end_, term, now_ms);
    auto bytes = static_cast<uint32_t>(encoded_bytes(draft));
    std::byte* at = reserve(bytes);
    std::memcpy(at, &draft, sizeof draft);
    if (!body.empty()) std::memcpy(at + sizeof draft, body.data(), body.size());
    add_place(bytes);
    end_ = point_after(draft);
    return draft;
}

EntryHeader LogBuffer::append_in_place(const Slice& header_and_body, EntryHeader draft, Term term,
                                       uint64_t now_ms) {
    CHECK_EQ(header_and_body.size(), encoded_bytes(draft));
    finish_header(draft, end_, term, now_ms);
    std::memcpy(header_and_body.data(), &draft, sizeof draft);
    add_run(header_and_body);
    add_place(header_and_body.size());
    end_ = point_after(draft);
    return draft;
}

void LogBuffer::adopt(const Slice& entries) {
    ByteView bytes = entries.view();
    if (entries.size() >= kAdoptBytesMin) {
        add_run(entries);
    } else if (!entries.empty()) {
        std::memcpy(reserve(entries.size()), bytes.data(), bytes.size());
    }
    EntryCursor cursor(bytes);
    while (const EntryHeader* header = cursor.next()) {
        CHECK_EQ(header->index, raw(end_.index) + 1);
        add_place(static_cast<uint32_t>(encoded_bytes(*header)));
        end_ = point_after(*header);
    }
    CHECK_EQ(cursor.remaining(), 0u);
}

void LogBuffer::cut_after(Index index) {
    CHECK_GE(index + 1, first_);
    if (index >= last()) return;
    end_ = *point_at(index);
    while (last() > index) {
        bytes_ -= entries_.back().bytes;
        entries_.pop_back();
    }
    // The last run keeps only its whole entries; the bytes behind them are abandoned, never written again.
    while (!runs_.empty() && runs_.back().first > index) runs_.pop_back();
    if (!runs_.empty()) {
        const Place& place = entries_.back();
        Run& last_run = runs_.back();
        last_run.bytes = last_run.bytes.part(0, place.offset + place.bytes);
    }
    open_is_last_run_ = false;
}

void LogBuffer::reset(const LogPoint& end) {
    run_first_ += runs_.size();
    runs_.clear();
    entries_.clear();
    first_ = end.index + 1;
    before_ = end_ = end;
    bytes_ = 0;
    open_is_last_run_ = false;
}

void LogBuffer::release(Index upto, uint64_t bytes_max) {
    while (bytes_ > bytes_max && !runs_.empty()) {
        Index run_end = runs_.size() > 1 ? runs_[1].first : last() + 1;
        if (run_end > upto + 1) return;
        before_ = *point_at(run_end - 1);
        while (first_ < run_end) {
            bytes_ -= entries_.front().bytes;
            entries_.pop_front();
            ++first_;
        }
        runs_.pop_front();
        ++run_first_;
        if (runs_.empty()) open_is_last_run_ = false;
    }
}

EntryHeader LogBuffer::header(Index index) const {
    CHECK(holds(index));
    const Place& at = place(index);
    EntryHeader header;
    std::memcpy(&header, run(at.run).bytes.data() + at.offset, sizeof header);
    return header;
}

std::optional<LogPoint> LogBuffer::point_at(Index index) const {
    if (index + 1 == first_) return before_;
    if (index == end_.index) return end_;
    if (!holds(index)) return std::nullopt;
    return point_after(header(index));
}

std::optional<std::pair<Index, EntryFault>> LogBuffer::first_bad(Index first, Index last) const {
    CHECK(holds(first) && holds(last));
    LogPoint before = *point_at(first - 1);
    for (Index index = first; index <= last; ++index) {
        const Place& at = place(index);
        const ByteView entry = run(at.run).bytes.view().subspan(at.offset, at.bytes);
        const EntryHeader entry_header = header(index);
        EntryFault fault = check_follows(before, entry_header);
        if (fault == EntryFault::none) fault = check_body(entry_header, entry.subspan(kEntryHeaderBytes));
        before = point_after(entry_header);
        if (fault == EntryFault::none && index == end_.index && before != end_) fault = EntryFault::chain;
        if (fault != EntryFault::none) return std::pair(index, fault);
    }
    return std::nullopt;
}

void LogBuffer::slices(Index first, Index last, std::vector<Slice>& out) const {
    CHECK(holds(first) && holds(last) && first <= last);
    const Place& from = place(first);
    const Place& to = place(last);
    for (uint64_t number = from.run; number <= to.run; ++number) {
        const Slice& bytes = run(number).bytes;
        uint32_t begin = number == from.run ? from.offset : 0;
        uint32_t end = number == to.run ? to.offset + to.bytes : bytes.size();
        out.push_back(bytes.part(begin, end - begin));
    }
}

Index LogBuffer::last_within(Index first, Index upto, uint64_t bytes_max) const {
    uint64_t total = place(first).bytes;
    while (first < upto) {
        total += place(first + 1).bytes;
        if (total > bytes_max) break;
        ++first;
    }
    return first;
}

uint64_t LogBuffer::bytes_of(Index first, Index last) const {
    uint64_t total = 0;
    for (Index index = first; index <= last; ++index) total += place(index).bytes;
    return total;
}

/// The first entry held behind which `reached(point)` holds; entries must go from false to true.
template <class Reached>
Index LogBuffer::first_where(Reached reached) const {
    Index low = first_, high = last() + 1;
    while (low < high) {
        Index middle{(raw(low) + raw(high)) / 2};
        if (reached(point_after(header(middle))))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

std::optional<Index> LogBuffer::index_of(Lsn lsn) const {
    if (lsn < before_.lsn_next || lsn >= end_.lsn_next) return std::nullopt;
    return first_where([lsn](const LogPoint& point) { return point.lsn_next > lsn; });
}

std::optional<Index> LogBuffer::index_at(uint64_t time_ms) const {
    if (before_.timestamp_ms >= time_ms) return std::nullopt;
    return first_where([time_ms](const LogPoint& point) { return point.timestamp_ms >= time_ms; });
}

}  // namespace raftd::daemon
