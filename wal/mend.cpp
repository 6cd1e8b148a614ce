#include "wal/mend.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "wal/groups.h"
#include "wal/make.h"

namespace raftd::wal {
namespace {

constexpr uint64_t kCopyBytes = 1u << 20;

Result<void> put(io::Files& files, io::FileId file, uint64_t offset, ByteView bytes) {
    io::FileResult done = files.write(file, offset, bytes);
    if (done.error == 0 && done.bytes != bytes.size()) done.error = ENOSPC;
    if (done.error != 0) return error(Errc::io, std::strerror(done.error));
    return {};
}

/// The groups of a segment whose end is known.
Result<GroupsFound> scan(io::Files& files, io::FileId file, const std::string& path, const Segment& segment,
                         const Successor& next) {
    FileWindow window(files, file, kCopyBytes);
    SegmentHeader header{};
    if (form_of_header(window.at(0, kBlockBytes), segment.key.id, header) != Form::good ||
        header.salt != segment.key.salt)
        return damaged_at(path, 0, "the segment's header is damaged");
    KnownBounds bounds{segment.end_offset, segment.end, true, next.id == 0};
    if (next.id != 0 && next.base.index < segment.end.index) bounds.log = next.base;
    std::vector<std::string> notes;
    return find_groups(window, path, header, bounds, notes);
}

}  // namespace

bool clip(Hole& hole, const Segment& segment) {
    if (hole.from.index >= segment.logical_end.index) return false;
    if (hole.to.index <= segment.logical_end.index) return true;
    hole.to = segment.logical_end;
    hole.end_offset = segment.end_offset;  // the groups behind it go on from what was cut off
    return true;
}

void SurveyJob::run(io::Files& files) noexcept {
    const std::string path = segment_path(dir, segment.key.id);
    OpenFile file(files, path, io::OpenMode::read);
    if (!file) {
        failure = "can't open " + path + ": " + std::strerror(file.error());
        return;
    }
    Result<GroupsFound> found = scan(files, file.id(), path, segment, next);
    if (found)
        holes = std::move(found->holes);
    else
        failure = found.error().what;
}

void MendJob::run(io::Files& files) noexcept {
    Result<void> done = mend(files);
    if (done) return;
    failure = done.error().what;
    files.remove(segment_path(dir, segment.key.id) + kMendSuffix);  // a full disk has no room for it
}

Result<void> MendJob::mend(io::Files& files) {
    const std::string path = segment_path(dir, segment.key.id), fresh = path + kMendSuffix;
    OpenFile old(files, path, io::OpenMode::read);
    if (!old) return io_error(path, "open", old.error());
    OpenFile file(files, fresh, io::OpenMode::truncate);
    if (!file) return io_error(fresh, "make", file.error());
    SegmentHeader header{};
    FileWindow window(files, old.id(), kBlockBytes);
    if (form_of_header(window.at(0, kBlockBytes), segment.key.id, header) != Form::good)
        return damaged_at(path, 0, "the segment's header is damaged");
    TRY_VOID(copy(files, old.id(), file.id(), 0, kSealAt));
    if (io::FileResult done = files.fill_zeros(file.id(), kSealAt, kFirstGroupAt); done.error != 0)
        return io_error(fresh, "write", done.error);
    TRY_VOID(copy(files, old.id(), file.id(), kFirstGroupAt, hole.offset));
    TRY_VOID(fill(files, file.id(), header));
    TRY_VOID(copy(files, old.id(), file.id(), hole.end_offset, segment.end_offset));
    file_bytes = std::max(segment.file_bytes, header.file_bytes);
    if (io::FileResult done = files.fill_zeros(file.id(), segment.end_offset, file_bytes); done.error != 0)
        return io_error(fresh, "write", done.error);
    TRY(found, scan(files, file.id(), fresh, segment, next));
    for (const Hole& other : found.holes)
        if (other.from.index < hole.to.index && other.to.index > hole.from.index)
            return error(Errc::io, fresh + ": what was written isn't what was read back");
    TRY_VOID(seal(files, file.id(), found));
    left = std::move(found.holes);
    for (Hole& other : left) other.what.replace(0, fresh.size(), path);
    if (io::FileResult done = files.sync(file.id()); done.error != 0)
        return io_error(fresh, "sync", done.error);
    if (io::FileResult done = files.rename(fresh, path); done.error != 0)
        return io_error(fresh, "rename", done.error);
    if (io::FileResult done = files.sync_dir(dir); done.error != 0) return io_error(dir, "sync", done.error);
    return {};
}

/// What can't be read is left zero: it is damage of its own, which the scan behind this finds.
Result<void> MendJob::copy(io::Files& files, io::FileId from, io::FileId to, uint64_t begin,
                           uint64_t end) const {
    std::vector<std::byte> piece;
    for (uint64_t at = begin; at < end;) {
        piece.assign(std::min(kCopyBytes, end - at), std::byte{0});
        io::FileResult got = files.read(from, at, piece);
        if (got.error != 0) {
            piece.assign(std::min(kBlockBytes, end - at), std::byte{0});
            got = files.read(from, at, piece);
            if (got.error != 0) std::fill(piece.begin(), piece.end(), std::byte{0});
        }
        TRY_VOID(put(files, to, at, piece));
        at += piece.size();
    }
    return {};
}

/// One group in the place of all that were lost: they had room for these entries and a header each.
Result<void> MendJob::fill(io::Files& files, io::FileId to, const SegmentHeader& header) const {
    GroupHeader group{};
    group.magic_version = kGroupMagic;
    group.segment_id = segment.key.id;
    group.group_number = hole.group_number;
    group.file_offset = hole.offset;
    group.durable_group = hole.group_number - 1;
    // Which vote stood here isn't known and doesn't matter: later groups have higher numbers.
    group.hard = {hole.hard_number + 1, hole.hard};
    group.before = hole.from;
    group.chain_after = hole.to.chain;
    group.group_bytes = static_cast<uint32_t>(hole.end_offset - hole.offset);
    uint64_t at = hole.offset + kGroupHeaderBytes;
    for (const Slice& slice : entries) {
        EntryCursor cursor(slice.view());
        while (cursor.next() != nullptr) ++group.entry_count;
        if (at + slice.size() > hole.end_offset)
            return error(Errc::io, "the entries take more room than those that were lost");
        TRY_VOID(put(files, to, at, slice.view()));
        at += slice.size();
    }
    sign(group, {header.segment_id, header.salt});
    TRY_VOID(put(files, to, hole.offset, {reinterpret_cast<const std::byte*>(&group), sizeof group}));
    if (io::FileResult done = files.fill_zeros(to, at, hole.end_offset); done.error != 0)
        return error(Errc::io, std::strerror(done.error));
    return {};
}

/// The footer is made again from the entries; while there is other damage there is none, so that a start
/// scans the file and finds it.
Result<void> MendJob::seal(io::Files& files, io::FileId to, const GroupsFound& found) {
    Segment made = segment;
    made.last_group = found.end.last_group;
    footer = {};
    if (found.holes.empty()) {
        std::vector<std::byte> bytes = encode_footer(segment.key.id, found.end.log, found.index);
        footer = {segment.end_offset, bytes.size(), checksum(bytes, segment.key.salt)};
        TRY_VOID(put(files, to, footer.offset, bytes));
        file_bytes = std::max(file_bytes, footer.offset + footer.bytes);
    }
    std::vector<std::byte> block(kBlockBytes);
    const Seal seal = make_seal(made, footer, next.id, next.base.index + 1);
    std::memcpy(block.data(), &seal, sizeof seal);
    return put(files, to, kSealAt, block);
}

}  // namespace raftd::wal
