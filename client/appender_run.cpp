// Once a turn: what the producer's state asks for, time-outs, and the sending.
#include <algorithm>

#include "base/check.h"
#include "base/entry.h"
#include "client/appender.h"

namespace raftd::client {
bool Appender::answer(const io::Frame& frame, Instant now) {
    if (producer_.receive(frame, now)) {
        if (producer_.take_opened()) settle(now);
        if (producer_.state() == Producer::State::gone) end_expired(now);
        return true;
    }
    if (!query_.receive(frame, now)) return false;
    auto answer = query_.take();
    if (!answer || producer_.state() != Producer::State::fenced) return true;
    for (Pending& pending : window_)
        if (pending.state != State::done && pending.maybe) {
            take_resolution(pending, *answer, now);
            break;
        }
    skip_done();
    return true;
}

/// The producer was opened (again): nothing sent under the epochs before can land any more, so what is above
/// its last number isn't in the log for good, and is numbered anew. What is at or below is sent once more,
/// for its answer.
void Appender::settle(Instant now) {
    for (Pending& pending : window_) {
        if (pending.state != State::queued || pending.sequence() == 0) continue;
        pending.maybe = pending.sequence() <= producer_.facts().last;
        if (pending.maybe) continue;
        pending.result.sequence = 0;
        if (pending.otherwise) refuse(pending, pending.otherwise, now);
    }
    skip_done();
}

/// Nobody remembers what became of its batches; those that no log can have go on under a new one.
void Appender::end_expired(Instant now) {
    auto why =
        shared_error(Errc::unknown, "the cluster has forgotten the producer, and what became of the append");
    for (Pending& pending : window_) {
        if (pending.state != State::queued || pending.sequence() == 0) continue;
        if (pending.maybe) {
            pending.result.why = why;
            finish(pending, Outcome::unknown, now);
        } else {
            pending.result.sequence = 0;
        }
    }
    skip_done();
    producer_.expire();
}

/// Somebody else holds the producer now: what may be in the log is asked for, one by one; the rest is
/// refused.
void Appender::resolve_fenced(Instant now) {
    auto doubted = std::find_if(window_.begin(), window_.end(), [](const Pending& pending) {
        return pending.state != State::done && pending.maybe;
    });
    if (doubted == window_.end() && producer_.named()) return refuse_unsent(producer_.why(), now);
    if (doubted == window_.end())
        return end_expired(now);  // nobody is waiting for it: the rest by another one
    if (!query_.asking()) query_.ask(query_producer_request({}, producer_.id(), doubted->sequence()));
    query_.run(now);
}

void Appender::take_resolution(Pending& pending, const LeaderAnswer& answer, Instant now) {
    bool same = answer.sequence && answer.sequence->body_checksum == pending.batch.body_checksum();
    if (same) {
        pending.result.first = answer.sequence->first;
        pending.result.term = answer.sequence->term;
        pending.result.timestamp_ms = answer.sequence->timestamp_ms;
        pending.result.repeated = true;
        return finish(pending, Outcome::committed, now);
    }
    bool never = !answer.error && answer.producer.id == producer_.id() &&
                 (answer.sequence || pending.sequence() > answer.producer.last);
    if (never) return refuse(pending, producer_.why(), now);
    pending.result.why = shared_error(Errc::unknown, "the cluster no longer remembers what became of it");
    finish(pending, Outcome::unknown, now);
}

/// Whether what is sent now may be: with a number, when it is to have one. Asks for the producer if not.
bool Appender::may_number(Instant now) {
    if (!numbers()) {
        if (!options_.exactly_once || options_.producer.empty()) return true;
        refuse_unsent(
            shared_error(Errc::conflict,
                         "the cluster's feature level is " + std::to_string(links_.feature_level()) +
                             ", and producers need " + std::to_string(kProducersFrom),
                         "raftctl feature raise"),
            now);
        return false;
    }
    switch (producer_.state()) {
        case Producer::State::open: return true;
        case Producer::State::gone:
        case Producer::State::none: producer_.want(now); break;
        case Producer::State::opening: break;
        case Producer::State::fenced:
            resolve_fenced(now);
            if (producer_.state() != Producer::State::none) return false;
            producer_.want(now);
            break;
        case Producer::State::expired:
        case Producer::State::refused: refuse_unsent(producer_.why(), now); return false;
    }
    producer_.run(now);
    return false;
}

void Appender::time_out(Instant now) {
    std::shared_ptr<const Error> why;
    if (!links_.any_ready())
        why = shared_error(Errc::unreachable, links_.summary());
    else if (producer_.state() == Producer::State::opening && producer_.trouble())
        why = producer_.trouble();
    else if (put_off_why_)
        why = put_off_why_;
    else
        why = shared_error(Errc::unavailable, "no leader answered");
    if (Links::Link* link = links_.ready(conn_); link != nullptr && in_flight_ > 0)
        links_.fail(*link, now, Errc::unavailable, "did not answer appends in time");
    auto unknown = shared_error(Errc::unknown, "no answer in time");
    lose(unknown, now);
    go_back(now);
    for (Pending& pending : window_) {
        if (pending.state == State::done || !pending.maybe) continue;
        pending.result.why = unknown;
        finish(pending, Outcome::unknown, now);
        producer_.doubt();  // whoever comes behind needs to know which number is next
    }
    query_.drop();
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
    conn_term_ = links_.leader_term();
    return true;
}

/// Whether the member takes a batch of this size; refuses it if not.
bool Appender::fits(Pending& pending, Instant now) {
    const Limits& limits = links_.limits();
    const Batch& batch = pending.batch;
    if (pending.maybe) return true;  // it did before
    std::string what;
    if (batch.record_bytes_max > limits.record_bytes_max)
        what = "a record of " + std::to_string(batch.record_bytes_max) + " bytes is over the limit of " +
               std::to_string(limits.record_bytes_max);
    else if (batch.count > 1 && batch.body_bytes() > limits.batch_bytes_max)
        what = "a batch of " + std::to_string(batch.body_bytes()) + " bytes is over the limit of " +
               std::to_string(limits.batch_bytes_max);
    else
        return true;
    refuse(pending, shared_error(Errc::bad_input, what), now);
    return false;
}

/// Its head is finished for this attempt. That of a second one is new: the network may still hold the first.
void Appender::add_frame(Pending& pending) {
    Slice& frame = pending.batch.frame;
    Slice head = frame.chunk()->shared() ? Slice::copy_of(frame.view().first(Batch::kHeadBytes)) : frame;
    proto::Append append;
    std::memcpy(&append, frame.data() + proto::kFrameHeaderBytes, sizeof append);
    append.flags = std::exchange(new_run_, false) ? proto::kAppendRun : 0;
    append.expect_lsn = raw(pending.batch.expect);
    bool numbered = pending.sequence() != 0;
    append.draft.producer = numbered ? producer_.id() : 0;
    append.draft.producer_epoch = numbered ? producer_.epoch() : 0;
    append.draft.sequence = pending.sequence();
    auto stream = static_cast<uint32_t>(pending.result.ticket) & 0x7fffffff;
    proto::FrameHeader header =
        proto::make_header(proto::FrameType::append, stream, proto::fixed_bytes(append),
                           frame.size() - proto::kFrameHeaderBytes);
    std::memcpy(head.data(), &header, sizeof header);
    std::memcpy(head.data() + sizeof header, &append, sizeof append);
    if (head.chunk() != frame.chunk()) {
        parts_.push_back(std::move(head));
        parts_.push_back(frame.from(Batch::kHeadBytes));
    } else {
        parts_.push_back(frame);
    }
}

void Appender::send(Links::Link& link, Instant now) {
    parts_.clear();
    uint64_t room = network_.queued_bytes(link.conn);
    room = room >= io::Network::kHighWaterBytes ? 0 : io::Network::kHighWaterBytes - room;
    bool numbered = numbers();
    uint32_t in_flight_max = numbered ? proto::kProducerInFlightMax : UINT32_MAX;
    while (unsent() && room > 0 && (sure_ || in_flight_ == 0) && in_flight_ < in_flight_max) {
        Pending& pending = window_[next_];
        if (halted_ && !pending.maybe) break;
        if (pending.state == State::done || !fits(pending, now)) {
            ++next_;
            continue;
        }
        if (numbered && pending.sequence() == 0) {
            pending.result.sequence = producer_.assign();
            pending.result.producer = producer_.id();
        }
        room -= std::min<uint64_t>(room, pending.batch.frame.size());
        add_frame(pending);
        pending.state = State::sent;
        ++in_flight_;
        ++next_;
    }
    if (!parts_.empty()) network_.send(link.conn, parts_);
    parts_.clear();
}

/// Somebody else was elected: whoever is silent since then is left, and nobody waits any longer to ask again.
void Appender::follow_leader(Instant now) {
    if (links_.leader_term() > seen_term_) {
        seen_term_ = links_.leader_term();
        retry_at_ = Instant{INT64_MIN};
        backoff_ = {};
        redirects_ = 0;
    }
    Links::Link* link = links_.ready(conn_);
    if (link == nullptr || links_.leader_term() <= conn_term_) return;
    if (link->id == links_.leader())
        conn_term_ = links_.leader_term();
    else if (doubts(*link))
        links_.fail(*link, now, Errc::unavailable, "was silent while another was elected");
}

void Appender::run(Instant now) {
    follow_leader(now);
    if (conn_ != io::kNoConn && links_.ready(conn_) == nullptr) {
        lose(shared_error(Errc::unknown, "the connection ended before the answer"), now);
        sure_ = false;
        stalled_ = true;
        change_conn_ = true;
    }
    if (stalled_ && in_flight_ == 0) go_back(now);
    producer_.run(now);
    query_.run(now);
    bool registering = producer_wanted_ && (producer_.state() == Producer::State::none ||
                                            producer_.state() == Producer::State::opening);
    if (!unsent() && in_flight_ == 0 && !registering) {
        progress_ = now;
        return;
    }
    if (auto why = links_.hopeless(); why && in_flight_ == 0)
        refuse_unsent(std::make_shared<const Error>(*why), now);
    if ((unsent() || in_flight_ > 0) && now >= progress_ + options_.timeout) return time_out(now);
    if (halted_) refuse_unsent(halt_why_, now);
    if (now >= retry_at_) retry_at_ = Instant{INT64_MIN};
    bool wants = unsent() || registering;
    if (wants && !stalled_ && retry_at_ <= now && choose() && may_number(now) && unsent())
        send(*links_.ready(conn_), now);
    // One that can be sent again needn't wait for a silent member as long as for an answer.
    if (in_flight_ > 0) links_.watch(*links_.ready(conn_), numbers() ? links_.patience() : Links::kEndless);
}

void Appender::add_wants(Wants& wants) const {
    // A leader that gives no answer may be one no more: another member would know.
    if (const Links::Link* link = links_.ready(conn_); link != nullptr && doubts(*link)) {
        wants.any = true;
        if (wants.beside == io::kNoConn) wants.beside = conn_;
    }
    wants.leader |= unsent() || in_flight_ > 0 || (producer_wanted_ && !producer_.open());
    producer_.add_wants(wants);
    query_.add_wants(wants);
}

Instant Appender::deadline() const {
    Instant calls = std::min(producer_.deadline(), query_.deadline());
    if (!unsent() && in_flight_ == 0) return calls;
    Instant at = std::min(progress_ + options_.timeout, calls);
    if (unsent()) at = std::min(at, producer_.want_at());
    bool waits = unsent() && !stalled_ && retry_at_ != Instant{INT64_MIN};
    return waits ? std::min(at, retry_at_) : at;
}

}  // namespace raftd::client
