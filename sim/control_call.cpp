#include "sim/control_call.h"

#include <algorithm>

#include "proto/frame.h"

namespace raftd::sim {
namespace {
constexpr Duration kAnswerWithin = seconds(3), kPause = milliseconds(50);
}

ControlCall::ControlCall(Kernel& kernel, SimNetwork& network, uint32_t host)
    : kernel_(kernel), network_(network), host_(host), random_(kernel.random.next()) {}

ControlCall::~ControlCall() { links_.reset(); }

void ControlCall::begin(std::vector<std::string> endpoints) {
    links_.reset();
    machine_.reset();
    asking_ = false;
    answer_.reset();
    conn_ = io::kNoConn;
    again_ = 0;
    options_.endpoints = std::move(endpoints);
    options_.seed = random_.next();
    machine_ = std::make_unique<Machine>(kernel_, storage_, disk_, clock_, network_, host_, random_.next());
    links_ = std::make_unique<client::Links>(machine_->io().network, options_);
    machine_->set_handler(this);
}

void ControlCall::ask(pb::Request request) {
    request_ = request.SerializeAsString();
    answer_.reset();
    asking_ = true;
    conn_ = io::kNoConn;
    retry_at_ = Instant{INT64_MIN};
    machine_->io().clock.wake_at(machine_->io().clock.now());
}

std::optional<pb::Answer> ControlCall::take() { return std::exchange(answer_, std::nullopt); }

void ControlCall::handle(io::Event& event) {
    if (!links_->handle(event)) return;
    auto& frame = std::get<io::Frame>(event.what);
    if (static_cast<proto::FrameType>(frame.type) == proto::FrameType::answer) receive(frame, event.now);
}

void ControlCall::receive(const io::Frame& frame, Instant now) {
    if (frame.conn != conn_ || frame.stream != stream_) return;
    conn_ = io::kNoConn;
    pb::Answer answer;
    ByteView message = proto::message_in(frame.bytes.view());
    if (!answer.ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
    if (answer.has_error() && static_cast<Errc>(answer.error().code()) == Errc::unavailable) {
        links_->suggest_leader(NodeId{answer.error().leader()});
        ++again_;
        retry_at_ = now + kPause;
        return;
    }
    asking_ = false;
    answered_by_ = asked_;
    answer_ = std::move(answer);
}

void ControlCall::run(Instant now) {
    if (!asking_) return;
    if (conn_ != io::kNoConn && (links_->ready(conn_) == nullptr || now >= asked_at_ + kAnswerWithin)) {
        if (client::Links::Link* link = links_->ready(conn_))
            links_->fail(*link, now, Errc::unavailable, "gave no answer");
        conn_ = io::kNoConn;
        ++again_;
    }
    if (conn_ != io::kNoConn || now < retry_at_) return;
    client::Links::Link* link = links_->ready_leader();
    if (link == nullptr && links_->leader_may_come()) return;
    if (link == nullptr) link = links_->next_ready();
    if (link == nullptr) return;
    conn_ = link->conn;
    asked_ = link->id;
    asked_at_ = now;
    Slice frame = proto::make_message_frame(proto::FrameType::request, ++stream_, as_bytes(request_));
    machine_->io().network.send(conn_, {&frame, 1});
}

void ControlCall::end_turn(Instant now) {
    links_->expire(now);
    run(now);
    client::Wants wants;
    wants.any = wants.leader = asking_;
    links_->dial(now, wants);
    Instant at = links_->deadline();
    if (asking_ && conn_ != io::kNoConn) at = std::min(at, asked_at_ + kAnswerWithin);
    if (asking_ && conn_ == io::kNoConn && retry_at_ > now) at = std::min(at, retry_at_);
    if (at != kNever) machine_->io().clock.wake_at(at);
}

}  // namespace raftd::sim
