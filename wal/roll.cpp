// Segments of the running log: making the next one ahead, rolling into it, removing old ones.
#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/checksum.h"
#include "base/log.h"
#include "base/planted.h"
#include "wal/log.h"
#include "wal/make.h"

namespace raftd::wal {
namespace {

/// One block that begins with `value`.
template <class T>
Slice block_of(const T& value) {
    Slice block = Chunk::make(kBlockBytes);
    std::memset(block.data(), 0, kBlockBytes);
    std::memcpy(block.data(), &value, sizeof value);
    return block;
}

}  // namespace

/// Requires: the lane is idle, so every group is synced.
void Log::begin_roll(uint64_t file_bytes_min) {
    roll_ = Roll{};
    roll_->file_bytes_min = file_bytes_min;
    continue_roll();
}

void Log::continue_roll() {
    if (!lane_.idle() || roll_->stage != Roll::Stage::spare) return;
    if (spare_.state == Spare::State::ready) {
        if (spare_.bytes >= roll_->file_bytes_min) return write_roll_header();
        // Too small for the entry that waits: another takes its place, under a number of its own.
        spare_.state = Spare::State::discarding;
        world_.disk.close(spare_.file);
        world_.disk.remove(segment_path(options_.dir, spare_.id), token(Op::discard));
        return;
    }
    want_spare();
    if (spare_.state == Spare::State::none) no_room_ = true;
}

void Log::write_roll_header() {
    roll_->stage = Roll::Stage::header;
    Segment& next = roll_->next;
    next.key = {spare_.id, new_salt(options_, spare_.id)};
    next.file_bytes = spare_.bytes;
    next.base = next.end = next.logical_end = pending_.begin();
    roll_->begins_anew = cut_ && cut_->begins_anew;
    cut_.reset();  // from here on a cut is one of the new segment's base
    lane_.parts.assign(1, block_of(make_segment_header(options_, next.key, next.base, &active(), next_hard(),
                                                       next.file_bytes, roll_->begins_anew)));
    give_to_lane(Op::roll_header, spare_.file, 0);
}

void Log::write_footer() {
    roll_->stage = Roll::Stage::footer;
    // With a hole not all is known of the entries: a start is to scan the file.
    if (holed(active())) return write_seal();
    std::vector<std::byte> footer = encode_footer(active().key.id, active().end, active_index_);
    roll_->footer = {active().end_offset, footer.size(), checksum(footer, active().key.salt)};
    lane_.parts.assign(1, Slice::copy_of(footer));
    give_to_lane(Op::roll_footer, active_file_, roll_->footer.offset);
}

void Log::write_seal() {
    roll_->stage = Roll::Stage::seal;
    const Segment& next = roll_->next;
    lane_.parts.assign(1, block_of(make_seal(active(), roll_->footer, next.key.id, next.base.index + 1)));
    give_to_lane(Op::roll_seal, active_file_, kSealAt);
}

void Log::finish_roll() {
    Segment& old = active();
    old.sealed = true;
    old.footer = roll_->footer;
    marks_.keep(old.key.id, std::make_shared<Marks>(std::move(active_index_.marks)));
    LogLine(world_.log, LogLevel::debug, "wal_rolled")("segment", roll_->next.key.id)("base",
                                                                                      roll_->next.base.index);
    world_.disk.close(active_file_);
    if (roll_->begins_anew) {
        for (const Segment& segment : segments_) void_ids_.push_back(segment.key.id);
        segments_.clear();
    }
    segments_.push_back(roll_->next);
    cut_on_disk();
    active_index_ = {};
    active_file_ = spare_.file;
    spare_ = {};
    roll_.reset();
    last_group_closes_ = true;  // the seal witnesses the last group of the old segment
    closing_at_ = kNever;
    ++counters_.rolls;
    // The new header holds the newest hard state: what asked for no more is durable without a group.
    const bool whole = !cut_ && hard_ == hard_written_.state;
    while (whole && !waiting_.empty() && waiting_.front().last <= active().base.index) {
        durable_ = waiting_.front().id;
        waiting_.pop_front();
    }
    clip_holes();
    want_spare();
    drop_more();
    advance();
}

/// Makes the next segment ahead, in the background. Below the reserve none is made: the one that is there is
/// the reserve, and without it a roll waits for room (H19).
void Log::want_spare() {
    if (spare_.state != Spare::State::none || spare_retry_at_ != kNever) return;
    if (world_.disk.free_bytes() < options_.disk_free_reserve) {
        spare_retry_at_ = world_.clock.now() + kSpareRetryAfter;
        return;
    }
    spare_.state = Spare::State::creating;
    spare_.id = next_segment_id_++;
    spare_.bytes = whole_blocks(std::max(options_.segment_bytes, roll_ ? roll_->file_bytes_min : 0));
    // The name must be durable before the old segment's seal names it; a lost name is a lost log (B65).
    const bool sync_dir = !planted(PlantedBug::skip_directory_sync);
    // Always zeros, however fast the log grows: syncs of a merely allocated file were 10 x slower under load
    // than those of one whose blocks were written while another was in use (ext4, 3 members, 250 KiB a
    // group).
    world_.disk.create(segment_path(options_.dir, spare_.id), spare_.bytes, io::Prefill::zeros, sync_dir,
                       token(Op::create));
}

void Log::spare_done(io::Completed& done) {
    if (done.error != 0) {
        LogLine(world_.log, LogLevel::warn, "wal_segment_refused")("errno", done.error)("bytes",
                                                                                        spare_.bytes);
        spare_ = {};
        spare_retry_at_ = world_.clock.now() + kSpareRetryAfter;
        if (roll_) no_room_ = true;
        return;
    }
    spare_.file = done.file;
    spare_.state = Spare::State::ready;
    if (roll_ && roll_->stage == Roll::Stage::spare) no_room_ = false;
    advance();
}

void Log::drop_below(const LogPoint& point) {
    if (point.index > drop_point_.index) drop_point_ = point;
    drop_more();
}

LogPoint Log::droppable(Index upto, uint64_t keep_bytes) const {
    uint64_t left = 0;
    for (const Segment& segment : segments_) left += segment.file_bytes;
    size_t keep = 0;
    while (keep + 1 < segments_.size()) {
        const Segment& oldest = segments_[keep];
        if (!oldest.sealed || oldest.logical_end.index > upto || left - oldest.file_bytes < keep_bytes) break;
        left -= oldest.file_bytes;
        ++keep;
    }
    return lowest_base({segments_.begin() + static_cast<std::ptrdiff_t>(keep), segments_.end()});
}

/// Oldest first, one at a time, each removal synced before the next: what is left never has a gap.
void Log::drop_more() {
    if (dropping_) return;
    if (dropping_id_ == 0 && !void_ids_.empty()) {
        if (mends(void_ids_.front())) return;  // its name would come back
        dropping_id_ = void_ids_.front();
        void_ids_.pop_front();
        marks_.forget(dropping_id_);
    } else if (dropping_id_ == 0) {
        if (drop_point_.index == Index{}) return;
        const Segment& oldest = segments_.front();
        if (segments_.size() < 2 || !oldest.sealed || oldest.logical_end.index > drop_point_.index) return;
        if (mends(oldest.key.id)) return;
        dropping_id_ = oldest.key.id;
        marks_.forget(dropping_id_);
        segments_.erase(segments_.begin());
        clip_holes();
    }
    dropping_ = true;
    world_.disk.remove(segment_path(options_.dir, dropping_id_), token(Op::drop));
}

void Log::drop_done(int failed) {
    dropping_ = false;
    if (failed != 0 && failed != ENOENT) {
        drop_retry_at_ = world_.clock.now() + kRetryAfter;
        return;
    }
    dropping_id_ = 0;
    drop_more();
}

}  // namespace raftd::wal
