#include "daemon/applier.h"

#include <algorithm>

#include "base/check.h"
#include "base/features.h"

namespace raftd::daemon {
namespace {

// A turn stays short; what is left comes in the next one.
constexpr uint32_t kEntriesATurn = 8192;
constexpr uint64_t kReadBytes = 4u << 20;
constexpr Duration kReadAgainAfter = seconds(1);

constexpr uint64_t kWriteAtBytes = 1u << 20;
/// A larger state isn't loaded a second time for its digest at each archive's end.
constexpr uint64_t kDigestBytesMax = 8u << 20;
constexpr Duration kWriteWithin = seconds(1);
constexpr Duration kWriteWithinBehind = seconds(5);
/// The feature level that brought archives.
constexpr uint32_t kArchivesSince = level_of(EntryKind::cut);
constexpr uint32_t kOpenWaitDoublings = 5;  // 1 s to 32 s between tries to open the store anew

/// A kind or a level that this program doesn't know: going on would give another state than the others have.
void check_known(const EntryHeader& header, ByteView body, uint32_t level) {
    std::string what;
    if (!kind_allowed(header.kind, level))
        what = "has kind " + std::to_string(static_cast<int>(header.kind)) + ", which feature level " +
               std::to_string(level) + " doesn't have";
    if (header.kind == EntryKind::feature) {
        std::optional<uint32_t> asked = decode_feature(body);
        if (asked && *asked > feature_level_max())
            what = "raises the feature level to " + std::to_string(*asked) + ", this version knows " +
                   std::to_string(feature_level_max());
    }
    if (what.empty()) return;
    fatal(ExitCode::too_new, "entry " + std::to_string(header.index) + " " + what +
                                 ": nothing of it was applied (hint: install the version that the other "
                                 "members run, then start this one again)");
}

}  // namespace

/// One piece of work for Lane::state; owns the store meanwhile.
struct Applier::StoreJob final : io::Job {
    enum class What : uint8_t { write, open } what = What::write;
    std::unique_ptr<snapshot::Store> store;
    snapshot::StoreMaker* maker = nullptr;
    snapshot::StoreBatch batch;     // write
    bool flush = false;             // write: then make it durable
    bool anew = false;              // open: throw away what there is
    LogPoint stored;                // open: what the store should have
    std::optional<StatePoint> end;  // write: then save the state there as a file
    std::string dir;                // of that file
    std::optional<Result<snapshot::StateFileInfo>> file;
    std::optional<StateLimits> limits;  // write: the state there is compared with the others' (H13)
    uint64_t digest = 0;
    std::optional<Error> error;

    void run(io::Files& files) noexcept override {
        auto done = what == What::write ? write() : open();
        if (!done) error = done.error();
        if (!done || !end) return;
        file = snapshot::write_state_file(files, dir, end->at, *store);
        if (!limits) return;
        if (auto state = State::load(*limits, *store)) digest = state->digest();
    }
    Result<void> write() {
        if (!batch.keys.empty()) TRY_VOID(store->write(batch));
        if (flush) TRY_VOID(store->flush());
        return {};
    }
    Result<void> open() {
        store.reset();
        if (anew) TRY_VOID(maker->remove());
        TRY(opened, maker->open());
        TRY(mark, opened->mark());
        // The refused batch may have come through all the same, or not at all.
        bool known = anew || (mark && (mark->applied == stored || mark->applied == batch.mark.applied));
        if (!known) return raftd::error(Errc::damaged, "the store isn't as it was left");
        store = std::move(opened);
        return {};
    }
};

Applier::Applier(Context& context, LogReader& reader, snapshot::StoreMaker* maker, LoadedState loaded)
    : context_(context),
      reader_(reader),
      maker_(maker),
      state_(std::move(loaded.state)),
      upto_(state_.applied()),
      store_(std::move(loaded.store)),
      stored_(loaded.stored) {
    if (loaded.anew) state_.all_dirty();
    if (maker_ != nullptr && !store_) {
        failures_ = 1;
        open_at_ = context_.now + kWriteWithin;
    }
}

Applier::~Applier() = default;

bool Applier::turn(Index upto) {
    if (state_.applied() == upto_) moved_at_ = context_.now;
    upto_ = std::max(upto_, upto);
    if (!reading_ && state_.applied() < upto_ && context_.now >= read_again_at_)
        apply_from_memory(upto_, kEntriesATurn);
    if (!current_ && upto > context_.dir.base.index && state_.applied() >= upto) note_current();
    write_behind();
    return !reading_ && state_.applied() < upto_ && context_.now >= read_again_at_;
}

void Applier::note_current() {
    current_ = true;
    context_.log(LogLevel::info, "state_current")("applied", raw(state_.applied()))(
        "producers", state_.producers())("ms", (context_.now - context_.started).ns / 1'000'000);
}

void Applier::apply_from_memory(Index upto, uint32_t entries_max) {
    const Index first = state_.applied() + 1;
    slices_.clear();
    auto last = reader_.in_memory(first, std::min(upto, first + (entries_max - 1)), UINT64_MAX, slices_);
    if (!last) return read(first, upto);
    for (const Slice& slice : slices_) apply(slice.view(), *last);
    slices_.clear();
    CHECK_EQ(state_.applied(), *last);
}

void Applier::apply(ByteView entries, Index upto) {
    moved_at_ = context_.now;
    EntryCursor cursor(entries);
    while (const EntryHeader* header = cursor.next()) {
        if (Index{header->index} > upto) return;
        if (header->kind != EntryKind::batch || header->producer != 0)
            check_known(*header, cursor.body(), state_.feature_level());
        if (context_.options.simulated && header->kind == EntryKind::producer)
            check_expiry(*header, cursor.body());
        Effects effects = state_.apply(*header, cursor.body());
        if (effects.producer == Effects::Producer::unknown && header->kind == EntryKind::batch) {
            // A leader places only what follows; records that came twice would be our own mistake.
            CHECK(!context_.options.simulated);
            context_.log(LogLevel::error, "producer_order")("index", header->index)(
                "producer", header->producer)("epoch", header->producer_epoch)("sequence", header->sequence);
        }
        if (effects.archive_end) note_archive_end();
        for (StateListener* listener : listeners_) listener->applied(*header, effects);
    }
}

/// The store is brought exactly here before it gets anything newer. When another end comes first, the older
/// one is passed over: the newer snapshot has all that it would have had.
void Applier::note_archive_end() {
    const bool behind_newest = state_.applied() > context_.dir.base.index;
    if (ends_passed_over_) return;
    if (maker_ == nullptr || state_.feature_level() < kArchivesSince || !behind_newest) return;
    end_wanted_ = StatePoint{state_.point(), state_.feature_level(), state_.configs(), state_.used_ids(),
                             state_.first_index()};
    snapshot::StoreBatch newer;
    take_dirty(newer);
    end_batch_.mark = newer.mark;
    for (auto& [key, value] : newer.keys) end_batch_.keys[key] = std::move(value);
}

void Applier::take_dirty(snapshot::StoreBatch& into) {
    state_.take_dirty(into);
    into.mark.cluster_id = context_.dir.identity.cluster_id;
    into.mark.incarnation = context_.dir.identity.incarnation;
}

/// In the simulator: nobody is forgotten before the log's time says so.
void Applier::check_expiry(const EntryHeader& header, ByteView body) const {
    auto entry = decode_producer(body);
    if (!entry) return;
    for (uint64_t id : entry->expire) {
        const Producer* producer = state_.find(id);
        if (producer != nullptr)
            CHECK_LE(producer->used_ms + state_.limits().producer_idle_ms, header.timestamp_ms);
    }
}

void Applier::read(Index first, Index upto) {
    reading_ = true;
    reader_.from_files({wal::ReadRequest::By::index, raw(first), kReadBytes, upto},
                       {.who = ReadFor::Who::state});
}

void Applier::read_done(const wal::ReadResult& result) {
    reading_ = false;
    if (result.code != wal::ReadCode::ok || result.first != state_.applied() + 1) {
        read_again_at_ = context_.now + kReadAgainAfter;
        return;
    }
    // The next stretch is read while this one is applied.
    if (result.last < upto_ && !reader_.holds(result.last + 1)) read(result.last + 1, upto_);
    apply(result.entries.view(), upto_);
}

Instant Applier::deadline() const {
    Instant at = kNever;
    if (!reading_ && state_.applied() < upto_) at = std::min(at, read_again_at_);
    if (job_under_way_) return at;
    if (store_) return std::min(at, write_at());
    return std::min(at, open_at_);
}

bool Applier::flushed() const {
    return maker_ == nullptr || failures_ != 0 ||
           (!flush_wanted_ && !job_under_way_ && stored_.index == state_.applied());
}

/// Catching up with a long log, its reads come first: the same thread does both.
Instant Applier::write_at() const {
    if (changed_at_ == kNever) return kNever;
    return changed_at_ + (behind() ? kWriteWithinBehind : kWriteWithin);
}

void Applier::write_behind() {
    if (maker_ == nullptr || job_under_way_) return;
    if (!store_) {
        bool room = context_.world.disk.free_bytes() >= context_.options.settings.log.disk_free_reserve;
        if (context_.now >= open_at_ && room) return open_store();
        if (context_.now >= open_at_) open_at_ = context_.now + kWriteWithin;
        return;
    }
    if (state_.applied() > stored_.index && changed_at_ == kNever) {
        changed_at_ = context_.now;
        flush_wanted_ |= flush_always_;
    }
    const bool large = !behind() && state_.dirty_bytes() >= kWriteAtBytes;
    const bool due = changed_at_ != kNever && (large || context_.now >= write_at());
    if (due || end_wanted_ || flush_wanted_) write_now();
}

void Applier::write_now() {
    auto job = std::make_unique<StoreJob>();
    job->store = std::move(store_);
    if (!unwritten_.keys.empty()) {
        job->batch = std::exchange(unwritten_, {});
    } else if (end_wanted_) {
        job->batch = std::exchange(end_batch_, {});
        job->end = std::exchange(end_wanted_, std::nullopt);
        job->dir = context_.dir.path + "/snapshot";
        if (state_.bytes() <= kDigestBytesMax) job->limits = state_.limits();
    } else {
        take_dirty(job->batch);
        job->flush = std::exchange(flush_wanted_, false);
    }
    changed_at_ = kNever;
    submit(std::move(job));
}

void Applier::replace(State state) {
    CHECK_GE(state.applied(), state_.applied());
    state_ = std::move(state);
    upto_ = std::max(upto_, state_.applied());
    moved_at_ = context_.now;
    end_wanted_.reset();
    end_batch_ = {};
    if (maker_ == nullptr) return;
    replaced_ = true;
    if (!job_under_way_) begin_store_anew();
}

void Applier::begin_store_anew() {
    replaced_ = false;
    unwritten_ = {};
    open_store();
}

void Applier::open_store() {
    auto job = std::make_unique<StoreJob>();
    job->store = std::move(store_);  // closed there: that may take a while
    job->what = StoreJob::What::open;
    job->maker = maker_;
    // What can't be opened as it is, is made anew: the state in memory has all of it.
    job->anew = failures_ > 1 || unwritten_.keys.empty();
    job->stored = stored_;
    job->batch = std::exchange(unwritten_, {});
    open_at_ = kNever;
    submit(std::move(job));
}

void Applier::submit(std::unique_ptr<StoreJob> job) {
    job_under_way_ = true;
    context_.world.worker.submit(io::Lane::state, std::move(job), make_token(TokenTag::state, 0));
}

void Applier::completed(io::Completed& done) {
    job_under_way_ = false;
    auto& job = *static_cast<StoreJob*>(done.job.get());
    if (replaced_) {
        store_ = std::move(job.store);
        return begin_store_anew();
    }
    if (job.what == StoreJob::What::write)
        write_done(job);
    else
        open_done(job);
}

void Applier::write_done(StoreJob& job) {
    if (job.error) {
        unwritten_ = std::move(job.batch);
        flush_wanted_ |= job.flush;
        if (job.end) saved_ = StateSaved{std::move(*job.end), *job.error};
        return failed(*job.error);  // the store goes with the job
    }
    if (job.end) saved_ = StateSaved{std::move(*job.end), std::move(*job.file), job.digest};
    store_ = std::move(job.store);
    stored_ = job.batch.mark.applied;
    failures_ = 0;
    if (state_.applied() > stored_.index) changed_at_ = context_.now;
}

void Applier::open_done(StoreJob& job) {
    unwritten_ = std::move(job.batch);
    if (job.error) return failed(*job.error);
    store_ = std::move(job.store);
    if (job.anew) {
        unwritten_ = end_batch_ = {};
        end_wanted_.reset();  // only what stands in memory is known, and that is newer
        state_.all_dirty();
        stored_ = {};
    }
    context_.log(LogLevel::info, "state_store_opened")("anew", job.anew);
    write_now();
}

void Applier::failed(const Error& why) {
    uint32_t doublings = std::min(failures_, kOpenWaitDoublings);
    ++failures_;
    open_at_ = context_.now + kWriteWithin * (1 << doublings);
    context_.log(LogLevel::warn, "state_store_failed")("why", why.what)("failures", failures_)(
        "hint", "the state stands in memory and the log; the store is tried again");
}

}  // namespace raftd::daemon
