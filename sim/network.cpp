#include "sim/network.h"

#include <algorithm>

#include "sim/endpoint.h"

namespace raftd::sim {

using io::CloseReason;
using io::ConnId;

std::unique_ptr<Wire> SimNetwork::attach(Machine& machine) {
    return std::make_unique<Endpoint>(*this, machine);
}

SimNetwork::Conn* SimNetwork::find(uint64_t id) {
    uint64_t slot = id >> 1 & 0xffff;
    if (slot >= conns_.size() || !conns_[slot].used || conns_[slot].serial != id >> 17) return nullptr;
    return &conns_[slot];
}

uint64_t SimNetwork::dial(Endpoint& dialer, io::ConnClass kind, std::string_view address) {
    if (free_.empty()) {
        CHECK_LT(conns_.size(), 0xffffu);
        free_.push_back(static_cast<uint32_t>(conns_.size()));
        conns_.emplace_back();
    }
    Conn& conn = conns_[free_.back()];
    conn = Conn{};
    conn.slot = free_.back();
    free_.pop_back();
    conn.serial = ++serial_;
    conn.used = conn.dialing = true;
    conn.address = address;
    conn.ends[0].endpoint = &dialer;
    conn.ends[0].host = dialer.machine().host();
    conn.ends[0].kind = kind;
    auto host = address_hosts_.find(address);
    conn.ends[1].host = host == address_hosts_.end() ? conn.ends[0].host : host->second;
    uint64_t id = id_of(conn, 0);
    kernel_.schedule_in(delay(conn.ends[0].host, conn.ends[1].host), actor_, syn, id);
    kernel_.schedule_in(model.user_timeout, actor_, dial_over, id);
    return id;
}

/// The first packet has come to the other host, or would have.
void SimNetwork::answer_syn(Conn& conn) {
    uint32_t from = conn.ends[0].host, to = conn.ends[1].host;
    if (is_cut(from, to) || !host_up(to) || conn.ends[0].endpoint == nullptr) return;  // dial_over ends it
    auto listener = listeners_.find(conn.address);
    Duration back = delay(to, from);
    if (listener != listeners_.end()) {
        End& end = conn.ends[1];
        end.endpoint = listener->second;
        end.host = listener->second->machine().host();
        end.kind = listener->second->kind_of(conn.address);
        end.up = true;
        end.arrival_last = kernel_.now() + back;
        ++totals.connections;
        io::Opened opened{ConnId{id_of(conn, 1)}, end.kind, true, "host" + std::to_string(from) + ":1"};
        end.endpoint->post({kernel_.now(), std::move(opened)}, end.kind);
    }
    kernel_.schedule_in(back, actor_, syn_answer, id_of(conn, 0));
}

void SimNetwork::finish_dial(Conn& conn) {
    if (is_cut(conn.ends[1].host, conn.ends[0].host) || conn.ends[0].endpoint == nullptr || conn.ends[0].up)
        return;
    conn.dialing = false;
    if (conn.ends[1].endpoint == nullptr && conn.ends[1].out.empty()) {
        close_end(conn, 0, conn.ends[1].up ? CloseReason::reset : CloseReason::refused);
        return;
    }
    conn.ends[0].up = true;
    io::Opened opened{ConnId{id_of(conn, 0)}, conn.ends[0].kind, false, conn.address};
    conn.ends[0].endpoint->post({kernel_.now(), std::move(opened)}, conn.ends[0].kind);
    kick(conn, 1, microseconds(1));
}

/// This end learns that the connection is over.
void SimNetwork::close_end(Conn& conn, size_t end, CloseReason why) {
    if (conn.ends[end].endpoint == nullptr) return;
    conn.ends[end].endpoint->post({kernel_.now(), io::Closed{ConnId{id_of(conn, end)}, why}},
                                  conn.ends[end].kind);
    if (why == CloseReason::timed_out) ++totals.timed_out;
    if (why == CloseReason::reset) ++totals.resets;
    gone(conn, end);
}

/// This end takes no part any more; the connection goes when the other has ended too.
void SimNetwork::gone(Conn& conn, size_t end) {
    conn.ends[end].endpoint = nullptr;
    conn.ends[end].leaving.clear();
    if (conn.ends[1 - end].endpoint != nullptr) {
        want_patrol();
        return;
    }
    conn.used = false;
    conn.ends[0].out.clear(), conn.ends[1].out.clear();
    free_.push_back(conn.slot);
}

/// The process is over. Killed: its host resets what it had, some of what was sent still arrives.
void SimNetwork::leave(Endpoint& endpoint) {
    std::erase_if(listeners_, [&](const auto& item) { return item.second == &endpoint; });
    std::erase(touched_, &endpoint);
    for (Conn& conn : conns_) {
        for (size_t end = 0; end < 2 && conn.used; ++end) {
            End& mine = conn.ends[end];
            if (mine.endpoint != &endpoint) continue;
            if (host_up(mine.host)) {
                size_t kept = random_.below(mine.out.size() + 1);
                while (mine.out.size() > kept) {
                    mine.out_bytes -= mine.out.back().frame.size();
                    mine.out.pop_back();
                }
                enqueue_end(conn, end, CloseReason::reset);
            } else {
                mine.out.clear();
                mine.out_bytes = 0;
            }
            gone(conn, end);
        }
    }
}

void SimNetwork::check_times(Conn& conn) {
    for (size_t end = 0; end < 2 && conn.used; ++end)
        if (conn.ends[end].endpoint != nullptr && conn.ends[end].up) check_time(conn, end);
}

/// Gives a connection up when this end has heard nothing for too long, and resets it when nobody is there any
/// more.
void SimNetwork::check_time(Conn& conn, size_t end) {
    End &mine = conn.ends[end], &other = conn.ends[1 - end];
    bool answered = !is_cut(mine.host, other.host) && !is_cut(other.host, mine.host) && host_up(other.host);
    if (answered && other.endpoint == nullptr && other.out.empty()) {
        close_end(conn, end, CloseReason::reset);
        return;
    }
    if (answered) {
        if (mine.out.empty()) mine.unheard_since = kNever;
        return;
    }
    if (mine.unheard_since == kNever) mine.unheard_since = kernel_.now();
    if (kernel_.now() - mine.unheard_since <= model.user_timeout) return;
    mine.out.clear();
    mine.out_bytes = 0;
    enqueue_end(conn, end, CloseReason::reset);
    close_end(conn, end, CloseReason::timed_out);
}

void SimNetwork::want_patrol() {
    if (patrolling_) return;
    patrolling_ = true;
    kernel_.schedule_in(milliseconds(250), actor_, patrol, 0);
}

void SimNetwork::fire(uint32_t kind, uint64_t data) {
    if (kind == patrol) {
        patrolling_ = false;
        bool again = !cuts_.empty() || !down_.empty();
        for (Conn& conn : conns_) {
            if (!conn.used) continue;
            check_times(conn);
            again |= conn.used && !conn.dialing &&
                     (conn.ends[0].endpoint == nullptr || conn.ends[1].endpoint == nullptr);
        }
        if (again) want_patrol();
    } else if (kind == stray) {
        Stray late = std::move(strays_[data]);
        strays_free_.push_back(static_cast<uint32_t>(data));
        if (kernel_.now() > strays_until_) return;
        Conn* conn = find(late.conn);
        size_t end = late.conn & 1;
        if (conn != nullptr && conn->ends[end].endpoint != nullptr && conn->ends[end].up &&
            !is_cut(conn->ends[1 - end].host, conn->ends[end].host))
            deliver(*conn, end, late.frame);
    } else if (Conn* conn = find(data)) {
        switch (kind) {
            case arrive: take_arrived(*conn, data & 1); break;
            case syn: answer_syn(*conn); break;
            case syn_answer: finish_dial(*conn); break;
            case dial_over:
                if (conn->ends[0].up || conn->ends[0].endpoint == nullptr) break;
                enqueue_end(*conn, 0, CloseReason::reset);
                close_end(*conn, 0, CloseReason::timed_out);
                break;
            default: UNREACHABLE();
        }
    }
    settle_touched();
}

/// Turns last: a turn may open, close and send, so that no reference held here would stay good.
void SimNetwork::settle_touched() {
    while (!touched_.empty()) {
        Endpoint* next = touched_.front();
        touched_.erase(touched_.begin());
        next->machine().settle();
    }
}

void SimNetwork::cut(uint32_t from, uint32_t to, bool on) {
    if (on) {
        cuts_.insert({from, to});
        want_patrol();
        return;
    }
    if (cuts_.erase({from, to}) == 0) return;
    for (Conn& conn : conns_)
        for (size_t end = 0; end < 2 && conn.used; ++end)
            if (conn.ends[end].host == from && conn.ends[1 - end].host == to)
                kick(conn, end,
                     Duration{
                         static_cast<int64_t>(random_.below(static_cast<uint64_t>(milliseconds(400).ns)))});
}

void SimNetwork::heal_all() {
    auto cuts = cuts_;
    for (auto [from, to] : cuts) cut(from, to, false);
    slow_.clear();
}

void SimNetwork::calm(const NetModel& good) {
    model = good;
    heal_all();
    strays_until_ = kernel_.now() + good.stray_max;  // heartbeats a minute old keep a dead leader alive
    for (Conn& conn : conns_) {
        for (size_t end = 0; end < 2 && conn.used; ++end) {
            End& mine = conn.ends[end];
            if (mine.out.empty()) continue;
            Instant at = kernel_.now() + delay(mine.host, conn.ends[1 - end].host);
            for (Parcel& parcel : mine.out) parcel.at = std::min(parcel.at, at);
            mine.arrival_last = mine.out.back().at;
            mine.armed = false;  // a second arrival for the same is harmless
            arm(conn, end, mine.out.front().at);
        }
    }
}

void SimNetwork::slow(uint32_t from, uint32_t to, Duration extra) { slow_[{from, to}] = extra; }

void SimNetwork::set_host_up(uint32_t host, bool up) {
    if (up)
        down_.erase(host);
    else
        down_.insert(host);
    want_patrol();
}

void SimNetwork::reset_between(uint32_t a, uint32_t b) {
    for (Conn& conn : conns_) {
        if (!conn.used || conn.dialing) continue;
        uint32_t first = conn.ends[0].host, second = conn.ends[1].host;
        bool hit =
            a == b ? first == a || second == a : (first == a && second == b) || (first == b && second == a);
        if (!hit) continue;
        size_t end = random_.below(2);
        if (conn.ends[end].endpoint == nullptr) continue;
        conn.ends[end].out.clear();
        conn.ends[end].out_bytes = 0;
        enqueue_end(conn, end, CloseReason::reset);
        close_end(conn, end, CloseReason::reset);
    }
    settle_touched();
}

}  // namespace raftd::sim
