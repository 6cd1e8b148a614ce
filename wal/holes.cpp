// Damage of the running log: what is damaged, kept in step with cuts and removals, and how a segment gets its
// entries back. Sealed segments never change but by this, and then by a rename (H3).
#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/log.h"
#include "wal/log.h"

namespace raftd::wal {

const Segment* Log::segment_of(uint64_t id) const {
    for (const Segment& segment : segments_)
        if (segment.key.id == id) return &segment;
    return nullptr;
}
Segment* Log::segment_of(uint64_t id) { return const_cast<Segment*>(std::as_const(*this).segment_of(id)); }

Successor Log::successor_of(const Segment& segment) const {
    for (size_t i = 0; i + 1 < segments_.size(); ++i)
        if (segments_[i].key.id == segment.key.id) return {segments_[i + 1].key.id, segments_[i + 1].base};
    return {};
}

bool Log::holed(const Segment& segment) const {
    return std::any_of(holes_.begin(), holes_.end(),
                       [&](const Hole& hole) { return hole.segment_id == segment.key.id; });
}

void Log::clip_holes() {
    std::erase_if(holes_, [this](Hole& hole) {
        const Segment* segment = segment_of(hole.segment_id);
        return segment == nullptr || !clip(hole, *segment);
    });
}

void Log::survey(Index index) {
    if (surveying_id_ != 0) return;
    auto found = std::find_if(segments_.begin(), segments_.end(),
                              [&](const Segment& segment) { return segment.holds(index); });
    if (found == segments_.end() || mends(found->key.id)) return;
    auto job = std::make_unique<SurveyJob>();
    job->dir = options_.dir;
    job->segment = *found;
    job->next = successor_of(*found);
    surveying_id_ = found->key.id;
    world_.worker.submit(io::Lane::read, std::move(job), token(Op::survey));
}

void Log::survey_done(io::Completed& done) {
    auto& job = static_cast<SurveyJob&>(*done.job);
    if (!job.finished) return world_.worker.submit(io::Lane::read, std::move(done.job), token(Op::survey));
    surveying_id_ = 0;
    if (!job.failure.empty()) LogLine(world_.log, LogLevel::error, "wal_survey_failed")("why", job.failure);
    learn(job.holes);
    for (const std::string& note : job.notes)
        LogLine(world_.log, LogLevel::warn, "wal_damage_survived")("what", note);
    // It may have been the newest vote: one more group repeats it.
    if (!job.notes.empty() && job.segment.key.id == active().key.id) last_group_closes_ = false;
    advance();  // a mend may wait for it
}

/// What is known already stays as it is: it may be about to be filled.
void Log::learn(const std::vector<Hole>& found) {
    for (Hole hole : found) {
        const Segment* segment = segment_of(hole.segment_id);
        if (segment == nullptr || !clip(hole, *segment)) continue;
        for (Hole& part : beyond(holes_, hole)) {
            LogLine(world_.log, LogLevel::error, "wal_damaged")("what", part.what)(
                "first", part.from.index + 1)("last", part.to.index);
            auto behind = std::find_if(holes_.begin(), holes_.end(),
                                       [&](const Hole& other) { return other.from.index >= part.to.index; });
            holes_.insert(behind, std::move(part));
        }
    }
}

/// A whole new file, and the next segment where the active one has to be sealed for it: the segment made
/// ahead is kept for votes and rolls while the disk is full.
bool Log::room_to_mend(const Hole& hole) const {
    const Segment* segment = segment_of(hole.segment_id);
    if (segment == nullptr) return true;
    const uint64_t bytes = segment->file_bytes + (segment->sealed ? 0 : whole_blocks(options_.segment_bytes));
    return world_.disk.free_bytes() >= bytes + options_.disk_free_reserve;
}

void Log::mend(const Hole& hole, std::vector<Slice> entries) {
    CHECK(!mending_);
    mending_ = Mending{hole, std::move(entries), false};
    mended_.reset();
    advance();
}

/// The active segment is sealed first: what is being written to can't be replaced. And first comes the roll
/// that makes a cut durable: without it the log needs what was cut off, and what a clipped hole's mend drops.
void Log::advance_mending() {
    const Segment* segment = segment_of(mending_->hole.segment_id);
    const bool there =
        std::any_of(holes_.begin(), holes_.end(), [&wanted = mending_->hole](const Hole& hole) {
            return hole.segment_id == wanted.segment_id && hole.from == wanted.from && hole.to == wanted.to;
        });
    if (segment == nullptr || !there) return end_mending("it was cut off, or is no longer needed");
    if (!room_to_mend(mending_->hole)) return end_mending("there is no room for the new file");
    if (cut_ || surveying_id_ == segment->key.id) return;
    if (!segment->sealed) {
        if (spare_.state == Spare::State::ready) begin_roll(0);  // writes go on until there is one
        return;
    }
    auto job = std::make_unique<MendJob>();
    job->dir = options_.dir;
    job->segment = *segment;
    job->next = successor_of(*segment);
    job->hole = mending_->hole;
    std::copy_if(holes_.begin(), holes_.end(), std::back_inserter(job->known),
                 [&](const Hole& hole) { return hole.segment_id == segment->key.id; });
    job->entries = std::move(mending_->entries);
    mending_->begun = true;
    world_.worker.submit(io::Lane::transfer, std::move(job), token(Op::mend));
}

void Log::mend_done(io::Completed& done) {
    auto& job = static_cast<MendJob&>(*done.job);
    if (!job.finished) return world_.worker.submit(io::Lane::transfer, std::move(done.job), token(Op::mend));
    if (job.in_doubt) fatal(ExitCode::sync_failed, job.failure);
    Segment* segment = segment_of(job.segment.key.id);
    if (job.failure.empty() && segment != nullptr) {
        segment->footer = job.footer;
        segment->file_bytes = job.file_bytes;
        segment->end = job.log_end;
        marks_.forget(segment->key.id);
        std::erase_if(holes_, [&](const Hole& hole) {
            return hole.segment_id == job.hole.segment_id && hole.from == job.hole.from;
        });
    }
    learn(job.holes);
    end_mending(std::move(job.failure));
    drop_more();
}

void Log::end_mending(std::string failure) {
    mended_ = Mended{std::move(mending_->hole), std::move(failure)};
    mending_.reset();
}

}  // namespace raftd::wal
