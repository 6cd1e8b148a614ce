#include "daemon/compaction.h"

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "base/planted.h"
#include "daemon/freeze.h"

namespace raftd::daemon {
namespace {

constexpr uint64_t kArchivedAtOnceBytes = 1u << 20;  // read and archived at once
constexpr Duration kCompactAgainAfter = seconds(1);
constexpr uint32_t kCompactAgainDoublings = 6;  // 1 s to 64 s between tries
constexpr size_t kDigestsKept = 64;
constexpr size_t kSweepFrom = 8;  // files that are in nobody's way

snapshot::SnapshotConfig config_of(Index index, std::string_view body) {
    std::optional<Configuration> config = decode_configuration(index, as_bytes(body));
    CHECK(config.has_value());  // the state keeps only such
    snapshot::SnapshotConfig made{index, config->membership, {}};
    for (const auto& [id, info] : config->infos) made.infos.push_back(info);
    return made;
}

}  // namespace

/// Archives what it is given, and ends each archive where the replicated state counts its end.
struct Compaction::Maker {
    Maker(std::string directory, const ArchiveLimits& limit, const LogPoint& begin, int zstd_level)
        : dir(std::move(directory)), bounds(limit, begin), at(begin), level(zstd_level) {}

    std::string dir;
    ArchiveBounds bounds;
    LogPoint at;  // behind the last entry taken
    int level;
    std::optional<snapshot::ArchiveWriter> writer;

    Result<void> take(io::Files& files, ByteView entries, std::vector<snapshot::ArchiveInfo>& made) {
        EntryCursor cursor(entries);
        uint64_t from = 0;
        while (const EntryHeader* header = cursor.next()) {
            LogPoint before = std::exchange(at, point_after(*header));
            if (!writer && from == cursor.offset() - cursor.entry().size())
                writer.emplace(dir, before, level);
            if (!bounds.add(*header, at)) continue;
            TRY_VOID(writer->add(files, entries.subspan(from, cursor.offset() - from)));
            TRY(info, writer->finish(files));
            made.push_back(info);
            writer.reset();
            from = cursor.offset();
        }
        if (from == entries.size()) return {};
        return writer->add(files, entries.subspan(from));
    }
};

struct Compaction::Job final : io::Job {
    // archive
    std::unique_ptr<Maker> maker;
    std::vector<Slice> entries;
    std::vector<snapshot::ArchiveInfo> made;
    // commit
    std::optional<snapshot::SnapshotManifest> manifest;
    std::string dir;
    std::vector<std::string> superseded;  // then removed
    bool releases = false;                // the snapshot in force, without what was trimmed
    bool sweeps = false;                  // only that

    std::optional<Error> error;

    void run(io::Files& files) noexcept override {
        Result<void> done = manifest || sweeps ? commit(files) : archive(files);
        if (!done) error = done.error();
    }
    Result<void> archive(io::Files& files) {
        for (const Slice& slice : entries) TRY_VOID(maker->take(files, slice.view(), made));
        return {};
    }
    Result<void> commit(io::Files& files) {
        if (manifest) TRY_VOID(snapshot::put_in_force(files, dir, *manifest));
        // What stays here takes room until the next start, and nothing else.
        for (const std::string& name : superseded) (void)files.remove(dir + "/" + name);
        return {};
    }
};

Compaction::Compaction(Context& context, Replica& replica, wal::Wal& wal, LogReader& reader, Applier& applier)
    : context_(context),
      replica_(replica),
      wal_(wal),
      reader_(reader),
      applier_(applier),
      newest_(context.dir.current.snapshot),
      newest_name_(context.dir.current.name) {
    if (newest_) reader_.set_archives(newest_->archives);
    if (newest_) released_ = was_released(*newest_);
}
Compaction::~Compaction() = default;

LogPoint Compaction::begin() const {
    return newest_ ? newest_->at : snapshot::empty_base(context_.dir.current.genesis);
}

LogPoint Compaction::archived_upto() const { return made_.empty() ? begin() : made_.back().end; }

void Compaction::turn() {
    take_saved();
    if (frozen()) {
        if (superseded_.size() >= kSweepFrom) sweep(true);
        return;
    }
    if (sweep_due_) sweep(false);
    if (!under_way_ && !hold_ && target_ && context_.now >= next_at()) go_on();
    if (can_release()) release();
    if (drop_due_ || context_.now >= drop_again_at_) drop_segments();
}

bool Compaction::frozen() const { return freeze_ != nullptr && freeze_->on(); }

uint64_t Compaction::state_digest(Index end) const {
    auto found = digests_.find(end);
    return found != digests_.end() ? found->second : 0;
}

/// While nothing may go: each archive's end saves the state, and of those only the newest is needed. Else
/// what a pin, which is over, has kept.
void Compaction::sweep(bool states_only) {
    if (under_way_ || hold_) return;
    sweep_due_ = false;
    auto job = std::make_unique<Job>();
    job->dir = dir();
    job->sweeps = true;
    auto stays = [&](const std::string& name) { return states_only && !snapshot::is_state_file_name(name); };
    auto going = std::stable_partition(superseded_.begin(), superseded_.end(), stays);
    job->superseded.assign(going, superseded_.end());
    superseded_.erase(going, superseded_.end());
    keep_pinned(*job);
    if (!job->superseded.empty()) submit(std::move(job));
}

void Compaction::unpin(uint64_t holder) {
    pinned_.erase(holder);
    sweep_due_ = !superseded_.empty();
}

/// A snapshot begins with its first manifest, and each trim since has made another one.
bool Compaction::was_released(const snapshot::SnapshotManifest& manifest) const {
    const bool restored = manifest.at.index == snapshot::genesis_point(context_.dir.current.genesis).index;
    return manifest.revision > (restored ? 1u : 0u);
}

void Compaction::take_saved() {
    std::optional<StateSaved> saved = applier_.take_saved();
    if (!saved) return;
    if (!saved->file) return failed(saved->file.error().what);
    context_.log(LogLevel::debug, "state_saved")("index", raw(saved->point.at.index))("bytes",
                                                                                      saved->file->bytes);
    digests_[saved->point.at.index] = saved->digest;
    if (digests_.size() > kDigestsKept) digests_.erase(digests_.begin());
    if (newest_ && saved->point.at.index <= newest_->at.index) {  // an installed one is further
        if (saved->file->name != newest_->state.name) superseded_.push_back(saved->file->name);
        return;
    }
    if (!target_) {
        began_at_ = context_.now;
        target_ = std::move(saved);
        return;
    }
    if (next_) superseded_.push_back(next_->file->name);
    next_ = std::move(saved);
}

Instant Compaction::deadline() const {
    if (frozen()) return kNever;
    const bool waits = target_ && !under_way_ && !hold_;
    return std::min(drop_again_at_, waits ? std::max(next_at(), context_.now) : kNever);
}

CompactionPace::Log Compaction::log_now() const {
    return {wal_.counters().bytes_written, wal_.bytes(), context_.options.settings.snapshot.wal_keep_bytes};
}

/// The next piece of the log, or the manifest when all of it is archived.
void Compaction::go_on() {
    const LogPoint at = maker_ ? maker_->at : archived_upto();
    const Index end = target_->point.at.index;
    if (at.index < end) return read_more(at.index + 1);
    CHECK_EQ(at.index, end);
    CHECK_EQ(archived_upto().chain, target_->point.at.chain);  // an archive ended there
    commit();
}

void Compaction::read_more(Index first) {
    std::vector<Slice> slices;
    const Index upto = target_->point.at.index;
    pace_.begin(context_.now, log_now());
    if (reader_.in_memory(first, upto, kArchivedAtOnceBytes, slices)) return archive(std::move(slices));
    under_way_ = true;
    reader_.from_files({wal::ReadRequest::By::index, raw(first), kArchivedAtOnceBytes, upto},
                       {.who = ReadFor::Who::compaction});
}

void Compaction::read_done(wal::ReadResult& result) {
    under_way_ = false;
    const Index wanted = (maker_ ? maker_->at : archived_upto()).index + 1;
    if (result.code == wal::ReadCode::ok && result.first == wanted) return archive({result.entries});
    failed(result.what.empty() ? "the log can't be read now" : result.what);
}

void Compaction::archive(std::vector<Slice> entries) {
    auto job = std::make_unique<Job>();
    if (!maker_) {
        ArchiveLimits limits = context_.options.state_limits.archive;
        if (planted(PlantedBug::archive_by_segment))
            limits.bytes = context_.options.settings.log.segment_bytes;
        maker_ = std::make_unique<Maker>(dir(), limits, archived_upto(),
                                         static_cast<int>(context_.options.settings.snapshot.compression));
    }
    job->maker = std::move(maker_);
    job->entries = std::move(entries);
    submit(std::move(job));
}

void Compaction::commit() {
    auto job = std::make_unique<Job>();
    job->manifest = manifest();
    job->manifest->revision = revision_free_;
    job->dir = dir();
    job->superseded = std::exchange(superseded_, {});
    if (newest_) {
        job->superseded.push_back(newest_->state.name);
        job->superseded.push_back(newest_name_);
    }
    drop_trimmed(*job, target_->point.first_index);
    keep_pinned(*job);
    committing_ = true;
    if (planted(PlantedBug::drop_before_snapshot)) wal_.drop_below(target_->point.at);
    submit(std::move(job));
}

/// What somebody still reads goes with a later snapshot.
void Compaction::keep_pinned(Job& job) {
    auto pinned = [this](const std::string& name) {
        return std::any_of(pinned_.begin(), pinned_.end(),
                           [&](const auto& held) { return held.second.contains(name); });
    };
    auto kept = std::stable_partition(job.superseded.begin(), job.superseded.end(), std::not_fn(pinned));
    superseded_.insert(superseded_.end(), kept, job.superseded.end());
    job.superseded.erase(kept, job.superseded.end());
}

bool Compaction::pin(uint64_t holder) {
    if (!newest_ || committing_ || released_) return false;
    std::set<std::string> names{newest_name_, newest_->state.name};
    for (const snapshot::ArchiveInfo& archive : newest_->archives) names.insert(archive.name());
    pinned_[holder] = std::move(names);
    return true;
}

/// Whole archives that readers may no longer ask for; the last one stays, as the snapshot ends with it.
void Compaction::drop_trimmed(Job& job, Index first_index) {
    std::vector<snapshot::ArchiveInfo>& archives = job.manifest->archives;
    auto kept = archives.begin();
    while (kept + 1 < archives.end() && kept->last() < first_index) {
        job.superseded.push_back(kept->name());
        ++kept;
    }
    archives.erase(archives.begin(), kept);
}

/// A trim has freed archives, and nothing is under way that would let them go besides.
bool Compaction::can_release() const {
    if (under_way_ || hold_ || target_ || !newest_ || context_.now < retry_at_) return false;
    return newest_->archives.size() > 1 && newest_->archives.front().last() < applier_.state().first_index();
}

/// The same snapshot without them. To wait for the next one could be for ever: on a full disk no record comes
/// that would end an archive, and a trim is how room is made.
void Compaction::release() {
    auto job = std::make_unique<Job>();
    job->manifest = *newest_;
    job->manifest->revision = std::max(newest_->revision + 1, revision_free_);
    job->dir = dir();
    job->superseded = std::exchange(superseded_, {});
    job->superseded.push_back(newest_name_);
    drop_trimmed(*job, applier_.state().first_index());
    keep_pinned(*job);
    committing_ = true;
    job->releases = true;
    submit(std::move(job));
}

snapshot::SnapshotManifest Compaction::manifest() const {
    const snapshot::Current& current = context_.dir.current;
    snapshot::SnapshotManifest made;
    made.cluster_id = current.genesis.cluster_id;
    made.cluster_name = current.genesis.cluster_name;
    made.genesis_name = current.genesis_name;
    made.genesis_hash = snapshot::genesis_point(current.genesis).chain;
    if (newest_) made.seams = newest_->seams;
    made.at = target_->point.at;
    made.feature_level = target_->point.feature_level;
    for (const auto& [index, body] : target_->point.configs) made.configs.push_back(config_of(index, body));
    made.used_ids = target_->point.used_ids;
    made.state = *target_->file;
    if (newest_) made.archives = newest_->archives;
    made.archives.insert(made.archives.end(), made_.begin(), made_.end());
    return made;
}

void Compaction::submit(std::unique_ptr<Job> job) {
    under_way_ = true;
    context_.world.worker.submit(io::Lane::compact, std::move(job), make_token(TokenTag::compact, 0));
}

void Compaction::completed(io::Completed& done) {
    under_way_ = false;
    auto& job = *static_cast<Job*>(done.job.get());
    if (job.sweeps) return;
    if (job.manifest)
        committed(job);
    else
        archived(job);
}

void Compaction::archived(Job& job) {
    made_.insert(made_.end(), job.made.begin(), job.made.end());
    if (job.error) return failed(job.error->what);  // the archive begun goes with its maker
    maker_ = std::move(job.maker);
    uint64_t bytes = 0;
    for (const Slice& slice : job.entries) bytes += slice.size();
    const uint64_t yields = pace_.yields();
    pace_.end(context_.now, bytes, log_now());
    context_.counters.archived_bytes += bytes;
    context_.counters.archive_yields += pace_.yields() - yields;
    for (const auto& info : job.made)
        context_.log(LogLevel::debug, "archived")("file", info.name())("records", info.records())(
            "bytes", info.file_bytes);
}

void Compaction::committed(Job& job) {
    committing_ = false;
    if (job.error) {
        // It may be in force all the same, by a name whose directory wasn't synced: the next try takes
        // another.
        revision_free_ = job.manifest->revision + 1;
        superseded_.insert(superseded_.end(), job.superseded.begin(), job.superseded.end());
        keep_in_force();
        return failed(job.error->what);
    }
    newest_ = std::move(job.manifest);
    newest_name_ = newest_->name();
    revision_free_ = 0;
    released_ = job.releases;
    reader_.set_archives(newest_->archives);
    if (failures_ != 0) context_.log(LogLevel::info, "snapshot_works_again")("failures", failures_);
    failures_ = 0;
    trouble_.clear();
    if (job.releases) {
        context_.log(LogLevel::info, "archives_released")("archives", newest_->archives.size())(
            "first_index", raw(newest_->begin().index) + 1);
        return;
    }
    const uint64_t made = made_.size();
    made_.clear();
    drop_due_ = true;
    context_.log(LogLevel::info, "snapshot_taken")("index", raw(newest_->at.index))(
        "lsn", raw(newest_->at.lsn_next) - 1)("archives", newest_->archives.size())("new", made)(
        "hash", snapshot::to_hex(newest_->archives.back().hash).substr(0, 32))(
        "ms", (context_.now - began_at_).ns / 1'000'000);
    target_ = std::exchange(next_, std::nullopt);
    began_at_ = context_.now;
}

/// What is in force is superseded by nothing.
void Compaction::keep_in_force() {
    std::set<std::string> gone(superseded_.begin(), superseded_.end());
    if (newest_) {
        gone.erase(newest_name_);
        gone.erase(newest_->state.name);
        for (const snapshot::ArchiveInfo& archive : newest_->archives) gone.erase(archive.name());
    }
    superseded_.assign(gone.begin(), gone.end());
}

void Compaction::installed(const snapshot::SnapshotManifest& manifest) {
    CHECK(held());
    for (const auto* given_up : {&target_, &next_})
        if (*given_up) superseded_.push_back((*given_up)->file->name);
    if (newest_) {
        superseded_.push_back(newest_->state.name);
        superseded_.push_back(newest_name_);
    }
    target_.reset();
    next_.reset();
    made_.clear();
    maker_.reset();
    newest_ = manifest;
    newest_name_ = manifest.name();
    revision_free_ = 0;
    released_ = was_released(manifest);
    keep_in_force();
    reader_.set_archives(newest_->archives);
    drop_due_ = true;
}

/// The core hears of it before the files go. After a start the commit may not be known up to here yet.
void Compaction::drop_segments() {
    if (!newest_) {
        drop_due_ = false;
        return;
    }
    const raft::View view = replica_.core().view();
    const auto& settings = context_.options.settings.snapshot;
    uint64_t keep_bytes = settings.wal_keep_bytes;
    drop_again_at_ = kNever;
    if (pin_ != nullptr && pin_->held(context_.now)) {
        keep_bytes = std::max(keep_bytes, settings.transfer_keep_bytes);
        drop_again_at_ = pin_->until();
    }
    const LogPoint point = wal_.droppable(newest_->at.index, keep_bytes);
    if (point.index > std::min(view.commit, view.durable)) return;
    drop_due_ = false;
    if (point.index <= wal_.base().index) return;
    replica_.step(context_.now, raft::ev::Compacted{point.id()});
    wal_.drop_below(point);
    context_.log(LogLevel::debug, "segments_dropped")("upto", raw(point.index));
}

void Compaction::failed(const std::string& why) {
    maker_.reset();
    retry_at_ = context_.now + kCompactAgainAfter * (1 << std::min(failures_, kCompactAgainDoublings));
    ++failures_;
    trouble_ = why;
    context_.log(LogLevel::warn, "snapshot_failed")("why", why)("failures", failures_)(
        "hint", "nothing is lost: the log is kept, and the snapshot is tried again");
}

}  // namespace raftd::daemon
