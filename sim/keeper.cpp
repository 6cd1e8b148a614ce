#include "sim/keeper.h"

#include <algorithm>

#include "snapshot/saved.h"

namespace raftd::sim {
namespace {

constexpr Duration kKeeperLook = milliseconds(50), kKeeperPatience = seconds(12);
constexpr size_t kHoldsMost = 3;

}  // namespace

Keeper::Keeper(Kernel& kernel, SimNetwork& network, Cluster& cluster, Trace& trace, Reached& reached,
               uint32_t host)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      cluster_(cluster),
      trace_(trace),
      reached_(reached),
      random_(kernel.random.next()),
      call_(kernel, network, host) {}

Keeper::~Keeper() { kernel_.remove(actor_); }

void Keeper::begin(Duration every) {
    over_ = false;
    every_ = every;
    next_at_ = kernel_.now() + every;
    if (!std::exchange(ticking_, true)) kernel_.schedule_in(kKeeperLook, actor_, 0, 0);
}

void Keeper::fire(uint32_t, uint64_t) {
    check_holds();
    if (over_) {
        ticking_ = false;
        call_.begin({});
        return;
    }
    if (phase_ == Phase::idle) {
        if (kernel_.now() >= next_at_) start();
    } else if (kernel_.now() >= give_up_at_) {
        done();
    } else if (!call_.asking()) {
        if (auto answer = call_.take()) took(*answer);
    }
    kernel_.schedule_in(kKeeperLook, actor_, 0, 0);
}

void Keeper::done() {
    phase_ = Phase::idle;
    fetch_.reset();
    tar_.reset();
    next_at_ = kernel_.now() + every_ / 2 +
               Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(every_.ns)))};
}

void Keeper::ask(Phase phase, pb::Request request) {
    phase_ = phase;
    give_up_at_ = kernel_.now() + kKeeperPatience;
    call_.ask(std::move(request));
}

/// Each time as another process.
void Keeper::start() {
    call_.begin(cluster_.settled_addresses());
    pb::Request request;
    request.mutable_retention();
    ask(Phase::look, std::move(request));
}

/// P5, P7: what was promised to a reader stays.
void Keeper::check_holds() const {
    const uint64_t first = raw(cluster_.truth().trimmed());
    for (const auto& [name, lsn] : held_)
        if (first > lsn)
            throw Violation(Ending::correctness, "the log begins at LSN " + std::to_string(first) +
                                                     ", and cursor " + name + " holds it at " +
                                                     std::to_string(lsn));
}

void Keeper::took(const pb::Answer& answer) {
    const Phase asked = phase_;
    if (asked == Phase::save || asked == Phase::part) return took_save(answer);
    if (answer.has_error()) {
        if (trace_.on) trace_.line(kernel_.now(), "keeper", answer.error().what());
        return done();
    }
    switch (asked) {
        case Phase::look: return choose(answer.retained());
        case Phase::trim:
            if (answer.retained().first_lsn() > lsn_) reached_.hit(Reach::trimmed);
            if (answer.retained().held_at() != 0) reached_.hit(Reach::trim_held);
            break;
        case Phase::hold:
            held_[name_] = lsn_;
            reached_.hit(Reach::hold_kept);
            break;
        case Phase::upload:
        case Phase::chunk:
        case Phase::commit: return took_upload(answer);
        default: break;
    }
    check_holds();
    done();
}

void Keeper::choose(const pb::Retained& now) {
    pb::Request request;
    const uint64_t ahead = now.last_lsn() + 1 - now.first_lsn();
    switch (random_.below(10)) {
        case 0:
        case 1:
        case 2: {
            lsn_ = now.first_lsn();
            request.mutable_trim()->set_before(now.first_lsn() + random_.below(ahead + 1));
            return ask(Phase::trim, std::move(request));
        }
        case 3:
            request.mutable_change_retention()->set_records(random_.chance(0.4) ? 0
                                                                                : random_.between(20, 400));
            request.mutable_change_retention()->set_below_checkpoint(random_.chance(0.3));
            return ask(Phase::policy, std::move(request));
        case 4:
        case 5:
        case 6: return change_cursor(now);
        case 7: return begin_checkpoint(now);
        default: return begin_save();
    }
}

/// A new hold, or an old one goes: further on, or away. A name is used once, since a request whose answer was
/// lost may be carried out again much later.
void Keeper::change_cursor(const pb::Retained& now) {
    pb::Request request;
    pb::CursorChange& change = *request.mutable_change_cursor();
    lsn_ = now.first_lsn() + random_.below(now.last_lsn() + 2 - now.first_lsn());
    if (held_.size() < kHoldsMost && random_.chance(0.6)) {
        name_ = "hold" + std::to_string(++names_);
        change.set_op(pb::CursorChange::SET);
        change.set_hold(true);
    } else if (held_.empty()) {
        return done();
    } else {
        auto it = std::next(held_.begin(), static_cast<std::ptrdiff_t>(random_.below(held_.size())));
        name_ = it->first;
        const bool on = random_.chance(0.5) && lsn_ >= it->second;
        change.set_op(on ? pb::CursorChange::ADVANCE : pb::CursorChange::REMOVE);
        held_.erase(it);  // from now on it may be further, or gone
    }
    change.set_name(name_);
    change.set_lsn(lsn_);
    ask(change.op() == pb::CursorChange::REMOVE ? Phase::policy : Phase::hold, std::move(request));
}

void Keeper::begin_checkpoint(const pb::Retained& now) {
    upload_.assign(1 + random_.below(3000), static_cast<char>('a' + random_.below(26)));
    pb::Request request;
    request.mutable_begin_checkpoint()->set_upto(now.last_lsn() -
                                                 random_.below(now.last_lsn() + 1 - now.first_lsn() + 1) / 2);
    request.mutable_begin_checkpoint()->set_size(upload_.size());
    request.mutable_begin_checkpoint()->set_sha256(std::string(32, 'x'));
    ask(Phase::upload, std::move(request));
}

void Keeper::took_upload(const pb::Answer& answer) {
    if (phase_ == Phase::commit) {
        reached_.hit(Reach::checkpoint_put);
        return done();
    }
    if (answer.retained().checkpoints_size() != 1) return done();
    const pb::CheckpointInfo& there = answer.retained().checkpoints(0);
    pb::Request request;
    if (there.received() >= there.size()) {
        request.mutable_commit_checkpoint()->set_id(there.id());
        return ask(Phase::commit, std::move(request));
    }
    pb::CheckpointChunk& chunk = *request.mutable_add_chunk();
    chunk.set_id(there.id());
    chunk.set_offset(there.received());
    chunk.set_data(upload_.substr(there.received(), 1000));
    ask(Phase::chunk, std::move(request));
}

void Keeper::begin_save() {
    pb::Request request;
    request.mutable_begin_save();
    ask(Phase::save, std::move(request));
}

void Keeper::took_save(const pb::Answer& answer) {
    if (phase_ == Phase::save) {
        if (!answer.has_save_begun()) return done();
        saved_of_ = static_cast<uint32_t>(raw(call_.answered_by()));
        tar_ = std::make_unique<TarInMemory>();
        fetch_ = std::make_unique<client::SaveFetch>(answer.save_begun(), *tar_);
        if (!fetch_->begin()) return done();
        return next_part();
    }
    // Another member leads, or this one began anew: it knows nothing of this save.
    if (answer.has_error() && static_cast<uint32_t>(raw(call_.answered_by())) != saved_of_) return done();
    if (!fetch_->take(answer)) return done();
    next_part();
}

void Keeper::next_part() {
    if (!fetch_->done())
        if (auto request = fetch_->next()) return ask(Phase::part, std::move(*request));
    if (!fetch_->done() || !tar_->tar.finish()) return done();
    check_saved();
    reached_.hit(Reach::saved);
    pb::Request request;
    request.mutable_end_save()->set_id(fetch_->begun().id());
    ask(Phase::policy, std::move(request));
}

/// All of it is whole, and the chain at its end is the one that was committed there: so every entry is.
void Keeper::check_saved() {
    SimStorage storage;
    SimFiles files(storage);
    int failed = 0;
    const io::FileId file = files.open("/save", io::OpenMode::truncate, failed);
    files.write(file, 0, as_bytes(tar_->bytes));
    files.close(file);
    auto broken = [](const std::string& what) {
        throw Violation(Ending::correctness, "what was saved is broken: " + what);
    };
    auto saved = snapshot::Saved::open(files, "/save");
    if (!saved) return broken(saved.error().what);
    if (auto whole = saved->verify(); !whole) return broken(whole.error().what);
    const Truth& truth = cluster_.truth();
    const LogPoint& at = saved->snapshot().at;
    if (raw(at.index) > truth.committed() || truth.commit_chain(raw(at.index)) != at.chain)
        return broken("entry " + std::to_string(raw(at.index)) + " isn't the one that was committed");
    cluster_.truth().check_archives(saved_of_, saved->snapshot().archives);
}

}  // namespace raftd::sim
