#include "daemon/verifier.h"

#include <algorithm>

#include "base/check.h"
#include "daemon/repair.h"
#include "snapshot/archive_reader.h"
#include "snapshot/sha256.h"

namespace raftd::daemon {
namespace {

constexpr uint64_t kVerifiedAtOnceBytes = 2u << 20;
constexpr uint32_t kStateTriesMax = 3;
constexpr Duration kScrubsApart = seconds(3600), kSimulatedScrubsApart = seconds(5);
constexpr Duration kReportKept = seconds(60);

}  // namespace

/// Some frames of one archive; comes back for more of them.
struct Verifier::ArchiveJob final : io::Job {
    std::string dir;
    snapshot::ArchiveInfo archive;
    snapshot::Sha256Hasher hasher;
    size_t frame = 0;  // the next one
    // Out:
    bool whole = false, gone = false;
    uint64_t bytes = 0, entries = 0;  // of this piece
    LogPoint at;                      // before what couldn't be read, or behind the last that was
    std::optional<Error> error;

    void run(io::Files& files) noexcept override {
        bytes = entries = 0;
        auto done = read(files);
        if (done) return;
        gone = done.error().code == Errc::not_found;
        error = done.error();
    }
    Result<void> read(io::Files& files) {
        const std::string path = dir + "/" + archive.name();
        TRY(reader, snapshot::ArchiveReader::open(files, path));
        if (reader.info() != archive)
            return raftd::error(Errc::damaged, path + " at byte 0: not the archive that the snapshot names");
        for (; frame < reader.frames().size() && bytes < kVerifiedAtOnceBytes; ++frame) {
            at = reader.frames()[frame].before;
            TRY(content, reader.content(frame));
            hasher.add(content);
            bytes += content.size();
            entries += reader.end_of(frame).index - at.index;
            at = reader.end_of(frame);
        }
        whole = frame == reader.frames().size();
        if (!whole) return {};
        const snapshot::Sha256 found = hasher.result();
        if (std::equal(found.begin(), found.end(), archive.hash.begin(),
                       [](std::byte a, uint8_t b) { return static_cast<uint8_t>(a) == b; }))
            return {};
        at = archive.before;
        return raftd::error(Errc::damaged, path + " at byte 0: its content doesn't have its hash");
    }
};

struct Verifier::StateJob final : io::Job {
    std::string dir;
    snapshot::StateFileInfo info;
    StateLimits limits;
    // Out:
    Index at{};
    uint64_t digest = 0;
    std::optional<Error> error;

    void run(io::Files& files) noexcept override {
        auto done = read(files);
        if (!done) error = done.error();
    }
    Result<void> read(io::Files& files) {
        TRY(file, snapshot::StateFile::open(files, dir, info));
        TRY(state, State::load(limits, file));
        at = state.applied();
        digest = state.digest();
        return {};
    }
};

Verifier::Verifier(Context& context, wal::Wal& wal, LogReader& reader, const Compaction& compaction)
    : context_(context), wal_(wal), reader_(reader), compaction_(compaction) {}
Verifier::~Verifier() = default;

void Verifier::begin(uint64_t run, Lsn from, Index upto) {
    CHECK(!running() || scrub_);
    discard_ = under_way_;
    scrub_ = false;
    report_ = {};
    report_.run = run;
    start(from, upto);
    context_.log(LogLevel::info, "verify_begun")("archives", archives_.size())("upto", raw(upto));
}

uint64_t Verifier::rate() const {
    const uint64_t set = context_.options.settings.log.scrub_rate;
    return scrub_ && set != 0 ? std::min(set, kBytesASecond) : kBytesASecond;
}

/// Again and again, with a pause between.
void Verifier::scrub() {
    const bool off = context_.options.settings.log.scrub_rate == 0;
    if (off && scrubbing()) {
        discard_ = under_way_;
        stage_ = Stage::idle;
    }
    if (off || running() || under_way_) return;
    if (scrub_at_ == Instant{}) scrub_at_ = context_.now + scrubs_apart() / 60;  // soon after a start
    if (context_.now < scrub_at_) return;
    scrub_ = true;
    report_ = {};
    start(Lsn{1}, reader_.durable());
}

Duration Verifier::scrubs_apart() const {
    return context_.options.simulated ? kSimulatedScrubsApart : kScrubsApart;
}

Instant Verifier::deadline() const {
    if (running()) return under_way_ ? kNever : std::max(next_at_, context_.now);
    const bool off = context_.options.settings.log.scrub_rate == 0 || under_way_;
    return off ? kNever : std::max(scrub_at_, context_.now);
}

void Verifier::start(Lsn from, Index upto) {
    whole_again_.clear();
    report_.upto = upto;
    from_ = from;
    archives_.clear();
    archive_.reset();
    if (const auto& newest = compaction_.newest())
        for (auto archive = newest->archives.rbegin(); archive != newest->archives.rend(); ++archive)
            if (archive->end.lsn_next > from) archives_.push_back(*archive);
    for (const auto& archive : archives_) report_.entries_total += archive.last() - archive.before.index;
    if (upto > wal_.base().index) report_.entries_total += upto - wal_.base().index;
    stage_ = Stage::archives;
    state_tries_ = 0;
    next_at_ = context_.now;
}

void Verifier::turn() {
    scrub();
    if (!running() || under_way_ || context_.now < next_at_) return;
    switch (stage_) {
        case Stage::archives: return archives_.empty() ? begin_segments() : read_archive();
        case Stage::segments: return read_segments();
        case Stage::state: return read_state();
        case Stage::idle: return;
    }
}

void Verifier::submit(std::unique_ptr<io::Job> job) {
    under_way_ = true;
    context_.world.worker.submit(io::Lane::read, std::move(job), make_token(TokenTag::verify_back, 0));
}

void Verifier::read_archive() {
    if (!archive_) {
        archive_ = std::make_unique<ArchiveJob>();
        archive_->dir = context_.dir.path + "/snapshot";
        archive_->archive = archives_.back();
        archive_->at = archives_.back().before;
    }
    submit(std::move(archive_));
}

void Verifier::completed(io::Completed& done) {
    under_way_ = false;
    if (std::exchange(discard_, false)) return;
    if (stage_ == Stage::state) return state_read(static_cast<StateJob&>(*done.job));
    archive_.reset(static_cast<ArchiveJob*>(done.job.release()));
    archive_read(*archive_);
}

void Verifier::archive_read(ArchiveJob& job) {
    report_.entries += job.entries;
    paced(job.bytes);
    const auto& named = reader_.archives();
    const bool in_force = std::find(named.begin(), named.end(), job.archive) != named.end();
    if (job.error && !(job.gone && !in_force))  // else it was trimmed meanwhile
        damaged({"snapshot/" + job.archive.name(), job.error->what, job.at.index + 1, {}, job.at.lsn_next});
    if (!job.whole && !job.error) return;
    ++report_.archives;
    archives_.pop_back();
    archive_.reset();
}

void Verifier::begin_segments() {
    stage_ = Stage::segments;
    next_ = {};  // not known yet: read_segments() asks for the record
    before_next_.reset();
    step_ = 0;
    (void)wal_.cut_since(cuts_seen_);
    if (from_ > wal_.base().lsn_next) return;
    next_ = wal_.base().index + 1;
    before_next_ = wal_.base();
}

void Verifier::read_segments() {
    if (next_ > report_.upto) {
        stage_ = Stage::state;
        return;
    }
    under_way_ = true;
    const bool by_lsn = next_ == Index{};
    reader_.from_files({by_lsn ? wal::ReadRequest::By::lsn : wal::ReadRequest::By::index,
                        by_lsn ? raw(from_) : raw(next_), kVerifiedAtOnceBytes, report_.upto},
                       {.who = ReadFor::Who::read_back});
}

/// A new leader replaced the end of the log since the last read was looked at. What was found there isn't
/// there any more, and what took its place is read in its turn. Of no help is how far the log is committed:
/// behind a start a member doesn't know.
bool Verifier::was_cut() {
    const std::optional<Index> cut = wal_.cut_since(cuts_seen_);
    if (!cut) return false;
    auto& damages = report_.damages;
    const size_t before = damages.size();
    std::erase_if(damages,
                  [&](const Damage& one) { return one.first >= *cut && !one.file.starts_with("snapshot/"); });
    if (stage_ != Stage::segments || next_ < *cut) return true;
    if (damages.size() != before) step_ = 0;  // what was being passed over
    next_ = *cut;
    before_next_.reset();
    return true;
}

void Verifier::read_done(const wal::ReadResult& result) {
    under_way_ = false;
    if (std::exchange(discard_, false) || !running()) return;
    if (was_cut()) return paced(kVerifiedAtOnceBytes);
    if (result.code == wal::ReadCode::ok) {
        if (step_ != 0) damage_ends(result.first - 1);
        if (before_next_ && step_ == 0 && result.before != *before_next_)
            damaged({in_dir(wal_.file_of(result.first)), "doesn't go on where the entry before ends",
                     result.first, result.first, before_next_->lsn_next});
        step_ = 0;
        EntryCursor cursor(result.entries.view());
        while (const EntryHeader* header = cursor.next()) before_next_ = point_after(*header);
        report_.entries += result.last - result.first + 1;
        next_ = result.last + 1;
        return paced(result.entries.size());
    }
    paced(kVerifiedAtOnceBytes);
    if (result.code == wal::ReadCode::gone) {  // segments were let go meanwhile
        if (next_ > wal_.base().index) {       // or what a new leader replaced
            stage_ = Stage::state;
            return;
        }
        next_ = wal_.base().index + 1;
        before_next_.reset();
        return;
    }
    if (result.code == wal::ReadCode::beyond) {
        stage_ = Stage::state;
        return;
    }
    if (step_ == 0) {
        const Index at = next_ == Index{} ? wal_.base().index + 1 : next_;
        damaged(
            {in_dir(wal_.file_of(at)), result.what, at, at, before_next_ ? before_next_->lsn_next : from_});
    }
    step_over(next_ == Index{} ? wal_.base().index + 1 : next_);
}

/// What lies behind damage can be read again from the next mark of the segment on, or in the next segment.
void Verifier::step_over(Index damaged) {
    step_ = step_ == 0 ? 1 : step_ * 2;
    const std::string here = wal_.file_of(damaged);
    Index same = damaged;
    next_ = std::min(damaged + step_, report_.upto + 1);
    before_next_.reset();
    if (next_ <= report_.upto && wal_.file_of(next_) == here) return;
    while (next_ - same > 1) {
        const Index middle = same + (next_ - same) / 2;
        (wal_.file_of(middle) == here ? same : next_) = middle;
    }
    if (next_ > report_.upto) damage_ends(report_.upto);
}

void Verifier::damage_ends(Index last) {
    if (report_.damages.size() < kDamagesMax) report_.damages.back().last = last;
}

void Verifier::read_state() {
    const auto& newest = compaction_.newest();
    if (!newest || state_tries_++ == kStateTriesMax) return finish();
    auto job = std::make_unique<StateJob>();
    job->dir = context_.dir.path + "/snapshot";
    job->info = newest->state;
    job->limits = context_.options.state_limits;
    submit(std::move(job));
}

void Verifier::state_read(StateJob& job) {
    const auto& newest = compaction_.newest();
    if (job.error && newest && newest->state.name != job.info.name) return;  // a newer one took its place
    if (job.error)
        damaged({"snapshot/" + job.info.name, job.error->what, {}, {}, {}});
    else
        report_.state_index = job.at, report_.state_digest = job.digest;
    finish();
}

void Verifier::damaged(Damage damage) {
    context_.log(LogLevel::error, "verify_damage")("file", damage.file)("entry", raw(damage.first))(
        "why", damage.what);
    if (scrub_) ++context_.counters.scrub_damages;
    if (damage.file.starts_with("snapshot/")) damaged_files_.push_back(damage.file.substr(9));
    if (report_.damages.size() < kDamagesMax) report_.damages.push_back(std::move(damage));
}

void Verifier::exchange(Repair& repair) {
    for (const std::string& name : std::exchange(damaged_files_, {})) repair.file_damaged(name);
    while (std::optional<std::string> file = repair.take_whole_file()) {
        std::erase(alarms_, "damaged " + *file);
        if (running()) whole_again_.push_back(*file);
    }
}

void Verifier::paced(uint64_t bytes) {
    report_.bytes += bytes;
    if (scrub_) context_.counters.scrub_bytes += bytes;
    if (scrub_ && report_.entries_total != 0)
        context_.counters.scrub_percent =
            std::min<uint64_t>(report_.entries * 100 / report_.entries_total, 100);
    next_at_ = context_.now + Duration{static_cast<int64_t>(bytes * 1'000'000'000 / rate())};
}

void Verifier::finish() {
    (void)was_cut();
    stage_ = Stage::idle;
    report_.done = true;
    alarms_.clear();
    for (const Damage& damage : report_.damages)
        if (std::find(whole_again_.begin(), whole_again_.end(), damage.file) == whole_again_.end())
            alarms_.push_back("damaged " + damage.file);
    std::sort(alarms_.begin(), alarms_.end());
    alarms_.erase(std::unique(alarms_.begin(), alarms_.end()), alarms_.end());
    if (scrub_) ++context_.counters.scrub_passes;
    // What was asked for is left to be fetched before the next scrub.
    scrub_at_ = scrub_ ? context_.now + scrubs_apart() : std::max(scrub_at_, context_.now + kReportKept);
    context_.log(LogLevel::info, scrub_ ? "scrub_done" : "verify_done")("entries", report_.entries)(
        "bytes", report_.bytes)("archives", report_.archives)("damages", report_.damages.size());
}

void Verifier::add_alarms(std::vector<std::string>& alarms) const {
    alarms.insert(alarms.end(), alarms_.begin(), alarms_.end());
}

std::string Verifier::in_dir(const std::string& path) const {
    return path.starts_with(context_.dir.path + "/") ? path.substr(context_.dir.path.size() + 1) : path;
}

}  // namespace raftd::daemon
