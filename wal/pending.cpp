#include "wal/pending.h"

#include "base/check.h"

namespace raftd::wal {
namespace {

/// Headers lie unaligned in their chunk: a copy, with its length checked against what is left.
bool load_header(const Slice& from, uint32_t offset, EntryHeader& header) {
    if (from.size() - offset < kEntryHeaderBytes) return false;
    std::memcpy(&header, from.data() + offset, sizeof header);
    return from.size() - offset >= encoded_bytes(header);
}

}  // namespace

void Pending::append(const Slice& entries, uint64_t piece_bytes_max) {
    EntryHeader header{};
    uint32_t start = 0, offset = 0;
    Piece piece{};
    piece.before = end_;
    auto close = [&] {
        if (piece.entries == 0) return;
        piece.bytes = entries.part(start, offset - start);
        piece.after = end_ = point_after(header);
        pieces_.push_back(std::move(piece));
        piece = Piece{};
        piece.before = end_;
        start = offset;
    };
    uint64_t index = raw(end_.index);
    while (offset < entries.size()) {
        EntryHeader next;
        CHECK(load_header(entries, offset, next));
        CHECK_EQ(next.index, index + 1);
        bool membership = next.kind == EntryKind::membership;
        bool fits = offset - start + encoded_bytes(next) <= piece_bytes_max;
        if (membership || !fits || Term{next.term} != piece.term) close();
        if (piece.entries == 0) {
            piece.term = Term{next.term};
            piece.membership = membership;
            DCHECK(check_follows(end_, next) == EntryFault::none);
        }
        header = next;
        ++piece.entries;
        ++index;
        offset += static_cast<uint32_t>(encoded_bytes(next));
    }
    close();
}

void Pending::cut_after(Index last) {
    CHECK_GE(last, begin_.index);
    while (!pieces_.empty() && pieces_.back().before.index >= last) pieces_.pop_back();
    end_ = pieces_.empty() ? begin_ : pieces_.back().after;
    if (end_.index <= last) return;
    Piece& piece = pieces_.back();
    uint32_t offset = 0;
    EntryHeader header{};
    for (piece.entries = 0; raw(piece.before.index) + piece.entries < raw(last); ++piece.entries) {
        CHECK(load_header(piece.bytes, offset, header));
        offset += static_cast<uint32_t>(encoded_bytes(header));
    }
    piece.bytes = piece.bytes.part(0, offset);
    piece.after = end_ = point_after(header);
}

void Pending::restart(const LogPoint& begin) {
    pieces_.clear();
    begin_ = end_ = begin;
}

Piece Pending::pop() {
    Piece piece = std::move(pieces_.front());
    pieces_.pop_front();
    begin_ = piece.after;
    return piece;
}

}  // namespace raftd::wal
