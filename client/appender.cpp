#include "client/appender.h"

#include <algorithm>

#include "base/check.h"
#include "base/entry.h"
#include "proto/frame.h"

namespace raftd::client {
namespace {

using proto::AppendCode;

std::shared_ptr<const Error> shared(Errc code, std::string what) {
    return std::make_shared<const Error>(error(code, std::move(what)));
}

const char* reason(AppendCode code) {
    switch (code) {
        case AppendCode::not_leader: return "doesn't lead";
        case AppendCode::busy: return "is busy: a bound on waiting appends is reached";
        case AppendCode::disk_full: return "has too little disk space left";
        default: return "refused for now";
    }
}

}  // namespace

Batch Batch::of(std::span<const ByteView> records) {
    CHECK(!records.empty());
    Batch batch;
    uint64_t payload = 0;
    for (ByteView record : records) {
        payload += record.size();
        batch.record_bytes_max = std::max<uint64_t>(batch.record_bytes_max, record.size());
    }
    uint64_t total = kHeadBytes + body_bytes_for(records.size(), payload);
    CHECK_LE(total, UINT32_MAX);
    batch.count = static_cast<uint32_t>(records.size());
    batch.frame = Chunk::make(static_cast<uint32_t>(total));
    MutableBytes body = batch.frame.writable().subspan(kHeadBytes);
    encode_body(records, body);
    proto::Append append{};
    append.size = sizeof append;
    append.draft = draft_batch(batch.count, body);
    std::memcpy(batch.frame.data() + proto::kFrameHeaderBytes, &append, sizeof append);
    return batch;
}

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

uint64_t Appender::sent_records() const {
    uint64_t records = 0;
    for (const Pending& pending : window_)
        if (pending.state == State::sent) records += pending.result.count;
    return records;
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
    if (outcome != Outcome::committed && options_.stop_at_failure && !halted_) {
        halted_ = true;
        halt_why_ = shared(pending.result.why->code, "not sent, since an append before it wasn't committed");
    }
}

void Appender::refuse_unsent(const std::shared_ptr<const Error>& why, Instant now) {
    for (; next_ < window_.size(); ++next_) {
        if (window_[next_].state == State::done) continue;
        window_[next_].result.why = why;
        finish(window_[next_], Outcome::refused, now);
    }
}

/// The connection is gone. What was on it may have reached the log; but not what stands behind a refusal in
/// the same run, see kAppendRun.
void Appender::lose(std::shared_ptr<const Error> why, Instant now) {
    bool run_ended = false;
    for (size_t i = 0; i < next_ && in_flight_ > 0; ++i) {
        Pending& pending = window_[i];
        run_ended |= pending.state == State::put_off;
        if (pending.state != State::sent) continue;
        if (run_ended) {
            pending.state = State::put_off;
            --in_flight_;
            continue;
        }
        pending.result.why = why;
        finish(pending, Outcome::unknown, now);
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
    if (conn != conn_) return;  // given up already: its batches have their outcome
    for (uint32_t i = 0; i < done.count; ++i) {
        proto::AppendDoneItem item;
        std::memcpy(&item, payload.data() + sizeof done + i * sizeof item, sizeof item);
        Pending* pending = find(item.stream);
        if (pending == nullptr || pending->state != State::sent) continue;
        switch (item.code) {
            case AppendCode::committed:
                pending->result.first = Lsn{item.lsn_first};
                pending->result.term = Term{item.term};
                pending->result.timestamp_ms = item.timestamp_ms;
                finish(*pending, Outcome::committed, now);
                sure_ = true;
                backoff_ = {};
                redirects_ = 0;
                break;
            case AppendCode::not_leader:
            case AppendCode::busy:
            case AppendCode::disk_full:
            case AppendCode::retry: put_off(*pending, item.code, NodeId{done.leader}, now); break;
            case AppendCode::bad_batch:
            case AppendCode::too_large:
                pending->result.why =
                    shared(Errc::bad_input, item.code == AppendCode::too_large
                                                ? "the batch is larger than the member allows"
                                                : "the member found the batch malformed");
                finish(*pending, Outcome::refused, now);
                break;
            case AppendCode::refused:
                pending->result.why = shared(Errc::unavailable,
                                             "the leader lost office, and another entry stands in its place");
                finish(*pending, Outcome::refused, now);
                break;
            case AppendCode::unknown:
            default:  // a code newer than this program says nothing about the log
                pending->result.why = shared(Errc::unknown, "the leader lost office before it was committed");
                finish(*pending, Outcome::unknown, now);
                break;
        }
    }
}

/// Nothing happened: it goes again, with all behind it, once the run is answered to its end.
void Appender::put_off(Pending& pending, AppendCode code, NodeId leader, Instant now) {
    --in_flight_;
    pending.state = State::put_off;
    if (stalled_) return;  // behind the first one of the run: refused only because of it
    stalled_ = true;
    sure_ = false;  // one batch at a time until one is committed
    Links::Link* link = links_.ready(conn_);
    std::string name = link == nullptr ? "the member" : link->name.empty() ? link->address : link->name;
    put_off_why_ = shared(Errc::unavailable, name + " " + reason(code));
    change_conn_ = code == AppendCode::not_leader;
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
    size_t last_lost = 0;  // behind the last one that is, or may be, in the log
    for (size_t i = 0; i < next_; ++i)
        if (window_[i].state == State::done && window_[i].result.outcome != Outcome::refused)
            last_lost = i + 1;
    for (size_t i = 0; i < next_; ++i) {
        if (window_[i].state != State::put_off) continue;
        if (i < last_lost) {
            window_[i].result.why = shared(Errc::unavailable, "refused, while an append behind it was taken");
            finish(window_[i], Outcome::refused, now);
        } else {
            window_[i].state = State::queued;
            ++resent_;
        }
    }
    // Behind last_lost stand batches put off and, rarely, refused for good: the latter are passed over when
    // sent.
    next_ = last_lost;
    while (next_ < window_.size() && window_[next_].state == State::done) ++next_;
    stalled_ = false;
    new_run_ = true;
    if (std::exchange(change_conn_, false)) conn_ = io::kNoConn;
}

void Appender::time_out(Instant now) {
    std::shared_ptr<const Error> why;
    if (!links_.any_ready())
        why = shared(Errc::unreachable, links_.summary());
    else if (put_off_why_)
        why = put_off_why_;
    else
        why = shared(Errc::unavailable, "no leader answered");
    if (Links::Link* link = links_.ready(conn_); link != nullptr && in_flight_ > 0)
        links_.fail(*link, now, Errc::unavailable, "did not answer appends in time");
    lose(shared(Errc::unknown, "no answer in time"), now);
    go_back(now);
    refuse_unsent(why, now);
}

/// Picks the connection to send on; false when there is none to try now.
bool Appender::choose() {
    if (links_.ready(conn_) != nullptr) return true;
    Links::Link* link = links_.ready_leader();
    sure_ = link != nullptr;
    if (link == nullptr) {
        if (links_.leader_may_come()) return false;
        link = links_.next_ready();
    }
    if (link == nullptr) return false;
    if (link->conn != conn_) new_run_ = true;
    conn_ = link->conn;
    return true;
}

/// Whether the member takes a batch of this size; refuses it if not.
bool Appender::fits(Pending& pending, Instant now) {
    const Limits& limits = links_.limits();
    const Batch& batch = pending.batch;
    if (batch.record_bytes_max > limits.record_bytes_max)
        pending.result.why = shared(Errc::bad_input, "a record of " + std::to_string(batch.record_bytes_max) +
                                                         " bytes is over the limit of " +
                                                         std::to_string(limits.record_bytes_max));
    else if (batch.count > 1 && batch.body_bytes() > limits.batch_bytes_max)
        pending.result.why = shared(Errc::bad_input, "a batch of " + std::to_string(batch.body_bytes()) +
                                                         " bytes is over the limit of " +
                                                         std::to_string(limits.batch_bytes_max));
    else
        return true;
    finish(pending, Outcome::refused, now);
    return false;
}

void Appender::send(Links::Link& link, Instant now) {
    parts_.clear();
    uint64_t room = network_.queued_bytes(link.conn);
    room = room >= io::Network::kHighWaterBytes ? 0 : io::Network::kHighWaterBytes - room;
    while (unsent() && room > 0 && (sure_ || in_flight_ == 0) && !halted_) {
        Pending& pending = window_[next_];
        if (pending.state == State::done || !fits(pending, now)) {
            ++next_;
            continue;
        }
        // The frame of a second attempt gets a new head: the network may still hold the first.
        Slice& frame = pending.batch.frame;
        Slice head = frame.chunk()->shared() ? Slice::copy_of(frame.view().first(Batch::kHeadBytes)) : frame;
        proto::Append append;
        std::memcpy(&append, frame.data() + proto::kFrameHeaderBytes, sizeof append);
        append.flags = std::exchange(new_run_, false) ? proto::kAppendRun : 0;
        auto stream = static_cast<uint32_t>(pending.result.ticket) & 0x7fffffff;
        proto::FrameHeader header =
            proto::make_header(proto::FrameType::append, stream, proto::fixed_bytes(append),
                               frame.size() - proto::kFrameHeaderBytes);
        std::memcpy(head.data(), &header, sizeof header);
        std::memcpy(head.data() + sizeof header, &append, sizeof append);
        room -= std::min<uint64_t>(room, frame.size());
        if (head.chunk() != frame.chunk()) {
            parts_.push_back(std::move(head));
            parts_.push_back(frame.from(Batch::kHeadBytes));
        } else {
            parts_.push_back(frame);
        }
        pending.state = State::sent;
        ++in_flight_;
        ++next_;
    }
    if (!parts_.empty()) network_.send(link.conn, parts_);
    parts_.clear();
}

void Appender::run(Instant now) {
    if (conn_ != io::kNoConn && links_.ready(conn_) == nullptr) {
        lose(shared(Errc::unknown, "the connection ended before the answer"), now);
        sure_ = false;
        stalled_ = true;
        change_conn_ = true;
    }
    if (stalled_ && in_flight_ == 0) go_back(now);
    if (!unsent() && in_flight_ == 0) {
        progress_ = now;
        return;
    }
    if (auto why = links_.hopeless(); why && in_flight_ == 0)
        return refuse_unsent(std::make_shared<const Error>(*why), now);
    if (now >= progress_ + options_.timeout) return time_out(now);
    if (halted_) refuse_unsent(halt_why_, now);
    if (now >= retry_at_) retry_at_ = Instant{INT64_MIN};
    if (unsent() && !stalled_ && retry_at_ <= now && choose()) send(*links_.ready(conn_), now);
    if (in_flight_ > 0) links_.watch(*links_.ready(conn_));
}

Instant Appender::deadline() const {
    if (!unsent() && in_flight_ == 0) return kNever;
    Instant at = progress_ + options_.timeout;
    bool waits = unsent() && !stalled_ && retry_at_ != Instant{INT64_MIN};
    return waits ? std::min(at, retry_at_) : at;
}

}  // namespace raftd::client
