#include "sim/client.h"

#include <algorithm>
#include <array>
#include <utility>

namespace raftd::sim {

SimClient::SimClient(Kernel& kernel, SimNetwork& network, Ledger& ledger, Reached& reached, uint32_t number,
                     std::vector<std::string> names, const ClientLoad& load)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      network_(network),
      ledger_(ledger),
      reached_(reached),
      number_(number),
      names_(std::move(names)),
      load_(load),
      random_(kernel.random.next()) {
    for (const std::string& name : names_) addresses_.push_back(name + ":7002");
}

SimClient::~SimClient() {
    kernel_.remove(actor_);
    session_.reset();
}

void SimClient::set_members(std::vector<std::string> names, std::vector<std::string> addresses) {
    names_ = std::move(names);
    addresses_ = std::move(addresses);
}

void SimClient::start() {
    machine_ =
        std::make_unique<Machine>(kernel_, storage_, disk_, clock_, network_, 100 + number_, random_.next());
    client::SessionOptions options;
    options.endpoints = addresses_;
    options.timeout = load_.timeout;
    if (producers_known_) options.producer = load_.producer;
    named_ = !options.producer.empty();
    options.seed = random_.next();
    // Numbered, an append is sent again until its fate is known; both ways of working stay in use.
    options.exactly_once = random_.chance(load_.numbered) || named_;
    session_ = std::make_unique<client::Session>(machine_->io().network, machine_->io().clock, options);
    machine_->set_handler(this);
    anew_ = renewed_ = false;
    producer_id_ = 0;
    last_committed_ = {};
    Instant now = machine_->io().clock.now();
    next_append_ = now + pause_for(load_.appends_per_second);
    next_read_ = now + pause_for(load_.reads_per_second);
    machine_->io().clock.wake_at(now);
}

void SimClient::kill() {
    tail_.reset(), read_.reset(), whole_.reset();
    session_.reset();
    machine_.reset();
    for (const Open& open : window_) ledger_.unknown(open.first, open.count);
    window_.clear();
}

void SimClient::pause(bool paused) {
    if (machine_ == nullptr || machine_->paused() == paused) return;
    machine_->pause(paused);
    if (!paused) decided_at_ = kernel_.now();  // it couldn't do anything meanwhile
}

// The time-out runs from the last append that was decided, or from when a producer was opened anew.
void SimClient::check_deadline(Instant now) const {
    if (machine_ == nullptr || machine_->paused() || window_.empty()) return;
    Duration waited = now - decided_at_;
    if (waited > load_.timeout * 2 + seconds(2))
        throw Violation(Ending::liveness,
                        "client " + std::to_string(number_) + " has an append without an outcome after " +
                            std::to_string(waited.ns / 1'000'000) + " ms, twice its time-out");
}

Duration SimClient::pause_for(double per_second) {
    if (per_second <= 0) return seconds(1'000'000);
    return {static_cast<int64_t>(random_.below(static_cast<uint64_t>(2e9 / per_second)) + 1)};
}

const std::string& SimClient::any_name() { return names_[random_.below(names_.size())]; }

void SimClient::handle(io::Event& event) { session_->handle(event); }

void SimClient::end_turn(Instant now) {
    session_->end_turn(now);
    take_outcomes();
    see_producer();
    bool more = false;
    if (probe_ && submit(now, true)) probe_ = false, more = true;
    while (appending_ && now >= next_append_ && load_.appends_per_second > 0) {
        next_append_ = std::max(next_append_ + pause_for(load_.appends_per_second), now + microseconds(1));
        if (window_.size() < load_.window) more |= submit(now, false);
    }
    size_t tails = tail_.has_value() + read_.has_value() + whole_.has_value();
    run_tail(now);
    run_read(now);
    run_whole();
    more |= tails != size_t{tail_.has_value()} + read_.has_value() + whole_.has_value();
    if (more) session_->end_turn(now);
    if (appending_ && load_.appends_per_second > 0) machine_->io().clock.wake_at(next_append_);
    if (load_.reads_per_second > 0 && !read_) machine_->io().clock.wake_at(next_read_);
}

bool SimClient::submit(Instant, bool probe) {
    auto count = static_cast<uint32_t>(probe ? 1 : random_.between(1, load_.batch_max));
    std::array<ByteView, 64> views;
    count = std::min<uint32_t>(count, views.size());
    scratch_.resize(size_t{count} * load_.bytes_max);
    RecordId first{number_, seq_ + 1};
    for (uint32_t i = 0; i < count; ++i) {
        auto bytes = random_.between(Ledger::kBytesMin, std::max(Ledger::kBytesMin, load_.bytes_max));
        MutableBytes record(scratch_.data() + size_t{i} * load_.bytes_max, bytes);
        Ledger::encode({number_, first.seq + i}, record);
        views[i] = record;
    }
    if (session_->submit(client::Batch::of({views.data(), count})) == 0) return false;
    seq_ += count;
    if (window_.empty()) decided_at_ = kernel_.now();
    window_.push_back({first, count, ledger_.acked_end(), probe});
    return true;
}

void SimClient::take_outcomes() {
    client::Appended done;
    while (session_->take(done)) {
        CHECK(!window_.empty());
        Open open = window_.front();
        window_.pop_front();
        decided_at_ = kernel_.now();
        CHECK_EQ(done.count, open.count);
        switch (done.outcome) {
            case client::Outcome::committed: take_committed(open, done); break;
            case client::Outcome::refused: ledger_.refused(open.first, open.count); break;
            case client::Outcome::unknown: ledger_.unknown(open.first, open.count); break;
        }
    }
}

void SimClient::take_committed(const Open& open, const client::Appended& done) {
    ++acked_;
    probes_acked_ += open.probe;
    if (network_.cut_count() > 0) reached_.hit(Reach::append_acked_while_cut);
    if (done.repeated) reached_.hit(Reach::append_repeated);
    if (done.first == Lsn{}) {
        reached_.hit(Reach::append_repeated_forgotten);
        return ledger_.acknowledged_somewhere(open.first, open.count);
    }
    if (done.first <= last_committed_)
        throw Violation(Ending::correctness, "client " + std::to_string(number_) + " has LSN " +
                                                 std::to_string(raw(done.first)) + " behind LSN " +
                                                 std::to_string(raw(last_committed_)) +
                                                 " of an append that it submitted before");
    last_committed_ = done.last();
    ledger_.acknowledged(open.first, open.count, done.first, open.floor);
}

/// Starts anew where nothing more can be sent, since somebody else opened its producer; and to take its name,
/// once it has met a cluster that has producers.
void SimClient::see_producer() {
    using State = client::Producer::State;
    const client::Producer& producer = session_->appends().producer();
    if (producer.id() != 0 && std::exchange(producer_id_, producer.id()) != producer.id() && renewed_)
        reached_.hit(Reach::producer_expired);
    renewed_ = producer_id_ != 0;
    producers_known_ |= producer.id() != 0;
    if (anew_ || !window_.empty()) return;
    const State state = producer.state();
    bool ended = state == State::fenced || state == State::expired || state == State::refused;
    if (state == State::fenced) reached_.hit(Reach::producer_fenced);
    if (!ended && (named_ || load_.producer.empty() || !producers_known_)) return;
    anew_ = true;
    kernel_.schedule_in(Duration{static_cast<int64_t>(random_.below(3'000'000'000))}, actor_, 0, 0);
}

void SimClient::fire(uint32_t, uint64_t) {
    if (!anew_ || !running()) return;
    kill();
    start();
}

void SimClient::probe() {
    if (probe_ || std::any_of(window_.begin(), window_.end(), [](const Open& open) { return open.probe; }))
        return;
    probe_ = true;
    machine_->io().clock.wake_at(machine_->io().clock.now());
}

/// Follows the log, checked record by record; goes on at another member from time to time.
void SimClient::run_tail(Instant now) {
    if (!load_.follow) return;
    if (tail_ && (now >= tail_until_ || session_->tail(*tail_).ended())) {
        const std::optional<Error>& why = session_->tail(*tail_).failure();
        if (why && why->code == Errc::not_found && tail_next_ < ledger_.trimmed()) {
            reached_.hit(Reach::read_trimmed);
            tail_next_ = ledger_.trimmed();
        }
        session_->close_tail(*tail_);
        tail_.reset();
        reached_.hit(Reach::tail_moved);
    }
    if (!tail_) {
        client::TailOptions options;
        options.from = client::From::lsn;
        if (random_.chance(0.2) && raw(tail_next_) > 1)
            tail_next_ = Lsn{raw(tail_next_) - random_.below(std::min<uint64_t>(raw(tail_next_), 50))};
        options.value = raw(tail_next_);
        options.follow = true;
        options.window_bytes = random_.chance(0.3) ? 4096 : 1u << 20;
        if (random_.chance(0.7)) options.node = any_name();
        tail_ = session_->open_tail(options);
        tail_until_ =
            now + load_.tail_life / 2 +
            Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(load_.tail_life.ns)))};
        return;
    }
    client::TailStream& tail = session_->tail(*tail_);
    std::array<client::Record, 64> records;
    while (size_t count = tail.next(records)) {
        for (size_t i = 0; i < count; ++i) {
            if (records[i].lsn != tail_next_)
                throw Violation(Ending::correctness, "a tail gave LSN " +
                                                         std::to_string(raw(records[i].lsn)) + " where " +
                                                         std::to_string(raw(tail_next_)) + " was next");
            ++tail_next_;
            ++records_seen_;
            ledger_.delivered(records[i].lsn, records[i].data);
        }
    }
    if (tail.ended() && tail.failure() && tail.failure()->code == Errc::damaged && !load_.damage)
        throw Violation(Ending::correctness, "a tail broke: " + tail.failure()->what);
    machine_->io().clock.wake_at(tail_until_);
}

/// Asks for the highest acknowledged record: a linearizable read that begins now must see it.
void SimClient::run_read(Instant now) {
    if (load_.reads_per_second <= 0) return;
    if (!read_) {
        if (now < next_read_ || ledger_.acked_end() == Lsn{1}) {
            if (now >= next_read_) next_read_ = now + pause_for(load_.reads_per_second);
            return;
        }
        read_wants_ = ledger_.acked_end() - 1;
        read_seen_ = false;
        client::TailOptions options;
        options.from = client::From::lsn;
        options.value = raw(read_wants_);
        options.to = read_wants_;
        if (random_.chance(0.7)) options.node = any_name();
        read_ = session_->open_tail(options);
        return;
    }
    client::TailStream& read = session_->tail(*read_);
    std::array<client::Record, 8> records;
    while (size_t count = read.next(records))
        for (size_t i = 0; i < count; ++i) {
            ledger_.delivered(records[i].lsn, records[i].data);
            read_seen_ |= records[i].lsn == read_wants_;
        }
    if (!read.ended()) return;
    bool lost = read.failure() ? read.failure()->code == Errc::not_found : !read_seen_;
    // The member that was to be asked may have been removed.
    if (lost && read.failure() && read.failure()->what.starts_with("no member is called")) lost = false;
    lost = lost && read_wants_ >= ledger_.trimmed();
    if (lost)
        throw Violation(Ending::correctness, "a linearizable read didn't see LSN " +
                                                 std::to_string(raw(read_wants_)) +
                                                 ", acknowledged before it began");
    if (read_seen_) reached_.hit(Reach::read_confirmed);
    session_->close_tail(*read_);
    read_.reset();
    next_read_ = now + pause_for(load_.reads_per_second);
}

void SimClient::read_all(const std::string& name) {
    whole_name_ = name;
    whole_read_ = -1;
    if (whole_) session_->close_tail(*whole_);
    whole_.reset();
    machine_->io().clock.wake_at(machine_->io().clock.now());
}

void SimClient::run_whole() {
    if (whole_name_.empty() || whole_read_ >= 0) return;
    if (!whole_) {
        client::TailOptions options;
        options.node = whole_name_;
        whole_count_ = 0;
        whole_ = session_->open_tail(options);
        return;
    }
    client::TailStream& tail = session_->tail(*whole_);
    std::array<client::Record, 64> records;
    while (size_t count = tail.next(records))
        for (size_t i = 0; i < count; ++i) {
            if (whole_count_ == 0 && records[i].lsn <= ledger_.trimmed())
                whole_count_ = static_cast<int64_t>(raw(records[i].lsn)) - 1;
            if (raw(records[i].lsn) != static_cast<uint64_t>(++whole_count_))
                throw Violation(Ending::correctness, "a tail of " + whole_name_ + " has a gap at LSN " +
                                                         std::to_string(whole_count_));
            ledger_.delivered(records[i].lsn, records[i].data);
        }
    if (!tail.ended()) return;
    if (!tail.failure())
        whole_read_ = whole_count_ == 0 ? static_cast<int64_t>(raw(ledger_.trimmed())) - 1 : whole_count_;
    session_->close_tail(*whole_);
    whole_.reset();
    if (whole_read_ < 0) machine_->io().clock.wake_at(machine_->io().clock.now() + milliseconds(200));
}

}  // namespace raftd::sim
