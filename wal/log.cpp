#include "wal/log.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "wal/make.h"

namespace raftd::wal {
namespace {
constexpr uint64_t kMarkCacheBytes = 4u << 20;

Slice zeroed(uint32_t bytes) {
    Slice made = Chunk::make(bytes);
    std::memset(made.data(), 0, bytes);
    return made;
}
}  // namespace

Log::Log(io::World& world, const Options& options, Found found, io::FileId active, io::FileId spare)
    : world_(world),
      options_(options),
      segments_(std::move(found.segments)),
      active_index_(std::move(found.active_index)),
      active_file_(active),
      next_segment_id_(found.next_segment_id),
      pending_(segments_.back().end),
      hard_(found.hard.state),
      hard_written_(found.hard),
      header_bytes_(Chunk::make(kGroupHeaderBytes)),
      zeros_(zeroed(kBlockBytes)),
      last_group_closes_(found.last_group_closes),
      holes_(std::move(found.holes)),
      marks_(kMarkCacheBytes) {
    CHECK_GE(options_.segment_bytes, 8 * kBlockBytes);
    if (found.spare_id != 0) spare_ = {found.spare_id, found.spare_bytes, spare, Spare::State::ready};
    arm_closing();
    want_spare();
}

void Log::write(const WriteRequest& request) {
    CHECK_GT(request.id, newest_id_);
    newest_id_ = request.id;
    CHECK_GE(request.hard.term, hard_.term);
    CHECK_IMPLIES(request.hard.term == hard_.term, request.hard.vote == hard_.vote || hard_.vote == NodeId{});
    const bool cuts = request.before.index < pending_.end().index;
    const bool nothing_new = request.entries.empty() && !cuts && !cut_ && request.hard == hard_;
    if (nothing_new && !waiting_.empty()) {  // durable with what is under way
        if (group_.covers == waiting_.back().id) group_.covers = request.id;
        waiting_.back().id = request.id;
        return;
    }
    hard_ = request.hard;
    if (cuts) take_cut(request.before);
    CHECK(pending_.end() == request.before);
    const uint64_t piece_bytes_max = std::min(kMarkEveryBytes, options_.group_bytes_max);
    for (const Slice& entries : request.entries) pending_.append(entries, piece_bytes_max);
    CHECK_EQ(pending_.end().index, request.last);
    waiting_.push_back({request.id, request.last, world_.clock.now()});
    advance();
}

/// Entries behind `before` are replaced. Those that only wait are dropped here; for those on disk a roll is
/// due, since truncation never destroys bytes.
void Log::take_cut(const LogPoint& before) {
    CHECK_GE(before.index, base().index);
    ++counters_.cuts;
    for (Waiting& waiting : waiting_) waiting.last = std::min(waiting.last, before.index);
    if (before.index >= pending_.begin().index) {
        pending_.cut_after(before.index);
        return;
    }
    cut_ = Cut{before};
    pending_.restart(before);
    cut_on_disk();
    cut_reads(before.index);
    note_file_cut(before.index + 1);
}

void Log::reset(const LogPoint& base) {
    for (Waiting& waiting : waiting_) waiting.last = std::min(waiting.last, base.index);
    cut_ = Cut{base, true};
    pending_.restart(base);
    cut_on_disk();
    cut_reads(Index{});
    note_file_cut(base.index + 1);
}

/// Segments end where the cut says, also those that were written to since it was asked for.
void Log::cut_on_disk() {
    if (!cut_) return;
    if (cut_->begins_anew)
        for (Segment& segment : segments_) segment.logical_end = segment.base;
    else
        cut_segments(segments_, cut_->point);
    clip_holes();
}

LogPoint Log::base() const {
    if (cut_ && cut_->begins_anew) return cut_->point;
    if (roll_ && roll_->begins_anew) return roll_->next.base;
    return lowest_base(segments_);
}

/// Starts what is to be done next, if nothing is under way.
void Log::advance() {
    if (!lane_.idle()) return;
    if (roll_) return continue_roll();
    if (mending_ && !mending_->begun) {
        advance_mending();
        if (!lane_.idle() || roll_) return;
    }
    if (!waiting_.empty()) {
        if (cut_) return begin_roll(0);
        if (plan_group()) return submit_group(false);
        const uint64_t bytes = pending_.empty() ? 0 : pending_.front().bytes.size();
        return begin_roll(kFirstGroupAt + whole_blocks(kGroupHeaderBytes + bytes) + 4 * kBlockBytes);
    }
    if (last_group_closes_) return;
    if (closing_soon_)
        submit_group(true);
    else
        arm_closing();
}

/// Bytes for groups before the segment is full; keeps a footer's place and one block of slack.
uint64_t Log::room() const {
    const uint64_t kept = whole_blocks(footer_bytes(active_index_)) + kBlockBytes;
    const uint64_t used = active().end_offset + kept;
    return used < active().file_bytes ? active().file_bytes - used : 0;
}

/// Gathers what waits, as far as the group and the segment take it. False: the segment is full.
bool Log::plan_group() {
    CHECK(group_.pieces.empty());
    // A block stays free for the closing marker, so that an idle log never has to roll.
    const uint64_t room_bytes = room() < kBlockBytes ? 0 : room() - kBlockBytes;
    if (room_bytes < kBlockBytes) return false;
    uint64_t bytes = kGroupHeaderBytes;
    while (!pending_.empty()) {
        const uint64_t with_next = bytes + pending_.front().bytes.size();
        if (whole_blocks(with_next) > room_bytes) break;
        if (!group_.pieces.empty() && with_next - kGroupHeaderBytes > options_.group_bytes_max) break;
        bytes = with_next;
        group_.pieces.push_back(pending_.pop());
    }
    return !group_.pieces.empty() || pending_.empty();
}

NumberedHard Log::next_hard() {
    hard_written_ = {hard_written_.number + 1, hard_};
    return hard_written_;
}

void Log::submit_group(bool closing) {
    GroupHeader& header = group_.header;
    header = make_empty_group(active(), next_hard());
    group_.closing = closing;
    closing_at_ = kNever;
    lane_.parts.assign(1, header_bytes_);
    uint64_t bytes = kGroupHeaderBytes;
    group_.end = active().end;
    for (const Piece& piece : group_.pieces) {
        header.entry_count += piece.entries;
        bytes += piece.bytes.size();
        group_.end = piece.after;
        if (!lane_.parts.back().join(piece.bytes)) lane_.parts.push_back(piece.bytes);
    }
    CHECK_LE(whole_blocks(bytes), UINT32_MAX);
    header.group_bytes = static_cast<uint32_t>(whole_blocks(bytes));
    header.chain_after = group_.end.chain;
    sign(header, active().key);
    std::memcpy(header_bytes_.data(), &header, sizeof header);
    if (auto padding = static_cast<uint32_t>(header.group_bytes - bytes); padding != 0)
        lane_.parts.push_back(zeros_.part(0, padding));
    group_.covers = durable_;
    for (const Waiting& waiting : waiting_)
        if (waiting.last <= group_.end.index) group_.covers = waiting.id;
    give_to_lane(Op::group, active_file_, header.file_offset);
}

void Log::give_to_lane(Op op, io::FileId file, uint64_t offset) {
    lane_.busy = true;
    lane_.retry_at = kNever;
    lane_.op = op;
    lane_.file = file;
    lane_.offset = offset;
    world_.disk.write(file, offset, lane_.parts, true, token(op));
}

void Log::lane_done(io::Completed& done) {
    lane_.busy = false;
    if (done.error != 0 && lane_.op != Op::roll_footer) {
        // No room, most likely. The same bytes again: what was promised to nobody may still not be replaced
        // (B27).
        if (!no_room_) LogLine(world_.log, LogLevel::warn, "wal_write_refused")("errno", done.error);
        no_room_ = true;
        lane_.retry_at = world_.clock.now() + kRetryAfter;
        return;
    }
    no_room_ = false;
    ++counters_.syncs;
    for (const Slice& part : lane_.parts) counters_.bytes_written += part.size();
    lane_.parts.clear();
    switch (lane_.op) {
        case Op::group: group_done(); break;
        case Op::roll_header: write_footer(); break;
        case Op::roll_footer:
            if (done.error != 0) roll_->footer = {};  // sealed without: its readers will scan
            write_seal();
            break;
        case Op::roll_seal: finish_roll(); break;
        default: UNREACHABLE();
    }
}

void Log::group_done() {
    const GroupHeader& header = group_.header;
    uint64_t offset = header.file_offset + kGroupHeaderBytes;
    for (const Piece& piece : group_.pieces) {
        active_index_.note(piece.before, piece.term, piece.membership, offset, header.file_offset);
        offset += piece.bytes.size();
    }
    Segment& segment = active();
    segment.end = group_.end;
    segment.end_offset = header.file_offset + header.group_bytes;
    segment.last_group = header.group_number;
    segment.logical_end = segment.end;
    cut_on_disk();  // of a cut that was asked for while this group was in flight
    group_.pieces.clear();
    last_group_closes_ = group_.closing;
    ++counters_.groups;
    counters_.group_entries += header.entry_count;
    if (group_.closing) ++counters_.marker_groups;
    while (!waiting_.empty() && waiting_.front().id <= group_.covers) waiting_.pop_front();
    durable_ = std::max(durable_, group_.covers);
    advance();
}

void Log::arm_closing() {
    if (!last_group_closes_ && closing_at_ == kNever)
        closing_at_ = world_.clock.now() + options_.closing_marker_after;
}

bool Log::completed(io::Completed& done) {
    const uint64_t value = static_cast<uint64_t>(done.token);
    if (value >> 56 != options_.token_tag) return false;
    switch (static_cast<Op>(value >> 48 & 0xff)) {
        case Op::group:
        case Op::roll_header:
        case Op::roll_footer:
        case Op::roll_seal: lane_done(done); break;
        case Op::create: spare_done(done); break;
        case Op::discard:
            spare_ = {};
            want_spare();
            break;
        case Op::drop: drop_done(done.error); break;
        case Op::read: read_done(done); break;
        case Op::survey: survey_done(done); break;
        case Op::mend: mend_done(done); break;
    }
    return true;
}

std::optional<WriteId> Log::take_durable() {
    if (durable_ == durable_taken_) return std::nullopt;
    durable_taken_ = durable_;
    return durable_;
}

Instant Log::deadline() const {
    return std::min({lane_.retry_at, spare_retry_at_, drop_retry_at_, closing_at_});
}

void Log::tick(Instant now) {
    if (lane_.retry_at <= now) give_to_lane(lane_.op, lane_.file, lane_.offset);
    if (spare_retry_at_ <= now) {
        spare_retry_at_ = kNever;
        want_spare();
    }
    if (drop_retry_at_ <= now) {
        drop_retry_at_ = kNever;
        drop_more();
    }
    if (closing_at_ <= now) {
        closing_at_ = kNever;  // armed again when what is under way is done
        if (lane_.idle() && !roll_ && waiting_.empty() && !last_group_closes_) submit_group(true);
    }
}

bool Log::closed() const { return lane_.idle() && !roll_ && waiting_.empty() && last_group_closes_; }

void Log::close_soon() {
    closing_soon_ = true;
    advance();
}

std::optional<Instant> Log::oldest_unsynced() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.front().asked;
}

uint64_t Log::bytes() const {
    uint64_t sum = spare_.bytes;
    for (const Segment& segment : segments_) sum += segment.file_bytes;
    return sum;
}

Result<Recovered> open(io::World& world, const Options& options) {
    Recovered recovered;
    TRY(found, recover(world.files, options, recovered));
    int failed = 0;
    const std::string path = segment_path(options.dir, found.segments.back().key.id);
    io::FileId active = world.disk.open(path, failed);
    if (active == io::kNoFile) return io_error(path, "open", failed);
    io::FileId spare = io::kNoFile;
    if (found.spare_id != 0) {
        spare = world.disk.open(segment_path(options.dir, found.spare_id), failed);
        if (spare == io::kNoFile) return io_error(segment_path(options.dir, found.spare_id), "open", failed);
    }
    recovered.holes = found.holes;
    for (const Hole& hole : found.holes)
        LogLine(world.log, LogLevel::error, "wal_damaged")("what", hole.what)("first", hole.from.index + 1)(
            "last", hole.to.index);
    for (const std::string& note : found.notes)
        LogLine(world.log, LogLevel::warn, "wal_damage_survived")("what", note);
    LogLine(world.log, LogLevel::info, "wal_recovered")("segments", recovered.report.segments)(
        "last", recovered.last.index)("term", recovered.hard.term)("torn_bytes", recovered.report.torn_bytes)(
        "finished_roll", recovered.report.finished_roll)("bytes_read", recovered.report.bytes_read);
    recovered.wal = std::make_unique<Log>(world, options, std::move(found), active, spare);
    return recovered;
}

}  // namespace raftd::wal
