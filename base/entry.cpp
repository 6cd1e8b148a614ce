#include "base/entry.h"

#include <algorithm>

#include "base/check.h"
#include "base/checksum.h"

namespace raftd {
namespace {

constexpr uint32_t kChainedBytes = 88;  // all of the header before the chain itself
static_assert(offsetof(EntryHeader, chain) == kChainedBytes);

uint64_t records_in(const EntryHeader& header) {
    return header.kind == EntryKind::batch ? header.record_count : 0;
}

}  // namespace

uint64_t chain_after(uint64_t chain_before, const EntryHeader& header) {
    return checksum({reinterpret_cast<const std::byte*>(&header), kChainedBytes}, chain_before);
}

LogPoint point_after(const EntryHeader& header) {
    return {Index{header.index}, Term{header.term}, header.chain, Lsn{header.lsn_first + records_in(header)},
            header.timestamp_ms};
}

void finish_header(EntryHeader& header, const LogPoint& before, Term term, uint64_t now_ms) {
    header.term = raw(term);
    header.index = raw(before.index) + 1;
    header.lsn_first = raw(before.lsn_next);
    header.timestamp_ms = std::max(before.timestamp_ms, now_ms);
    header.chain = chain_after(before.chain, header);
}

const char* text_of(EntryFault fault) {
    switch (fault) {
        case EntryFault::none: return "none";
        case EntryFault::truncated: return "truncated";
        case EntryFault::reserved: return "unknown kind, codec or flags";
        case EntryFault::out_of_place: return "out of place";
        case EntryFault::chain: return "chain doesn't match";
        case EntryFault::body_checksum: return "body checksum doesn't match";
        case EntryFault::records: return "record lengths don't add up";
    }
    return "?";
}

EntryFault check_form(const EntryHeader& header) {
    if (header.kind < EntryKind::batch || header.kind > EntryKind::alarm || header.codec != 0 ||
        header.flags != 0 || header.reserved[0] != 0 || header.reserved[1] != 0)
        return EntryFault::reserved;
    if (header.kind != EntryKind::batch) {
        return header.record_count == 0 ? EntryFault::none : EntryFault::records;
    }
    if (header.record_count == 0 || uint64_t{header.record_count} * 4 > header.body_bytes)
        return EntryFault::records;
    return EntryFault::none;
}

EntryFault check_follows(const LogPoint& before, const EntryHeader& header) {
    if (header.index != raw(before.index) + 1 || header.term < raw(before.term) ||
        header.lsn_first != raw(before.lsn_next) || header.timestamp_ms < before.timestamp_ms)
        return EntryFault::out_of_place;
    if (header.chain != chain_after(before.chain, header)) return EntryFault::chain;
    return EntryFault::none;
}

EntryFault check_body(const EntryHeader& header, ByteView body) {
    if (body.size() != header.body_bytes) return EntryFault::truncated;
    if (checksum(body) != header.body_checksum) return EntryFault::body_checksum;
    if (header.kind != EntryKind::batch) return EntryFault::none;
    uint64_t total = uint64_t{header.record_count} * 4;
    if (header.record_count == 0 || total > body.size()) return EntryFault::records;
    for (uint32_t i = 0; i < header.record_count; ++i) {
        uint32_t length;
        std::memcpy(&length, body.data() + uint64_t{i} * 4, 4);
        total += length;
    }
    return total == body.size() ? EntryFault::none : EntryFault::records;
}

const EntryHeader* EntryCursor::next() {
    if (remaining() < kEntryHeaderBytes) return nullptr;
    std::memcpy(&header_, bytes_.data() + at_, kEntryHeaderBytes);
    if (remaining() < encoded_bytes(header_)) return nullptr;
    entry_ = bytes_.subspan(at_, encoded_bytes(header_));
    body_ = entry_.subspan(kEntryHeaderBytes);
    at_ += entry_.size();
    return &header_;
}

void encode_body(std::span<const ByteView> records, MutableBytes into) {
    uint64_t at = records.size() * 4;
    for (size_t i = 0; i < records.size(); ++i) {
        auto length = static_cast<uint32_t>(records[i].size());
        CHECK_LE(at + length, into.size());
        std::memcpy(into.data() + i * 4, &length, 4);
        if (length != 0) std::memcpy(into.data() + at, records[i].data(), length);
        at += length;
    }
    CHECK_EQ(at, into.size());
}

EntryHeader draft_batch(uint32_t record_count, ByteView body) {
    EntryHeader header{};
    header.kind = EntryKind::batch;
    header.record_count = record_count;
    header.body_bytes = static_cast<uint32_t>(body.size());
    header.body_checksum = checksum(body);
    return header;
}

RecordReader::RecordReader(const EntryHeader& header, ByteView body)
    : lengths_(body.first(uint64_t{header.record_count} * 4)),
      payload_(body.subspan(uint64_t{header.record_count} * 4)),
      left_(header.record_count) {}

std::optional<ByteView> RecordReader::next() {
    if (left_ == 0) return std::nullopt;
    uint32_t length;
    std::memcpy(&length, lengths_.data(), 4);
    lengths_ = lengths_.subspan(4);
    ByteView record = payload_.first(length);
    payload_ = payload_.subspan(length);
    --left_;
    return record;
}

}  // namespace raftd
