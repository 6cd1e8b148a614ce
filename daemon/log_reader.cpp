#include "daemon/log_reader.h"

#include <algorithm>

#include "base/check.h"
#include "snapshot/archive_reader.h"

namespace raftd::daemon {
namespace {

using By = wal::ReadRequest::By;
using Who = ReadFor::Who;

/// Memory for one read of an archive, whatever is asked for; a single entry may be larger.
constexpr size_t kDamagedKept = 64;
constexpr uint64_t kRoomMin = 64u << 10, kRoomMax = 16u << 20;

bool from_archives(Who who) {
    return who == Who::tail || who == Who::compaction || who == Who::state || who == Who::point_asked ||
           who == Who::repair || who == Who::serve;
}

/// The log behind `point` begins behind what is sought.
bool is_below(const wal::ReadRequest& request, const LogPoint& point) {
    switch (request.by) {
        case By::index: return request.value <= raw(point.index);
        case By::lsn: return request.value < raw(point.lsn_next);
        case By::time_ms: return request.value <= point.timestamp_ms && point.index != Index{};
    }
    return false;
}

wal::ReadCode code_of(const Error& fault) {
    switch (fault.code) {
        case Errc::not_found: return wal::ReadCode::gone;  // removed since it was chosen
        case Errc::damaged: return wal::ReadCode::damaged;
        default: return wal::ReadCode::failed;
    }
}

}  // namespace

/// One read of one archive, for Lane::read.
struct LogReader::ArchiveJob final : io::Job {
    std::string dir;
    snapshot::ArchiveInfo archive;
    snapshot::ArchiveSeek seek;
    Slice into;
    Result<snapshot::ArchiveRun> run_read{snapshot::ArchiveRun{}};

    void run(io::Files& files) noexcept override { run_read = read(files); }
    Result<snapshot::ArchiveRun> read(io::Files& files) {
        TRY(reader, snapshot::ArchiveReader::open(files, dir + "/" + archive.name()));
        if (reader.info() != archive)
            return error(Errc::damaged,
                         dir + "/" + archive.name() + " at byte 0: not the archive that the snapshot names");
        return reader.read(seek, into.writable());
    }
};

LogReader::LogReader(Context& context, Replica& replica, wal::Wal& wal)
    : context_(context), replica_(replica), wal_(wal) {}
LogReader::~LogReader() = default;

std::optional<Index> LogReader::in_memory(Index first, Index upto, uint64_t bytes_max,
                                          std::vector<Slice>& out) const {
    const LogBuffer& buffer = replica_.buffer();
    if (!buffer.holds(first)) return std::nullopt;
    Index last = buffer.last_within(first, std::min(upto, buffer.last()), bytes_max);
    buffer.slices(first, last, out);
    return last;
}

LogPoint LogReader::base() const { return archives_.empty() ? wal_.base() : archives_.front().before; }

uint64_t LogReader::archive_bytes() const {
    uint64_t bytes = 0;
    for (const auto& archive : archives_) bytes += archive.file_bytes;
    return bytes;
}

/// The one that holds what is sought; nothing: segments do, or nothing does any more.
const snapshot::ArchiveInfo* LogReader::archive_for(const wal::ReadRequest& request) const {
    if (!context_.options.archives_first && !is_below(request, wal_.base())) return nullptr;
    return archive_with(request);
}

const snapshot::ArchiveInfo* LogReader::archive_with(const wal::ReadRequest& request) const {
    if (archives_.empty()) return nullptr;
    if (request.by != By::time_ms && is_below(request, archives_.front().before)) return nullptr;
    auto found = std::find_if(archives_.begin(), archives_.end(),
                              [&](const auto& archive) { return is_below(request, archive.end); });
    return found == archives_.end() ? nullptr : &*found;
}

void LogReader::from_files(const wal::ReadRequest& request, const ReadFor& purpose) {
    ++context_.counters.log_reads;
    const Pending pending{request, purpose};
    const snapshot::ArchiveInfo* archive = from_archives(purpose.who) ? archive_for(request) : nullptr;
    if (archive != nullptr) return read_archive(*archive, pending, 0);
    under_way_.emplace(++cookie_last_, pending);
    wal_.read(request, cookie_last_);
}

void LogReader::read_archive(const snapshot::ArchiveInfo& archive, const Pending& pending, uint32_t room) {
    const wal::ReadRequest& request = pending.request;
    auto job = std::make_unique<ArchiveJob>();
    job->dir = context_.dir.path + "/snapshot";
    job->archive = archive;
    job->seek = {static_cast<snapshot::ArchiveSeek::By>(request.by), request.value, request.upto,
                 request.bytes_max, request.upto_lsn};
    const uint64_t wanted = std::min(request.bytes_max, archive.content_bytes);
    job->into = Chunk::make(std::max(room, static_cast<uint32_t>(std::clamp(wanted, kRoomMin, kRoomMax))));
    under_way_.emplace(++cookie_last_, pending);
    context_.world.worker.submit(io::Lane::read, std::move(job), make_token(TokenTag::archive, cookie_last_));
}

void LogReader::completed(io::Completed& done) {
    auto found = under_way_.find(number_of(done.token));
    CHECK(found != under_way_.end());
    const Pending pending = found->second;
    under_way_.erase(found);
    auto& job = *static_cast<ArchiveJob*>(done.job.get());
    wal::ReadResult result;
    if (!job.run_read) {
        result.code = code_of(job.run_read.error());
        if (result.code == wal::ReadCode::damaged) damaged_files_.insert(job.archive.name());
        result.what = job.run_read.error().what;
    } else if (job.run_read->bytes_needed !=
               0) {  // one entry larger than asked for: again, with memory for it
        return read_archive(job.archive, pending, job.run_read->bytes_needed);
    } else if (job.run_read->bytes == 0) {
        result.code = wal::ReadCode::beyond;
    } else {
        const snapshot::ArchiveRun& run = *job.run_read;
        result.code = wal::ReadCode::ok;
        result.before = run.before;
        result.after = run.after;
        result.entries = job.into.part(0, run.bytes);
        result.first = run.first;
        result.last = run.last;
    }
    done_.push_back({pending.purpose, std::move(result)});
}

std::optional<LogReader::Done> LogReader::take() {
    while (std::optional<wal::ReadResult> result = wal_.take_read()) {
        auto found = under_way_.find(result->cookie);
        CHECK(found != under_way_.end());
        const Pending pending = found->second;
        under_way_.erase(found);
        if (result->code == wal::ReadCode::damaged && damaged_entries_.size() < kDamagedKept)
            damaged_entries_.insert(result->first);
        // Segments may have gone since it began, or are damaged, and archives hold what they held.
        const bool elsewhere =
            (result->code == wal::ReadCode::gone || result->code == wal::ReadCode::damaged) &&
            from_archives(pending.purpose.who);
        if (const auto* archive = elsewhere ? archive_with(pending.request) : nullptr)
            read_archive(*archive, pending, 0);
        else
            done_.push_back({pending.purpose, std::move(*result)});
    }
    if (done_.empty()) return std::nullopt;
    Done done = std::move(done_.front());
    done_.pop_front();
    return done;
}

}  // namespace raftd::daemon
