#include "client/leader_call.h"

#include <algorithm>

#include "proto/control.pb.h"
#include "proto/frame.h"

namespace raftd::client {

std::string open_producer_request(std::string_view name, uint64_t id, uint32_t epoch) {
    pb::Request request;
    request.mutable_open_producer()->set_name(std::string(name));
    request.mutable_open_producer()->set_id(id);
    request.mutable_open_producer()->set_epoch(epoch);
    return request.SerializeAsString();
}

std::string close_producer_request(uint64_t id, uint32_t epoch) {
    pb::Request request;
    request.mutable_close_producer()->set_id(id);
    request.mutable_close_producer()->set_epoch(epoch);
    return request.SerializeAsString();
}

std::string query_producer_request(std::string_view name, uint64_t id, uint64_t sequence) {
    pb::Request request;
    request.mutable_query_producer()->set_name(std::string(name));
    request.mutable_query_producer()->set_id(id);
    request.mutable_query_producer()->set_sequence(sequence);
    return request.SerializeAsString();
}

Slice request_frame(uint32_t stream, std::string_view request) {
    return proto::make_message_frame(proto::FrameType::request, stream, as_bytes(request));
}

void LeaderCall::ask(std::string request) {
    drop();
    request_ = std::move(request);
    why_ = nullptr;
    retry_at_ = Instant{INT64_MIN};
    backoff_ = {};
    redirects_ = 0;
}

void LeaderCall::drop() {
    lost_ += conn_ != io::kNoConn;
    conn_ = io::kNoConn;
    request_.clear();
    answer_.reset();
}

std::optional<LeaderAnswer> LeaderCall::take() {
    if (!answer_) return std::nullopt;
    request_.clear();
    return std::exchange(answer_, std::nullopt);
}

void LeaderCall::back_off(Instant now) {
    backoff_ = std::clamp(backoff_ * 2, options_.backoff_min, options_.backoff_max);
    retry_at_ = now + backoff_;
}

bool LeaderCall::receive(const io::Frame& frame, Instant now) {
    if (frame.conn != conn_ || frame.stream != stream_) return false;
    Links::Link* link = links_.ready(conn_);
    conn_ = io::kNoConn;
    if (link != nullptr) read(*link, frame.bytes.view(), now);
    return true;
}

void LeaderCall::read(Links::Link& link, ByteView payload, Instant now) {
    pb::Answer answer;
    ByteView message = proto::message_in(payload);
    bool good = answer.ParseFromArray(message.data(), static_cast<int>(message.size())) &&
                (answer.has_error() || answer.has_producer() || answer.has_retained());
    if (!good) {
        ++lost_;
        why_ = std::make_shared<const Error>(error(Errc::failed, "a member sent a malformed answer"));
        links_.fail(link, now, Errc::failed, "sent a malformed answer");
        return back_off(now);
    }
    if (answer.has_error()) {
        const pb::Error& said = answer.error();
        Error why = error(static_cast<Errc>(said.code()), said.what(), said.hint());
        // It may still be carried out: the leader that had it in its log lost office.
        lost_ += why.code == Errc::unknown;
        if (why.code != Errc::unavailable && why.code != Errc::unknown) {
            answer_.emplace().error = std::move(why);
            return;
        }
        why_ = std::make_shared<const Error>(std::move(why));
        bool elsewhere = said.leader() != 0 && NodeId{said.leader()} != link.id;
        links_.suggest_leader(NodeId{said.leader()});
        // The first redirect is followed at once; hints that lead in circles are not.
        if (!elsewhere || redirects_++ > 0) back_off(now);
        return;
    }
    if (answer.has_retained()) {
        answer_.emplace().retained = std::make_shared<const pb::Retained>(answer.retained());
        return;
    }
    const pb::ProducerAnswer& said = answer.producer();
    answer_.emplace().producer = {said.id(), said.epoch(), said.last_sequence(), said.records(), said.name()};
    answer_->fenced = said.fenced();
    if (!said.has_sequence()) return;
    const pb::SequenceAnswer& sequence = said.sequence();
    answer_->sequence = {Lsn{sequence.lsn_first()}, sequence.record_count(), Term{sequence.term()},
                         sequence.timestamp_ms(), sequence.body_checksum()};
}

void LeaderCall::run(Instant now) {
    if (!asking() || answer_) return;
    if (conn_ != io::kNoConn && links_.ready(conn_) == nullptr) {
        conn_ = io::kNoConn;
        ++lost_;
        why_ =
            std::make_shared<const Error>(error(Errc::unavailable, "the connection ended before the answer"));
    }
    if (conn_ != io::kNoConn && now >= asked_at_ + options_.timeout / 2) {
        why_ = std::make_shared<const Error>(error(Errc::unavailable, "the member gave no answer"));
        links_.fail(*links_.ready(conn_), now, Errc::unavailable, "gave no answer");
        conn_ = io::kNoConn;
        ++lost_;
    }
    if (conn_ != io::kNoConn) return links_.watch(*links_.ready(conn_), links_.patience());
    if (now < retry_at_) return;
    retry_at_ = Instant{INT64_MIN};
    Links::Link* link = links_.ready_leader();
    if (link == nullptr && links_.leader_may_come()) return;
    if (link == nullptr) link = links_.next_ready();
    if (link == nullptr) return;
    conn_ = link->conn;
    stream_ = ++streams_;
    asked_at_ = now;
    Slice frame = request_frame(stream_, request_);
    network_.send(conn_, {&frame, 1});
    links_.watch(*link, links_.patience());
}

Instant LeaderCall::deadline() const {
    if (!asking() || answer_) return kNever;
    if (conn_ != io::kNoConn) return asked_at_ + options_.timeout / 2;
    return retry_at_ == Instant{INT64_MIN} ? kNever : retry_at_;
}

}  // namespace raftd::client
