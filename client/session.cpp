#include "client/session.h"

#include <algorithm>

#include "proto/frame.h"

namespace raftd::client {

Session::Session(io::Network& network, io::Clock& clock, SessionOptions options)
    : network_(network),
      clock_(clock),
      options_(std::move(options)),
      links_(network_, options_),
      appender_(network_, links_, options_, requests_),
      question_(network_, links_, options_, requests_) {}

Session::~Session() {
    for (const Links::Link& link : links_.all())
        if (link.conn != io::kNoConn) network_.close(link.conn);
}

void Session::handle(io::Event& event) {
    if (!links_.handle(event)) return;
    auto& frame = std::get<io::Frame>(event.what);
    switch (static_cast<proto::FrameType>(frame.type)) {
        case proto::FrameType::append_done:
            return appender_.receive(frame.conn, frame.bytes.view(), event.now);
        case proto::FrameType::answer:
            if (!appender_.answer(frame, event.now)) question_.receive(frame, event.now);
            return;  // else of a question given up
        case proto::FrameType::tail_data:
        case proto::FrameType::tail_end:
            for (auto& [id, tail] : tails_)
                if (tail->owns(frame.stream)) return tail->receive(frame.conn, frame, event.now);
            return;  // of a tail closed meanwhile
        default:
            if (Links::Link* link = links_.ready(frame.conn))
                links_.fail(*link, event.now, Errc::failed, "sent a frame of an unknown type");
    }
}

void Session::end_turn(Instant now) {
    links_.expire(now);
    appender_.run(now);
    question_.run(now);
    for (auto& [id, tail] : tails_) tail->run(now);
    Wants wants;
    wants.any = want_member_;
    appender_.add_wants(wants);
    question_.add_wants(wants);
    for (const auto& [id, tail] : tails_) tail->add_wants(wants);
    links_.dial(now, wants);
    Instant at = std::min({links_.deadline(), appender_.deadline(), question_.deadline()});
    for (const auto& [id, tail] : tails_) at = std::min(at, tail->deadline());
    if (at != kNever) clock_.wake_at(at);
}

void Session::say_farewell() {
    Slice frame = appender_.farewell();
    Links::Link* link = links_.ready_leader();
    if (frame.size() != 0 && link != nullptr) network_.send(link->conn, {&frame, 1});
}

TailId Session::open_tail(TailOptions options) {
    TailId id{++last_tail_};
    tails_.emplace(id,
                   std::make_unique<TailStream>(network_, links_, options_, std::move(options), streams_));
    return id;
}

void Session::close_tail(TailId id) {
    auto found = tails_.find(id);
    if (found == tails_.end()) return;
    found->second->close();
    tails_.erase(found);
}

}  // namespace raftd::client
