#include "wal/mend.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "wal/make.h"

namespace raftd::wal {
namespace {

void close_file(io::Files& files, io::FileId& file) {
    if (file != io::kNoFile) files.close(std::exchange(file, io::kNoFile));
}

Result<io::FileId> open_file(io::Files& files, const std::string& path, io::OpenMode mode) {
    int failed = 0;
    io::FileId file = files.open(path, mode, failed);
    if (file == io::kNoFile) return io_error(path, "open", failed);
    return file;
}

}  // namespace

bool clip(Hole& hole, const Segment& segment) {
    if (hole.from.index >= segment.logical_end.index) return false;
    if (hole.to.index <= segment.logical_end.index) return true;
    hole.to = segment.logical_end;
    hole.end_offset = segment.end_offset;  // the groups behind it go on from what was cut off
    return true;
}

std::vector<Hole> beyond(const std::vector<Hole>& known, Hole hole) {
    std::vector<Hole> parts;
    for (const Hole& other : known) {
        const bool apart = other.from.index >= hole.to.index || other.to.index <= hole.from.index;
        if (other.segment_id != hole.segment_id || apart) continue;
        if (hole.from.index < other.from.index) {
            parts.push_back(hole);
            parts.back().to = other.from;
            parts.back().end_offset = other.offset;
        }
        // Numbers only have to rise, and the groups that stood here took one each.
        hole.from = other.to;
        hole.offset = other.end_offset;
        hole.group_number = std::max(hole.group_number, other.group_number) + 1;
        hole.hard_number = std::max(hole.hard_number, other.hard_number) + 1;
        hole.hard = other.hard;
    }
    if (hole.from.index < hole.to.index) parts.push_back(std::move(hole));
    return parts;
}

Result<SegmentWalk> SegmentWalk::begin(io::Files& files, io::FileId file, const std::string& path,
                                       const Segment& segment, const Successor& next) {
    FileWindow window(files, file, kStepBytes);
    SegmentHeader header{};
    if (form_of_header(window.at(0, kBlockBytes), segment.key.id, header) != Form::good ||
        header.salt != segment.key.salt)
        return damaged_at(path, 0, "the segment's header is damaged");
    KnownBounds bounds{segment.end_offset, segment.end, true, next.id == 0};
    if (next.id != 0 && next.base.index < segment.end.index) bounds.log = next.base;
    return SegmentWalk(std::move(window), GroupsWalk(path, header, bounds), header);
}

void SegmentJob::run(io::Files& files) noexcept {
    Result<bool> done = step(files);
    if (!done) failure = done.error().what;
    finished = !done || *done;
    if (finished) end(files);
}

Result<bool> SurveyJob::step(io::Files& files) {
    if (!walk_) {
        TRY(file, open_file(files, path(), io::OpenMode::read));
        file_ = file;
        TRY(walk, SegmentWalk::begin(files, file_, path(), segment, next));
        walk_.emplace(std::move(walk));
    }
    TRY(ended, walk_->step());
    if (ended) holes = std::move(walk_->found().holes), notes = std::move(walk_->found().notes);
    return ended;
}

void SurveyJob::end(io::Files& files) { close_file(files, file_); }

Result<bool> MendJob::step(io::Files& files) {
    switch (stage_) {
        case Stage::survey: TRY_VOID(survey(files)); return false;
        case Stage::write: TRY_VOID(write(files)); return false;
        case Stage::check: TRY_VOID(check()); return false;
        case Stage::finish: TRY_VOID(finish(files)); return true;
    }
    return true;
}

void MendJob::end(io::Files& files) {
    close_file(files, old_);
    const bool made = new_ != io::kNoFile;
    close_file(files, new_);
    if (made && !failure.empty() && !in_doubt) files.remove(fresh());  // a full disk has no room for it
}

Result<void> MendJob::survey(io::Files& files) {
    if (!walk_) {
        TRY(file, open_file(files, path(), io::OpenMode::read));
        old_ = file;
        TRY(walk, SegmentWalk::begin(files, old_, path(), segment, next));
        walk_.emplace(std::move(walk));
    }
    TRY(ended, walk_->step());
    if (!ended) return {};
    TRY_VOID(compare());
    file_bytes = std::max(segment.file_bytes, walk_->header().file_bytes);
    TRY(file, open_file(files, fresh(), io::OpenMode::truncate));
    new_ = file;
    stage_ = Stage::write;
    return {};
}

/// Damage that nobody knew of is told first, and repaired in its turn.
Result<void> MendJob::compare() {
    GroupsFound& found = walk_->found();
    damaged_ = found.needless;
    damaged_.push_back({hole.offset, hole.end_offset});
    for (const Hole& other : found.holes) {
        damaged_.push_back({other.offset, other.end_offset});
        Hole in_force = other;
        if (!clip(in_force, segment) || beyond(known, in_force).empty()) continue;
        holes = std::move(found.holes);
        return damaged_at(path(), in_force.offset, "there is more damage than was known");
    }
    return {};
}

bool MendJob::is_damaged(uint64_t offset) const {
    return std::any_of(damaged_.begin(), damaged_.end(),
                       [offset](const Blocks& blocks) { return blocks.has(offset); });
}

/// The next piece of the new file, in the order of their places.
Result<void> MendJob::write_piece(io::Files& files) {
    if (at_ < kSealAt) return copy(files, kSealAt);
    if (at_ < kFirstGroupAt) return zeros(files, kFirstGroupAt);
    if (at_ < hole.offset) return copy(files, hole.offset);
    if (at_ < hole.end_offset) return fill(files);
    if (at_ < segment.end_offset) return copy(files, segment.end_offset);
    return zeros(files, file_bytes);
}

/// Each piece goes to the disk by itself, so that a sync of the log never waits behind a whole segment.
Result<void> MendJob::write(io::Files& files) {
    TRY_VOID(write_piece(files));
    if (io::FileResult done = files.sync(new_); done.error != 0) return doubt(fresh(), "sync", done.error);
    if (at_ < file_bytes) return {};
    TRY(walk, SegmentWalk::begin(files, new_, fresh(), segment, next));
    walk_.emplace(std::move(walk));
    stage_ = Stage::check;
    return {};
}

Result<void> MendJob::put(io::Files& files, uint64_t offset, ByteView bytes) {
    io::FileResult done = files.write(new_, offset, bytes);
    if (done.error == 0 && done.bytes != bytes.size()) done.error = ENOSPC;
    if (done.error != 0) return io_error(fresh(), "write", done.error);
    return {};
}

/// What can't be read may stay zero where it is known to be damaged, which no reader believes. Anywhere else
/// the mend ends: nobody else has these bytes, and they may be read another time.
Result<void> MendJob::copy(io::Files& files, uint64_t end) {
    const uint64_t bytes = std::min(kStepBytes, end - at_);
    piece_.assign(bytes, std::byte{0});
    io::FileResult got = files.read(old_, at_, piece_);
    if (got.error != 0 || got.bytes != bytes) {
        for (uint64_t from = 0; from < bytes; from += kBlockBytes) {
            MutableBytes block = MutableBytes(piece_).subspan(from, std::min(kBlockBytes, bytes - from));
            got = files.read(old_, at_ + from, block);
            if (got.error == 0 && got.bytes == block.size()) continue;
            if (!is_damaged(at_ + from))
                return damaged_at(
                    path(), at_ + from,
                    std::string("can't be read: ") + std::strerror(got.error != 0 ? got.error : EIO));
            std::fill(block.begin(), block.end(), std::byte{0});
        }
    }
    TRY_VOID(put(files, at_, piece_));
    at_ += bytes;
    return {};
}

Result<void> MendJob::zeros(io::Files& files, uint64_t end) {
    const uint64_t to = std::min(at_ + kStepBytes, end);
    if (io::FileResult done = files.fill_zeros(new_, at_, to); done.error != 0)
        return io_error(fresh(), "write", done.error);
    at_ = to;
    return {};
}

/// One group in the place of all that were lost: they had room for these entries and a header each.
Result<void> MendJob::fill(io::Files& files) {
    if (at_ == hole.offset) {
        const GroupHeader group = make_group();
        uint64_t bytes = sizeof group;
        for (const Slice& slice : entries) bytes += slice.size();
        if (bytes > group.group_bytes)
            return error(Errc::io, fresh() + ": the entries take more room than those that were lost");
        TRY_VOID(put(files, at_, {reinterpret_cast<const std::byte*>(&group), sizeof group}));
        at_ += sizeof group;
    }
    if (slice_ == entries.size()) return zeros(files, hole.end_offset);
    for (const uint64_t from = at_; slice_ < entries.size() && at_ - from < kStepBytes; ++slice_) {
        TRY_VOID(put(files, at_, entries[slice_].view()));
        at_ += entries[slice_].size();
    }
    return {};
}

GroupHeader MendJob::make_group() const {
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
    for (const Slice& slice : entries) {
        EntryCursor cursor(slice.view());
        while (cursor.next() != nullptr) ++group.entry_count;
    }
    sign(group, segment.key);
    return group;
}

/// The new file holds what the old one held, and the hole's entries.
Result<void> MendJob::check() {
    TRY(ended, walk_->step());
    if (!ended) return {};
    const GroupsFound& found = walk_->found();
    bool good = found.end.offset == segment.end_offset;
    good = good && (found.end.log.index > segment.logical_end.index || found.end.log == segment.logical_end);
    for (const Hole& left : found.holes) {
        const bool apart = left.from.index >= hole.to.index || left.to.index <= hole.from.index;
        good = good && apart && is_damaged(left.offset);
    }
    if (!good) return error(Errc::io, fresh() + ": what was written isn't what was read back");
    stage_ = Stage::finish;
    return {};
}

Result<void> MendJob::finish(io::Files& files) {
    TRY_VOID(seal(files));
    if (io::FileResult done = files.sync(new_); done.error != 0) return doubt(fresh(), "sync", done.error);
    if (io::FileResult done = files.rename(fresh(), path()); done.error != 0)
        return done.error == ENOSPC || done.error == EDQUOT ? io_error(fresh(), "rename", done.error)
                                                            : doubt(fresh(), "rename", done.error);
    if (io::FileResult done = files.sync_dir(dir); done.error != 0) return doubt(dir, "sync", done.error);
    return {};
}

Error MendJob::doubt(const std::string& what, const char* verb, int number) {
    in_doubt = true;
    return io_error(what, verb, number);
}

/// The footer is made again from the entries; while there is other damage there is none, so that a start
/// scans the file and finds it.
Result<void> MendJob::seal(io::Files& files) {
    GroupsFound& found = walk_->found();
    Segment made = segment;
    made.last_group = found.end.last_group;
    made.end = log_end = found.end.log;
    footer = {};
    if (found.holes.empty()) {
        const std::vector<std::byte> bytes = encode_footer(segment.key.id, made.end, found.index);
        footer = {segment.end_offset, bytes.size(), checksum(bytes, segment.key.salt)};
        TRY_VOID(put(files, footer.offset, bytes));
        file_bytes = std::max(file_bytes, footer.offset + footer.bytes);
    }
    std::vector<std::byte> block(kBlockBytes);
    const Seal seal = make_seal(made, footer, next.id, next.base.index + 1);
    std::memcpy(block.data(), &seal, sizeof seal);
    TRY_VOID(put(files, kSealAt, block));
    holes = std::move(found.holes);
    for (Hole& other : holes) other.what.replace(0, fresh().size(), path());
    return {};
}

}  // namespace raftd::wal
