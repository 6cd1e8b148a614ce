#include "wal/scan.h"

#include <algorithm>

namespace raftd::wal {

FileWindow::FileWindow(io::Files& files, io::FileId file, uint64_t read_ahead_bytes)
    : files_(files), file_(file), read_ahead_bytes_(read_ahead_bytes) {
    io::FileResult size = files.size(file);
    file_bytes_ = size.bytes;
    error_ = size.error;
}

ByteView FileWindow::at(uint64_t offset, uint64_t bytes) {
    if (offset >= file_bytes_) return {};
    bytes = std::min(bytes, file_bytes_ - offset);
    if (offset < start_ || offset + bytes > start_ + window_.size()) {
        uint64_t wanted = std::min(std::max(bytes, read_ahead_bytes_), file_bytes_ - offset);
        window_.resize(wanted);
        io::FileResult got = files_.read(file_, offset, window_);
        if (got.error != 0 && wanted > bytes) {  // it may be what was read ahead that can't be
            window_.resize(bytes);
            got = files_.read(file_, offset, window_);
        }
        if (got.error != 0) {
            error_ = got.error;
            error_offset_ = offset;
            got.bytes = 0;
        }
        window_.resize(got.bytes);
        bytes_read_ += got.bytes;
        start_ = offset;
    }
    return ByteView(window_).subspan(offset - start_, std::min(bytes, start_ + window_.size() - offset));
}

OpenFile::OpenFile(io::Files& files, const std::string& path, io::OpenMode mode)
    : files_(files), file_(files.open(path, mode, error_)) {}

OpenFile::~OpenFile() {
    if (file_ != io::kNoFile) files_.close(file_);
}

EntryFault read_entry(FileWindow& window, uint64_t offset, uint64_t group_end, const LogPoint& before,
                      Bodies bodies, EntryHeader& header, ByteView* entry) {
    if (offset + kEntryHeaderBytes > group_end) return EntryFault::truncated;
    ByteView bytes = window.at(offset, kEntryHeaderBytes);
    if (bytes.size() != kEntryHeaderBytes) return EntryFault::truncated;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (EntryFault fault = check_form(header); fault != EntryFault::none) return fault;
    if (EntryFault fault = check_follows(before, header); fault != EntryFault::none) return fault;
    if (offset + encoded_bytes(header) > group_end) return EntryFault::truncated;
    if (bodies == Bodies::skip) return EntryFault::none;
    bytes = window.at(offset, encoded_bytes(header));
    if (bytes.size() != encoded_bytes(header)) return EntryFault::truncated;
    if (entry != nullptr) *entry = bytes;
    return check_body(header, bytes.subspan(kEntryHeaderBytes));
}

std::optional<ByteView> read_config(FileWindow& window, const ConfigPlace& place, EntryHeader& header) {
    ByteView bytes = window.at(place.offset, kEntryHeaderBytes);
    if (bytes.size() != kEntryHeaderBytes) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    const bool good = Index{header.index} == place.index && header.kind == EntryKind::membership &&
                      header.chain == chain_after(place.chain_before, header);
    if (!good) return std::nullopt;
    bytes = window.at(place.offset + kEntryHeaderBytes, header.body_bytes);
    if (check_body(header, bytes) != EntryFault::none) return std::nullopt;
    return bytes;
}

bool configs_readable(const SegmentIndex& index, FileWindow& window) {
    for (const ConfigPlace& place : index.configs) {
        EntryHeader header{};
        FileWindow small = window.another(kConfigReadBytes);  // not so much read ahead
        if (!read_config(small, place, header)) return false;
    }
    return true;
}

GroupSeen read_group(FileWindow& window, SegmentKey key, const ScanPoint& at, SegmentIndex* index) {
    GroupSeen seen;
    ByteView block = window.at(at.offset, kBlockBytes);
    if (all_zero(block)) return seen;
    seen.place = Place::bad_header;
    if (!is_group(block, key, at.offset, seen.header)) return seen;
    const GroupHeader& header = seen.header;
    // Numbers that are passed over: a hole of several groups was mended with one.
    if (header.group_number <= at.last_group || header.before != at.log) {
        seen.place = Place::misplaced;
        return seen;
    }
    seen.place = Place::bad_entries;
    seen.after = at.log;
    uint64_t offset = at.offset + kGroupHeaderBytes;
    for (uint32_t i = 0; i < header.entry_count; ++i) {
        EntryHeader entry;
        seen.fault_offset = offset;
        seen.fault =
            read_entry(window, offset, at.offset + header.group_bytes, seen.after, Bodies::check, entry);
        if (seen.fault != EntryFault::none) return seen;
        if (index != nullptr)
            index->note(seen.after, Term{entry.term}, entry.kind == EntryKind::membership, offset, at.offset);
        seen.after = point_after(entry);
        offset += encoded_bytes(entry);
    }
    if (seen.after.chain != header.chain_after) {
        seen.fault = EntryFault::chain;
        return seen;
    }
    seen.place = Place::good;
    return seen;
}

std::optional<GroupHeader> find_later_group(FileWindow& window, SegmentKey key, uint64_t after, uint64_t end,
                                            uint64_t* zeros_from) {
    end = std::min(end, window.file_bytes());
    uint64_t used = after + kBlockBytes;  // nobody looked at the first block here
    for (uint64_t offset = after + kBlockBytes; offset < end; offset += kBlockBytes) {
        GroupHeader header;
        ByteView block = window.at(offset, kBlockBytes);
        if (is_group(block, key, offset, header)) return header;
        if (zeros_from != nullptr && !all_zero(block)) used = offset + kBlockBytes;
    }
    if (zeros_from != nullptr) *zeros_from = used;
    return std::nullopt;
}

bool follows(const GroupHeader& later, const ScanPoint& at) {
    return later.before == at.log && later.group_number > at.last_group + 1 &&
           later.durable_group > at.last_group;
}

std::optional<Footer> read_footer(FileWindow& window, SegmentKey key, const FooterPlace& place) {
    if (place.offset == 0 || place.offset > window.file_bytes() ||
        place.bytes > window.file_bytes() - place.offset)
        return std::nullopt;
    return decode_footer(window.at(place.offset, place.bytes), key, place);
}

}  // namespace raftd::wal
