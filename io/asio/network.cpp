#include "io/asio/network.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/check.h"

namespace raftd::io::asio {
namespace {

constexpr size_t kPartsMax = 128;  // of one sendmsg

Instant now() {
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(
                std::chrono::steady_clock::now().time_since_epoch())
                .count()};
}

CloseReason reason_of(int error) {
    if (error == ETIMEDOUT) return CloseReason::timed_out;
    if (error == EHOSTUNREACH || error == ENETUNREACH || error == ENETDOWN) return CloseReason::unreachable;
    return CloseReason::reset;
}

}  // namespace

Connection* RealNetwork::find(ConnId conn) {
    auto found = connections_.find(static_cast<uint64_t>(conn));
    return found == connections_.end() ? nullptr : found->second.get();
}

void RealNetwork::send(ConnId id, std::span<const Slice> parts) {
    Connection* conn = find(id);
    if (conn == nullptr || conn->send_error != 0) return;
    if (conn->state != Connection::State::open && conn->state != Connection::State::connecting) return;
    for (const Slice& part : parts) conn->queue.add(part);
    if (conn->queue.bytes() >= kHighWaterBytes) conn->above_high_water = true;
    if (conn->queue.bytes() > options_.queued_bytes_max) {
        LogLine(log_, LogLevel::warn, "connection_dropped")("why", "send queue too long")(
            "bytes", conn->queue.bytes());
        end(*conn, CloseReason::timed_out);
        return;
    }
    touch(*conn);
}

uint64_t RealNetwork::queued_bytes(ConnId id) {
    const Connection* conn = find(id);
    return conn == nullptr ? 0 : conn->queue.bytes();
}

uint64_t RealNetwork::unacknowledged_bytes(ConnId id) {
    Connection* conn = find(id);
    if (conn == nullptr || !conn->socket.is_open()) return 0;
    int in_kernel = 0;
    if (::ioctl(conn->socket.native_handle(), SIOCOUTQ, &in_kernel) != 0) in_kernel = 0;
    return conn->queue.bytes() + static_cast<uint64_t>(in_kernel);
}

void RealNetwork::pause_reading(ConnId id, bool paused) {
    Connection* conn = find(id);
    if (conn == nullptr || conn->state != Connection::State::open || conn->paused == paused) return;
    conn->paused = paused;
    if (!paused && !conn->read_wait) make_ready(*conn);
}

void RealNetwork::touch(Connection& conn) {
    if (conn.touched) return;
    conn.touched = true;
    touched_.push_back(conn.id);
}

void RealNetwork::make_ready(Connection& conn) {
    if (conn.ready) return;
    conn.ready = true;
    ready_[static_cast<size_t>(conn.kind)].push_back(conn.id);
}

bool RealNetwork::ready() const {
    return !notices_.empty() ||
           std::any_of(ready_.begin(), ready_.end(), [](const auto& list) { return !list.empty(); });
}

void RealNetwork::deliver(Handler& handler, Budget& total) {
    deliver_notices(handler, total);
    // A quarter of the turn is kept for clients: a leader that sends without end can't keep them from being
    // heard.
    Budget peers{total.bytes / 4 * 3, total.events / 4 * 3};
    deliver_frames(handler, peers, static_cast<size_t>(ConnClass::peer_control), total);
    deliver_frames(handler, peers, static_cast<size_t>(ConnClass::peer_bulk), total);
    Budget rest = total;
    deliver_frames(handler, rest, static_cast<size_t>(ConnClass::admin), total);
    deliver_frames(handler, rest, static_cast<size_t>(ConnClass::client), total);
}

void RealNetwork::deliver_notices(Handler& handler, Budget& budget) {
    // Those that come up meanwhile wait for the next turn.
    for (size_t count = notices_.size(); count > 0 && !budget.spent(); --count) {
        Notice notice = std::move(notices_.front());
        notices_.pop_front();
        ConnId id = std::visit([](const auto& what) { return what.conn; }, notice);
        Connection* conn = find(id);
        bool closing = std::holds_alternative<Closed>(notice);
        if (conn == nullptr || conn->state == Connection::State::draining ||
            conn->state == Connection::State::emptied)
            continue;  // closed by the node meanwhile
        if (std::holds_alternative<Writable>(notice) && conn->state != Connection::State::open) continue;
        if (closing) let_go(*conn);
        budget.use(0);
        ++counters_.events;
        Event event{now(), {}};
        std::visit([&event](auto& what) { event.what = std::move(what); }, notice);
        handler.handle(event);
    }
}

/// Round robin: each ready connection gives what one receive brings, then goes behind the others.
void RealNetwork::deliver_frames(Handler& handler, Budget& budget, size_t kind, Budget& total) {
    std::deque<ConnId>& list = ready_[kind];
    while (!list.empty() && !budget.spent()) {
        Connection* conn = find(list.front());
        list.pop_front();
        if (conn == nullptr) continue;
        conn->ready = false;
        Budget before = budget;
        bool more = receive(*conn, handler, budget);
        total.bytes -= std::min(total.bytes, before.bytes - budget.bytes);
        total.events -= std::min(total.events, before.events - budget.events);
        if (more) make_ready(*conn);
    }
}

/// True when there may be more to take in without waiting.
bool RealNetwork::receive(Connection& conn, Handler& handler, Budget& budget) {
    if (conn.state == Connection::State::emptied || conn.state == Connection::State::draining) {
        discard_input(conn);
        return false;
    }
    if (!hand_on(conn, handler, budget)) return conn.state == Connection::State::open && !conn.paused;
    MutableBytes room = conn.reader.room();
    ssize_t got = 0;
    do {
        got = ::recv(conn.socket.native_handle(), room.data(), room.size(), MSG_DONTWAIT);
        ++counters_.recv_calls;
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        end(conn, reason_of(conn.send_error != 0 ? conn.send_error : errno));
        return false;
    }
    if (got == 0) {
        end(conn, conn.send_error != 0 ? reason_of(conn.send_error) : CloseReason::remote);
        return false;
    }
    if (got > 0) {
        counters_.recv_bytes += static_cast<uint64_t>(got);
        conn.reader.received(static_cast<uint32_t>(got));
        if (!hand_on(conn, handler, budget)) return conn.state == Connection::State::open && !conn.paused;
        if (static_cast<size_t>(got) == room.size()) return true;
    }
    conn.reader.rest();
    wait_readable(conn);
    return false;
}

/// Hands on the frames that are whole. False when it stopped before the last: out of budget, paused, or
/// ended.
bool RealNetwork::hand_on(Connection& conn, Handler& handler, Budget& budget) {
    proto::FrameHeader header;
    Event event{now(), {}};  // one reading of the clock for what one receive brought
    for (;;) {
        if (conn.state != Connection::State::open || conn.paused || budget.spent()) return false;
        Slice payload;
        FrameReader::Got got = conn.reader.next(header, payload);
        if (got == FrameReader::Got::need_more) return true;
        if (got == FrameReader::Got::bad) {
            LogLine(log_, LogLevel::warn, "bad_frame")("why", proto::text_of(conn.reader.why()))(
                "peer", text_of(remote_address(conn.socket.native_handle())));
            end(conn, CloseReason::protocol);
            return false;
        }
        budget.use(header.length);
        ++counters_.events;
        ++counters_.frames;
        event.what = Frame{conn.id, header.type, header.flags, header.stream, std::move(payload)};
        handler.handle(event);
        event.what = Woken{};  // lets go of the payload before the reader looks who holds its chunk
    }
}

/// A connection that was closed here reads on until the other end has closed too: closing with unread input
/// would reset it, and take back what was sent last.
void RealNetwork::discard_input(Connection& conn) {
    std::byte dump[4096];
    for (int calls = 0; calls < 16; ++calls) {
        ssize_t got = ::recv(conn.socket.native_handle(), dump, sizeof dump, MSG_DONTWAIT);
        if (got > 0 || (got < 0 && errno == EINTR)) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        let_go(conn);
        return;
    }
    wait_readable(conn);
}

void RealNetwork::wait_readable(Connection& conn) {
    if (conn.read_wait) return;
    conn.read_wait = true;
    conn.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [this, id = conn.id](boost::system::error_code error) {
                               Connection* woken = error ? nullptr : find(id);
                               if (woken == nullptr) return;
                               woken->read_wait = false;
                               if (!woken->paused || woken->state != Connection::State::open)
                                   make_ready(*woken);
                           });
}

void RealNetwork::wait_writable(Connection& conn) {
    if (conn.write_wait) return;
    conn.write_wait = true;
    conn.socket.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                           [this, id = conn.id](boost::system::error_code error) {
                               Connection* woken = error ? nullptr : find(id);
                               if (woken == nullptr) return;
                               woken->write_wait = false;
                               if (woken->state == Connection::State::connecting)
                                   on_connected(*woken);
                               else
                                   touch(*woken);
                           });
}

void RealNetwork::flush() {
    // By number: what write_out touches again is of the next turn.
    for (size_t i = 0, count = touched_.size(); i < count; ++i) {
        Connection* conn = find(touched_[i]);
        if (conn == nullptr) continue;
        conn->touched = false;
        if (conn->sendable()) write_out(*conn);
    }
    touched_.clear();
    for (auto& listener : listeners_)
        if (!listener->waiting) wait_for_connections(*listener);
    gone_.clear();
}

void RealNetwork::write_out(Connection& conn) {
    if (conn.write_wait) return;
    std::array<iovec, kPartsMax> parts;
    while (!conn.queue.empty()) {
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = conn.queue.gather(parts);
        uint64_t asked = 0;
        for (size_t i = 0; i < message.msg_iovlen; ++i) asked += parts[i].iov_len;
        ssize_t sent = ::sendmsg(conn.socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        ++counters_.send_calls;
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
            conn.send_error = errno;
            conn.queue.clear();
            if (conn.state == Connection::State::draining)
                let_go(conn);
            else if (conn.paused)
                end(conn, reason_of(conn.send_error));
            return;  // else receiving tells of the end, after what came before it
        }
        uint64_t taken = sent < 0 ? 0 : static_cast<uint64_t>(sent);
        counters_.send_bytes += taken;
        conn.queue.sent(taken);
        if (taken < asked) {
            wait_writable(conn);
            break;
        }
    }
    if (conn.above_high_water && conn.queue.bytes() < kHighWaterBytes / 2) {
        conn.above_high_water = false;
        if (conn.state == Connection::State::open) notices_.push_back(Writable{conn.id});
    }
    if (conn.queue.empty() && conn.state == Connection::State::draining) drained(conn);
}

}  // namespace raftd::io::asio
