#include "client/appender.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::client {
namespace {

using proto::AppendCode;

const char* reason(AppendCode code) {
    switch (code) {
        case AppendCode::not_leader: return "doesn't lead";
        case AppendCode::busy: return "is busy: a bound on waiting appends is reached";
        case AppendCode::disk_full: return "has too little disk space left";
        case AppendCode::unknown: return "lost office before the append was committed";
        default: return "refused for now";
    }
}

std::shared_ptr<const Error> reason_for_good(const proto::AppendDoneItem& item, Lsn expected) {
    switch (item.code) {
        case AppendCode::too_large:
            return shared_error(Errc::bad_input, "the batch is larger than the member allows");
        case AppendCode::condition_failed:
            return shared_error(Errc::conflict, "the next LSN is " + std::to_string(item.lsn_first) +
                                                    ", not " + std::to_string(raw(expected)));
        case AppendCode::sequence_reused:
            return shared_error(Errc::conflict,
                                "the producer has appended something else under this sequence");
        case AppendCode::refused:
            return shared_error(Errc::unavailable,
                                "the leader lost office, and another entry stands in its place");
        default: return shared_error(Errc::bad_input, "the member found the batch malformed");
    }
}

}  // namespace

uint64_t Appender::submit(Batch&& batch, Instant now) {
    if (window_.size() >= options_.window_batches) return 0;
    if (bytes_ > 0 && bytes_ + batch.frame.size() > options_.window_bytes) return 0;
    if (!unsent() && in_flight_ == 0) progress_ = now;
    Pending& pending = window_.emplace_back();
    bytes_ += batch.frame.size();
    pending.result.ticket = first_ticket_ + window_.size() - 1;
    pending.result.count = batch.count;
    pending.batch = std::move(batch);
    if (halted_) refuse_unsent(halt_why_, now);
    return first_ticket_ + window_.size() - 1;
}

bool Appender::take(Appended& into) {
    if (window_.empty() || window_.front().state != State::done) return false;
    into = std::move(window_.front().result);
    window_.pop_front();
    ++first_ticket_;
    if (next_ > 0) --next_;  // 0: a batch refused for good among others that were put off
    return true;
}

void Appender::cancel_unsent(const Error& why) {
    refuse_unsent(std::make_shared<const Error>(why), progress_);
}

Unresolved Appender::unresolved() const {
    Unresolved all;
    for (const Pending& pending : window_) {
        if (pending.state == State::done || !(pending.state == State::sent || pending.maybe)) continue;
        all.records += pending.result.count;
        if (pending.sequence() == 0) continue;
        all.producer = pending.result.producer;
        if (all.first_sequence == 0) all.first_sequence = pending.sequence();
        all.last_sequence = pending.sequence();
    }
    return all;
}

Slice Appender::farewell() const {
    if (!producer_.open() || producer_.named() || had_unknown_ || !window_.empty()) return {};
    return request_frame(0, close_producer_request(producer_.id(), producer_.epoch()));
}

Appender::Pending* Appender::find(uint32_t stream) {
    auto at = (stream - static_cast<uint32_t>(first_ticket_)) & 0x7fffffff;
    return at < window_.size() ? &window_[at] : nullptr;
}

void Appender::finish(Pending& pending, Outcome outcome, Instant now) {
    if (pending.state == State::sent) --in_flight_;
    pending.state = State::done;
    pending.result.outcome = outcome;
    bytes_ -= pending.batch.frame.size();
    pending.batch.frame = {};
    progress_ = now;
    had_unknown_ |= outcome == Outcome::unknown;
    if (outcome != Outcome::committed && options_.stop_at_failure && !halted_) {
        halted_ = true;
        halt_why_ =
            shared_error(pending.result.why->code, "not sent, since an append before it wasn't committed");
    }
}

void Appender::refuse(Pending& pending, std::shared_ptr<const Error> why, Instant now) {
    pending.result.why = std::move(why);
    finish(pending, Outcome::refused, now);
}

void Appender::skip_done() {
    while (next_ < window_.size() && window_[next_].state == State::done) ++next_;
}

/// What may be in a log isn't refused by this: its fate is still asked for.
void Appender::refuse_unsent(const std::shared_ptr<const Error>& why, Instant now) {
    for (size_t i = next_; i < window_.size(); ++i)
        if (window_[i].state != State::done && !window_[i].maybe) refuse(window_[i], why, now);
    skip_done();
}

/// The connection is gone. What was on it may have reached the log; but not what stands behind a refusal in
/// the same run, see kAppendRun.
void Appender::lose(std::shared_ptr<const Error> why, Instant now) {
    bool run_ended = false;
    for (size_t i = 0; i < next_ && in_flight_ > 0; ++i) {
        Pending& pending = window_[i];
        run_ended |= pending.state == State::put_off;
        if (pending.state != State::sent) continue;
        if (!run_ended && pending.sequence() == 0) {
            pending.result.why = why;
            finish(pending, Outcome::unknown, now);
            continue;
        }
        if (!run_ended) {
            pending.maybe = true;
            producer_.let_go(pending.sequence());
        }
        pending.state = State::put_off;
        --in_flight_;
    }
    CHECK_EQ(in_flight_, 0u);
    conn_ = io::kNoConn;
}

void Appender::receive(io::ConnId conn, ByteView payload, Instant now) {
    proto::AppendDone done;
    bool good =
        proto::read_fixed(payload, done) &&
        proto::fixed_size(payload) >= sizeof done + uint64_t{done.count} * sizeof(proto::AppendDoneItem);
    if (!good) {
        if (Links::Link* link = links_.ready(conn))
            links_.fail(*link, now, Errc::failed, "sent a malformed answer");
        return;
    }
    if (conn != conn_) return;  // given up already
    for (uint32_t i = 0; i < done.count; ++i) {
        proto::AppendDoneItem item;
        std::memcpy(&item, payload.data() + sizeof done + i * sizeof item, sizeof item);
        Pending* pending = find(item.stream);
        if (pending != nullptr && pending->state == State::sent)
            take_item(*pending, item, NodeId{done.leader}, now);
    }
}

void Appender::take_item(Pending& pending, const proto::AppendDoneItem& item, NodeId leader, Instant now) {
    switch (item.code) {
        case AppendCode::committed: return commit(pending, item, now);
        case AppendCode::not_leader:
        case AppendCode::busy:
        case AppendCode::disk_full:
        case AppendCode::retry: return put_off(pending, item.code, leader, now);
        default: break;
    }
    if (pending.sequence() != 0) return take_numbered(pending, item, leader, now);
    switch (item.code) {
        case AppendCode::bad_batch:
        case AppendCode::too_large:
        case AppendCode::refused:
        case AppendCode::condition_failed: return refuse_for_good(pending, item, now);
        default:  // `unknown`; a code newer than this program says nothing about the log either
            pending.result.why =
                shared_error(Errc::unknown, "the leader lost office before it was committed");
            return finish(pending, Outcome::unknown, now);
    }
}

void Appender::take_numbered(Pending& pending, const proto::AppendDoneItem& item, NodeId leader,
                             Instant now) {
    switch (item.code) {
        case AppendCode::repeated:
        case AppendCode::repeated_forgotten: return commit(pending, item, now);
        case AppendCode::bad_batch:
        case AppendCode::too_large:
        case AppendCode::sequence_reused:
        case AppendCode::condition_failed: return refuse_for_good(pending, item, now);
        case AppendCode::refused: return put_off(pending, item.code, leader, now);
        case AppendCode::fenced:
            producer_.fence(item.lsn_first);
            stall(pending);
            return back_off(now, {});
        case AppendCode::expired: expired_ = true; return stall(pending);
        case AppendCode::out_of_order:
            producer_.doubt();
            stall(pending);
            return back_off(now, {});
        default:  // `unknown`, or a code newer than this program: it may be in a log, and is sent again
            pending.maybe = true;
            producer_.let_go(pending.sequence());
            return put_off(pending, AppendCode::unknown, leader, now);
    }
}

void Appender::commit(Pending& pending, const proto::AppendDoneItem& item, Instant now) {
    bool forgotten = item.code == AppendCode::repeated_forgotten;
    if (forgotten && producer_.disputed()) {
        pending.result.why =
            shared_error(Errc::unknown, "the cluster no longer remembers whose append has its number");
        return finish(pending, Outcome::unknown, now);
    }
    pending.result.first = Lsn{forgotten ? 0 : item.lsn_first};
    pending.result.term = Term{item.term};
    pending.result.timestamp_ms = item.timestamp_ms;
    pending.result.repeated = item.code != AppendCode::committed;
    finish(pending, Outcome::committed, now);
    sure_ = true;
    backoff_ = {};
    redirects_ = 0;
}

/// This attempt did nothing, and no later one will. The number goes to the next batch, unless an earlier
/// frame could still bring this one under it: then the producer is opened again first.
void Appender::refuse_for_good(Pending& pending, const proto::AppendDoneItem& item, Instant now) {
    auto why = reason_for_good(item, pending.batch.expect);
    uint64_t sequence = pending.sequence();
    if (item.code == AppendCode::condition_failed) pending.result.observed = Lsn{item.lsn_first};
    if (sequence == 0) return refuse(pending, std::move(why), now);
    bool taken = item.code == AppendCode::sequence_reused;  // by other bytes, so that this one can't come
    if (!taken && (pending.maybe || producer_.loose(sequence))) {
        pending.otherwise = std::move(why);
        producer_.doubt();
        return stall(pending);
    }
    refuse(pending, std::move(why), now);
    if (taken) producer_.doubt();
    renumber_from_ = renumber_from_ == 0 ? sequence : std::min(renumber_from_, sequence);
    stalled_ = true;
}

/// Nothing more is sent until the run is answered to its end.
void Appender::stall(Pending& pending) {
    --in_flight_;
    pending.state = State::put_off;
    stalled_ = true;
    sure_ = false;  // one batch at a time until one is committed
}

/// Nothing happened by this attempt: it goes again, with all behind it, once the run is answered to its end.
void Appender::put_off(Pending& pending, AppendCode code, NodeId leader, Instant now) {
    bool first = !stalled_;  // those behind the first one of the run are refused only because of it
    stall(pending);
    if (!first) return;
    Links::Link* link = links_.ready(conn_);
    std::string name = link == nullptr ? "the member" : link->name.empty() ? link->address : link->name;
    put_off_why_ = shared_error(Errc::unavailable, name + " " + reason(code));
    bool lost_office = code == AppendCode::unknown || code == AppendCode::refused;
    change_conn_ = code == AppendCode::not_leader || lost_office;
    if (!change_conn_) return back_off(now, code == AppendCode::disk_full ? milliseconds(100) : Duration{});
    bool elsewhere = leader != NodeId{} && (link == nullptr || leader != link->id);
    links_.suggest_leader(elsewhere ? leader : NodeId{});
    // The first redirect is followed at once; hints that lead in circles are not.
    if (!elsewhere || redirects_++ > 0) back_off(now, {});
}

void Appender::back_off(Instant now, Duration least) {
    backoff_ = std::clamp(backoff_ * 2, std::max(least, options_.backoff_min), options_.backoff_max);
    retry_at_ = now + backoff_;
}

/// Back to the first batch that was put off; all decided ones in between stay so.
void Appender::go_back(Instant now) {
    size_t last_lost = 0;  // behind the last one without number that is, or may be, in the log
    for (size_t i = 0; i < next_; ++i)
        if (window_[i].state == State::done && window_[i].sequence() == 0 &&
            window_[i].result.outcome != Outcome::refused)
            last_lost = i + 1;
    for (size_t i = 0; i < next_; ++i) {
        if (window_[i].state != State::put_off) continue;
        if (i < last_lost && window_[i].sequence() == 0) {
            refuse(window_[i],
                   shared_error(Errc::unavailable, "refused, while an append behind it was taken"), now);
        } else {
            window_[i].state = State::queued;
            ++resent_;
        }
    }
    next_ = last_lost;
    skip_done();
    stalled_ = false;
    new_run_ = true;
    if (std::exchange(change_conn_, false)) conn_ = io::kNoConn;
    if (renumber_from_ != 0) renumber();
    if (std::exchange(expired_, false)) end_expired(now);
}

/// The batch with this number is refused, and no log has one behind it: only the exactly next one is taken.
void Appender::renumber() {
    uint64_t from = std::exchange(renumber_from_, 0);
    if (producer_.loose(from)) return producer_.doubt();  // but a frame may still be on its way
    for (Pending& pending : window_)
        if (pending.state != State::done && pending.sequence() >= from) pending.result.sequence = 0;
    producer_.give_back(from);
}

}  // namespace raftd::client
