// Damage of the running log: what is damaged, kept in step with cuts and removals, and how a segment gets its
// entries back. Sealed segments never change but by this, and then by a rename (H3).
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "wal/log.h"

namespace raftd::wal {

Segment* Log::segment_of(uint64_t id) {
    for (Segment& segment : segments_)
        if (segment.key.id == id) return &segment;
    return nullptr;
}

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
    surveying_id_ = 0;
    if (!job.failure.empty()) LogLine(world_.log, LogLevel::error, "wal_survey_failed")("why", job.failure);
    learn(job.holes);
}

/// A hole that is known already stays as it is: it may be about to be filled.
void Log::learn(std::vector<Hole>& found) {
    for (Hole& hole : found) {
        const bool known = std::any_of(holes_.begin(), holes_.end(), [&](const Hole& other) {
            return other.from.index < hole.to.index && hole.from.index < other.to.index;
        });
        const Segment* segment = segment_of(hole.segment_id);
        if (known || segment == nullptr || !clip(hole, *segment)) continue;
        LogLine(world_.log, LogLevel::error, "wal_damaged")("what", hole.what)("first", hole.from.index + 1)(
            "last", hole.to.index);
        auto behind = std::find_if(holes_.begin(), holes_.end(),
                                   [&](const Hole& other) { return other.from.index >= hole.to.index; });
        holes_.insert(behind, std::move(hole));
    }
}

void Log::mend(const Hole& hole, std::vector<Slice> entries) {
    CHECK(!mending_);
    mending_ = Mending{hole, std::move(entries), false};
    mended_.reset();
    advance();
}

/// The active segment is sealed first: what is being written to can't be replaced.
void Log::advance_mending() {
    const Segment* segment = segment_of(mending_->hole.segment_id);
    const bool there = std::any_of(holes_.begin(), holes_.end(), [this](const Hole& hole) {
        return hole.from == mending_->hole.from && hole.to == mending_->hole.to;
    });
    if (segment == nullptr || !there) return end_mending("it was cut off, or is no longer needed");
    if (!segment->sealed) return begin_roll(0);
    auto job = std::make_unique<MendJob>();
    job->dir = options_.dir;
    job->segment = *segment;
    job->next = successor_of(*segment);
    job->hole = mending_->hole;
    job->entries = std::move(mending_->entries);
    mending_->begun = true;
    world_.worker.submit(io::Lane::transfer, std::move(job), token(Op::mend));
}

void Log::mend_done(io::Completed& done) {
    auto& job = static_cast<MendJob&>(*done.job);
    Segment* segment = segment_of(job.segment.key.id);
    if (job.failure.empty() && segment != nullptr) {
        segment->footer = job.footer;
        segment->file_bytes = job.file_bytes;
        marks_.forget(segment->key.id);
        std::erase_if(holes_, [&](const Hole& hole) { return hole.from == job.hole.from; });
        learn(job.left);
    }
    end_mending(std::move(job.failure));
    drop_more();
}

void Log::end_mending(std::string failure) {
    mended_ = Mended{std::move(mending_->hole), std::move(failure)};
    mending_.reset();
}

}  // namespace raftd::wal
