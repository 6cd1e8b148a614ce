#include "wal/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace raftd::wal {
namespace {
constexpr uint64_t kReadAtOnceBytes = 256u << 10;
}

const Mark* mark_for(const Marks& marks, const ReadRequest& request) {
    switch (request.by) {
        case ReadRequest::By::index: return mark_for_index(marks, Index{request.value});
        case ReadRequest::By::lsn: return mark_for_lsn(marks, Lsn{request.value});
        case ReadRequest::By::time_ms: return mark_for_time(marks, request.value);
    }
    return nullptr;
}

void ReadJob::read(io::Files& files) {
    for (size_t i = 0; i < stretches.size(); ++i)
        if (!read_stretch(files, stretches[i], i == 0)) return;
}

bool ReadJob::fail(const std::string& path, uint64_t offset, const std::string& why) {
    if (bytes != 0) return false;  // what was read so far is good; the next read begins at the damage
    code = ReadCode::damaged;
    first = at_.index + 1;
    what = path + " at byte " + std::to_string(offset) + ": " + why;
    return false;
}

/// True: go on in the next stretch.
bool ReadJob::read_stretch(io::Files& files, const Stretch& stretch, bool first_stretch) {
    std::string path = segment_path(dir, stretch.key.id);
    OpenFile file(files, path, io::OpenMode::read);
    if (!file) {
        if (bytes != 0) return false;
        code = file.error() == ENOENT ? ReadCode::gone : ReadCode::failed;
        what = "can't open " + path + ": " + std::strerror(file.error());
        return false;
    }
    FileWindow window(files, file.id(), std::clamp(request.bytes_max, 2 * kBlockBytes, kReadAtOnceBytes));
    if (!first_stretch && at_ != stretch.base)
        return fail(path, 0, "the segment doesn't follow the one before it");
    find_start(window, stretch, first_stretch);
    bool more = read_entries(window, stretch, path);
    if (window.error() != 0 && code != ReadCode::ok) {
        fail(path, window.error_offset(), std::string("can't be read: ") + std::strerror(window.error()));
        return false;
    }
    return more;
}

void ReadJob::find_start(FileWindow& window, const Stretch& stretch, bool first_stretch) {
    at_ = stretch.base;
    offset_ = kFirstGroupAt;
    group_offset_ = 0;
    if (!first_stretch) return;
    if (!mark && stretch.footer.offset != 0) {
        if (std::optional<Footer> footer = read_footer(window, stretch.key, stretch.footer)) {
            marks_of = stretch.key.id;
            marks = std::make_shared<Marks>(std::move(footer->index.marks));
            if (const Mark* found = mark_for(*marks, request)) mark = *found;
        }
    }
    if (!mark) return;
    at_ = mark->before;
    offset_ = mark->offset;
    group_offset_ = mark->group_offset;
}

/// The header of the group that offset_ lies in, or that goes on behind it.
std::optional<GroupHeader> ReadJob::next_group(FileWindow& window, const Stretch& stretch) {
    GroupHeader header;
    uint64_t place = group_offset_ != 0 ? group_offset_ : offset_;
    if (is_group(window.at(place, kGroupHeaderBytes), stretch.key, place, header)) {
        if (group_offset_ != 0 || header.before == at_) return header;
        return std::nullopt;
    }
    if (group_offset_ != 0) return std::nullopt;
    // A lost group without entries is no gap (as in recovery): the later one goes on where the log stands.
    std::optional<GroupHeader> later = find_later_group(window, stretch.key, place, stretch.end_offset);
    if (later && later->before == at_) return later;
    return std::nullopt;
}

bool ReadJob::read_entries(FileWindow& window, const Stretch& stretch, const std::string& path) {
    while (at_.index < stretch.last && offset_ < stretch.end_offset) {
        std::optional<GroupHeader> group = next_group(window, stretch);
        if (!group) return fail(path, offset_, "the group here is damaged");
        const Index group_last = group->before.index + group->entry_count;
        const uint64_t group_end = group->file_offset + group->group_bytes;
        uint64_t offset = group_offset_ != 0 ? offset_ : group->file_offset + kGroupHeaderBytes;
        while (at_.index < group_last && at_.index < stretch.last) {
            EntryHeader header;
            ByteView entry;
            EntryFault fault = read_entry(window, offset, group_end, at_, Bodies::skip, header);
            bool early = fault == EntryFault::none && too_early(header);
            if (fault == EntryFault::none && !early)
                fault = read_entry(window, offset, group_end, at_, Bodies::check, header, &entry);
            if (fault != EntryFault::none)
                return fail(path, offset, std::string("damaged entry: ") + text_of(fault));
            if (Index{header.index} > request.upto) return false;
            if (!early && !take(header, entry)) return false;
            at_ = point_after(header);
            offset += encoded_bytes(header);
            if (early) continue;
            after = at_;
            if (request.upto_lsn != 0 && raw(after.lsn_next) > request.upto_lsn) return false;
        }
        offset_ = group_end;
        group_offset_ = 0;
    }
    return at_.index < request.upto;
}

bool ReadJob::too_early(const EntryHeader& header) const {
    if (bytes != 0) return false;
    switch (request.by) {
        case ReadRequest::By::index: return header.index < request.value;
        case ReadRequest::By::lsn:
            return header.kind != EntryKind::batch || header.lsn_first + header.record_count <= request.value;
        case ReadRequest::By::time_ms: return header.timestamp_ms < request.value;
    }
    return false;
}

/// False: enough was read.
bool ReadJob::take(const EntryHeader& header, ByteView entry) {
    if (bytes == 0) {
        before = at_;
        first = Index{header.index};
        if (entry.size() > into.size()) {
            bytes_needed = static_cast<uint32_t>(entry.size());
            return false;
        }
    } else if (bytes + entry.size() > request.bytes_max || bytes + entry.size() > into.size()) {
        return false;
    }
    std::memcpy(into.data() + bytes, entry.data(), entry.size());
    bytes += static_cast<uint32_t>(entry.size());
    last = Index{header.index};
    code = ReadCode::ok;
    return true;
}

}  // namespace raftd::wal
