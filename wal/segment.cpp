#include "wal/segment.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/codec.h"

namespace raftd::wal {

void SegmentIndex::note(const LogPoint& before, Term term, bool membership, uint64_t offset,
                        uint64_t group_offset) {
    if (runs.empty() || runs.back().term != term) runs.push_back({term, before.index + 1});
    if (membership) configs.push_back({before.index + 1, offset, before.chain});
    if (marks.empty() || mark_next || offset - marks.back().offset >= kMarkEveryBytes)
        marks.push_back({before, offset, group_offset});
    mark_next = false;
}

void SegmentIndex::note_gap(const LogPoint& from, const LogPoint& to) {
    auto run = [this](Term term, Index first) {
        if (runs.empty() || runs.back().term != term) runs.push_back({term, first});
    };
    if (to.index > from.index + 1) run(from.term, from.index + 1);
    run(to.term, to.index);
    mark_next = true;  // so that what lies behind can be read without the damage
}

void SegmentIndex::cut_after(Index last) {
    while (!marks.empty() && marks.back().before.index >= last) marks.pop_back();
    while (!runs.empty() && runs.back().first > last) runs.pop_back();
    while (!configs.empty() && configs.back().index > last) configs.pop_back();
}

void SegmentIndex::end_at(const LogPoint& base, const LogPoint& last) {
    cut_after(last.index);
    // Of a hole that a later segment cut, the entry that had told the last term is gone.
    if (last.index > base.index && (runs.empty() || runs.back().term != last.term))
        runs.push_back({last.term, last.index});
}

uint64_t SegmentIndex::memory_bytes() const {
    return marks.capacity() * sizeof(Mark) + runs.capacity() * sizeof(TermRun) +
           configs.capacity() * sizeof(ConfigPlace);
}

uint64_t footer_bytes(const SegmentIndex& index) {
    return sizeof(FooterHeader) + index.marks.size() * sizeof(Mark) + index.runs.size() * sizeof(TermRun) +
           index.configs.size() * sizeof(ConfigPlace);
}

std::vector<std::byte> encode_footer(uint64_t segment_id, const LogPoint& end, const SegmentIndex& index) {
    ByteWriter writer;
    FooterHeader header{};
    header.magic_version = kFooterMagic;
    header.segment_id = segment_id;
    header.end = end;
    header.mark_count = static_cast<uint32_t>(index.marks.size());
    header.run_count = static_cast<uint32_t>(index.runs.size());
    header.config_count = static_cast<uint32_t>(index.configs.size());
    writer.put(header);
    for (const Mark& mark : index.marks) writer.put(mark);
    for (const TermRun& run : index.runs) writer.put(run);
    for (const ConfigPlace& place : index.configs) writer.put(place);
    return writer.take();
}

std::optional<Footer> decode_footer(ByteView bytes, SegmentKey key, const FooterPlace& place) {
    if (place.offset == 0 || bytes.size() != place.bytes || checksum(bytes, key.salt) != place.checksum)
        return std::nullopt;
    ByteReader reader(bytes);
    auto header = reader.get<FooterHeader>();
    if (header.magic_version != kFooterMagic || header.segment_id != key.id) return std::nullopt;
    Footer footer;
    footer.end = header.end;
    for (uint32_t i = 0; i < header.mark_count && reader.ok(); ++i)
        footer.index.marks.push_back(reader.get<Mark>());
    for (uint32_t i = 0; i < header.run_count && reader.ok(); ++i)
        footer.index.runs.push_back(reader.get<TermRun>());
    for (uint32_t i = 0; i < header.config_count && reader.ok(); ++i)
        footer.index.configs.push_back(reader.get<ConfigPlace>());
    if (!reader.done()) return std::nullopt;
    return footer;
}

namespace {
/// The last mark for which `early` holds; marks are ordered so that it holds for a first part of them.
template <class Early>
const Mark* last_early(const std::vector<Mark>& marks, Early early) {
    auto it = std::partition_point(marks.begin(), marks.end(), early);
    return it == marks.begin() ? nullptr : &*std::prev(it);
}
}  // namespace

const Mark* mark_for_index(const std::vector<Mark>& marks, Index index) {
    return last_early(marks, [&](const Mark& mark) { return mark.before.index < index; });
}

const Mark* mark_for_lsn(const std::vector<Mark>& marks, Lsn lsn) {
    return last_early(marks, [&](const Mark& mark) { return mark.before.lsn_next <= lsn; });
}

const Mark* mark_for_time(const std::vector<Mark>& marks, uint64_t time_ms) {
    return last_early(marks, [&](const Mark& mark) { return mark.before.timestamp_ms < time_ms; });
}

LogPoint lowest_base(const std::vector<Segment>& segments) {
    LogPoint lowest = segments.front().base;
    for (const Segment& segment : segments)
        if (segment.base.index < lowest.index) lowest = segment.base;
    return lowest;
}

void cut_segments(std::vector<Segment>& segments, const LogPoint& point) {
    for (Segment& segment : segments) {
        if (segment.logical_end.index <= point.index) continue;
        segment.logical_end = segment.base.index < point.index ? point : segment.base;
    }
}

}  // namespace raftd::wal
