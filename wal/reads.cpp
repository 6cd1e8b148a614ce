// Reads of the running log: chooses the stretches of files that are in force and gives them to a job
// (wal/reader.h).
#include <algorithm>

#include "wal/log.h"

namespace raftd::wal {
namespace {

/// Reads that span more segments than this end there; the next read goes on.
constexpr size_t kStretchesMax = 8;
/// Memory for one read, whatever is asked for; a single entry may be larger.
constexpr uint64_t kReadBytesMax = 16u << 20;
constexpr size_t kCutsKept = 16;

bool begins_in(const Segment& segment, const ReadRequest& request) {
    if (segment.logical_end.index <= segment.base.index) return false;
    switch (request.by) {
        case ReadRequest::By::index: return segment.holds(Index{request.value});
        case ReadRequest::By::lsn: return raw(segment.logical_end.lsn_next) > request.value;
        case ReadRequest::By::time_ms: return segment.logical_end.timestamp_ms >= request.value;
    }
    return false;
}

bool is_gone(const LogPoint& base, const ReadRequest& request) {
    switch (request.by) {
        case ReadRequest::By::index: return request.value <= raw(base.index);
        case ReadRequest::By::lsn: return request.value < raw(base.lsn_next);
        case ReadRequest::By::time_ms: return false;
    }
    return false;
}

void take_result(ReadJob& job, ReadResult& result) {
    if (job.code != ReadCode::ok) {
        result.what = job.what;
        result.first = job.first;
        return;
    }
    result.before = job.before;
    result.after = job.after;
    result.entries = job.into.part(0, job.bytes);
    result.first = job.first;
    result.last = job.last;
}

}  // namespace

std::unique_ptr<ReadJob> Log::make_read(const ReadRequest& request) {
    auto job = std::make_unique<ReadJob>();
    job->dir = options_.dir;
    job->request = request;
    Index on_disk = active().logical_end.index;
    if (cut_) on_disk = std::min(on_disk, cut_->point.index);
    job->request.upto = std::min(request.upto, on_disk);
    uint64_t bytes = 0;
    if (is_gone(base(), request)) {
        job->code = ReadCode::gone;
    } else {
        auto first = std::find_if(segments_.begin(), segments_.end(),
                                  [&](const Segment& segment) { return begins_in(segment, request); });
        for (auto it = first; it != segments_.end(); ++it) {
            if (it->logical_end.index <= it->base.index) continue;
            if (bytes >= request.bytes_max || job->stretches.size() == kStretchesMax) break;
            job->stretches.push_back({it->key, it->base, it->logical_end.index, it->end_offset, it->footer});
            uint64_t from = kFirstGroupAt;
            if (it == first) {
                std::shared_ptr<const Marks> cached = marks_.find(it->key.id);
                const Mark* mark = it->sealed ? cached ? mark_for(*cached, request) : nullptr
                                              : mark_for(active_index_.marks, request);
                if (mark != nullptr) job->mark = *mark;
                if (mark != nullptr) from = mark->offset;
            }
            bytes += it->end_offset - from;
        }
    }
    // The job fills memory that was made here: chunks are counted on the loop thread only.
    if (!job->stretches.empty()) {
        const uint64_t most = std::clamp(request.bytes_max, kBlockBytes, kReadBytesMax);
        job->into = Chunk::make(static_cast<uint32_t>(std::clamp(bytes, kBlockBytes, most)));
    }
    return job;
}

std::string Log::file_of(Index index) const {
    for (const Segment& segment : segments_)
        if (segment.holds(index)) return segment_path(options_.dir, segment.key.id);
    return {};
}

void Log::read(const ReadRequest& request, uint64_t cookie) {
    std::unique_ptr<ReadJob> job = make_read(request);
    io::Token ticket = token(Op::read);
    reads_.emplace(static_cast<uint64_t>(ticket), ReadUnderWay{request, cookie});
    world_.worker.submit(io::Lane::read, std::move(job), ticket);
}

void Log::cut_reads(Index last) {
    for (auto& [ticket, read] : reads_) read.cut_after = std::min(read.cut_after, last);
}

void Log::note_file_cut(Index first) {
    while (!file_cuts_.empty() && file_cuts_.back().second >= first) file_cuts_.pop_back();
    file_cuts_.emplace_back(++file_cuts_count_, first);
    if (file_cuts_.size() <= kCutsKept) return;
    file_cuts_[1].second = file_cuts_[0].second;
    file_cuts_.pop_front();
}

std::optional<Index> Log::cut_since(uint64_t& seen) const {
    std::optional<Index> lowest;
    for (const auto& [number, first] : file_cuts_)
        if (number > seen && (!lowest || first < *lowest)) lowest = first;
    seen = file_cuts_count_;
    return lowest;
}

void Log::read_done(io::Completed& done) {
    auto place = reads_.find(static_cast<uint64_t>(done.token));
    if (place == reads_.end()) return;
    auto* job = static_cast<ReadJob*>(done.job.get());
    if (job->marks) marks_.keep(job->marks_of, std::move(job->marks));
    const ReadUnderWay read = place->second;
    reads_.erase(place);
    const bool was_cut = read.cut_after != Index{UINT64_MAX};
    if (job->bytes_needed != 0 && !was_cut) {  // one entry larger than asked for: again, with memory for it
        job->into = Chunk::make(job->bytes_needed);
        job->bytes_needed = 0;
        job->code = ReadCode::beyond;
        io::Token ticket = token(Op::read);
        reads_.emplace(static_cast<uint64_t>(ticket), read);
        std::unique_ptr<io::Job> again = std::move(done.job);
        world_.worker.submit(io::Lane::read, std::move(again), ticket);
        return;
    }
    ReadResult result;
    result.cookie = read.cookie;
    result.code = job->code;
    if (was_cut && (job->code != ReadCode::ok || job->last > read.cut_after)) {
        result.code = ReadCode::gone;
    } else {
        take_result(*job, result);
    }
    reads_done_.push_back(std::move(result));
}

ReadResult Log::read_now(const ReadRequest& request) {
    std::unique_ptr<ReadJob> job = make_read(request);
    job->read(world_.files);
    if (job->bytes_needed != 0) {
        job->into = Chunk::make(job->bytes_needed);
        job->bytes_needed = 0;
        job->code = ReadCode::beyond;
        job->read(world_.files);
    }
    ReadResult result;
    result.code = job->code;
    take_result(*job, result);
    return result;
}

std::optional<ReadResult> Log::take_read() {
    if (reads_done_.empty()) return std::nullopt;
    ReadResult result = std::move(reads_done_.front());
    reads_done_.pop_front();
    return result;
}

}  // namespace raftd::wal
