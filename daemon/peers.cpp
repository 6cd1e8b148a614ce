#include "daemon/peers.h"

#include <algorithm>

#include "base/check.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

constexpr Duration kProbeWithin = seconds(2);
constexpr Duration kBackoffMin = milliseconds(50);
// The member with the lower id dials after so long without a link.
constexpr Duration kSecondDialer = seconds(1);

}  // namespace

Peers::Peers(Context& context)
    : context_(context),
      random_(context.world.seed ^ 0x7065657273),
      faults_(context.world.seed ^ 0x6661756c7473) {
    for (const auto& [id, member] : context.members)
        if (id != context.dir.identity.id)
            peers_.push_back({.id = id, .name = member.name, .address = member.peer});
}

void Peers::follow_members() {
    std::vector<io::ConnId> outdated;
    for (Peer& peer : peers_) peer.member = false;
    for (const auto& [id, member] : context_.members) {
        if (id == context_.dir.identity.id) continue;
        bool known = find(id) != nullptr;
        Peer& peer = let_in(id);
        // Who was let in as a stranger shakes hands again, now that its identity is known.
        if (known && peer.name.empty() && peer.conn != io::kNoConn) outdated.push_back(peer.conn);
        bool moved = known && !peer.address.empty() && peer.address != member.peer;
        if (moved && !peer.linked && peer.conn != io::kNoConn) outdated.push_back(peer.conn);
        peer.member = true;
        peer.name = member.name;
        peer.address = member.peer;
        peer.backoff = {};
        if (peer.conn == io::kNoConn) redial_later(peer);
    }
    for (io::ConnId conn : outdated) drop(conn);
    std::erase_if(peers_, [](const Peer& peer) { return !peer.member && peer.conn == io::kNoConn; });
}

Peers::Peer& Peers::let_in(NodeId id) {
    if (Peer* known = find(id)) return *known;
    auto place = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& peer) { return peer.id > id; });
    return *peers_.insert(place, Peer{.id = id, .name = {}, .address = {}, .member = false});
}

Peers::Peer* Peers::find(NodeId id) {
    for (Peer& peer : peers_)
        if (peer.id == id) return &peer;
    return nullptr;
}
const Peers::Peer* Peers::find(NodeId id) const { return const_cast<Peers*>(this)->find(id); }

void Peers::start() {
    for (Peer& peer : peers_)
        if (dials_first(peer.id))
            dial(peer);
        else
            redial_later(peer);
}

void Peers::dial(Peer& peer) {
    peer.dial_at = kNever;
    peer.conn = context_.world.network.connect(io::ConnClass::peer_control, peer.address);
    conns_.emplace(peer.conn, Conn{peer.conn, peer.id, false, false, context_.now + kGreetWithin});
}

void Peers::redial_later(Peer& peer) {
    if (!peer.member || context_.stopping) return;
    peer.backoff =
        dials_first(peer.id) ? std::clamp(peer.backoff * 2, kBackoffMin, kBackoffMax) : kSecondDialer;
    auto jitter = static_cast<int64_t>(random_.below(static_cast<uint64_t>(peer.backoff.ns / 2)));
    peer.dial_at = context_.now + peer.backoff + Duration{jitter};
}

void Peers::opened(const io::Opened& opened) {
    if (opened.accepted) {
        if (context_.stopping) return context_.world.network.close(opened.conn);
        conns_.emplace(opened.conn, Conn{opened.conn, NodeId{}, true, false, context_.now + kGreetWithin});
        return;
    }
    Conn& conn = conns_.at(opened.conn);
    if (faults_.active() && faults_.cut(conn.peer, context_.now)) return;  // no word comes through
    const DialFor what = conn.probe != 0 ? DialFor::probe : conn.bulk ? DialFor::bulk : DialFor::messages;
    Slice hello = encode_hello(context_, conn.peer, what);
    context_.world.network.send(conn.id, {&hello, 1});
}

void Peers::closed(const io::Closed& closed) {
    auto found = conns_.find(closed.conn);
    if (found != conns_.end() && found->second.probe != 0)
        return probed(found->second, std::nullopt, std::string(io::text_of(closed.why)));
    if (found != conns_.end())
        if (Peer* peer = find(found->second.peer); peer != nullptr && peer->conn == closed.conn)
            peer->last_failure = io::text_of(closed.why);
    forget(closed.conn);
}

void Peers::drop(io::ConnId conn) {
    context_.world.network.close(conn);
    forget(conn);
}

void Peers::forget(io::ConnId id) {
    auto found = conns_.find(id);
    if (found == conns_.end()) return;
    const Conn gone = found->second;
    conns_.erase(found);
    if (gone.bulk) return bulks_.push_back({id, gone.peer, gone.accepted, false});
    NodeId peer_id = gone.probe != 0 ? NodeId{} : gone.peer;
    Peer* peer = find(peer_id);
    if (peer == nullptr || peer->conn != id) return;
    peer->conn = io::kNoConn;
    faults_.lost(peer->id);
    if (peer->linked) {
        peer->linked = false;
        changes_.push_back({peer->id, false});
        context_.log(LogLevel::info, "peer_lost")("peer", peer->name)("id", raw(peer->id));
    }
    redial_later(*peer);
}

std::optional<Peers::Incoming> Peers::frame(const io::Frame& frame) {
    Conn& conn = conns_.at(frame.conn);
    switch (static_cast<proto::FrameType>(frame.type)) {
        case proto::FrameType::hello: hello(conn, frame); return std::nullopt;
        case proto::FrameType::hello_ok: hello_ok(conn, frame); return std::nullopt;
        case proto::FrameType::hello_no: hello_no(conn, frame); return std::nullopt;
        default: break;
    }
    if (!conn.ready) {
        drop(conn.id);
        return std::nullopt;
    }
    NodeId from = conn.peer;
    if (faults_.active() && !faults_.meet({from, Direction::from, {}, frame}, context_.now))
        return std::nullopt;
    return pass(frame, from);
}

std::optional<Peers::Incoming> Peers::pass(const io::Frame& frame, NodeId from) {
    std::optional<PeerMessage> message = decode_peer(frame);
    if (!message) {
        ++context_.counters.peer_frames_bad;
        context_.log(LogLevel::warn, "peer_frame_bad")("peer", raw(from))("type", frame.type);
        drop(frame.conn);
        return std::nullopt;
    }
    ++context_.counters.peer_messages_in;
    if (message->trailer) find(from)->trailer = message->trailer;
    return Incoming{from, std::move(*message)};
}

void Peers::send(NodeId to, const Slice& head, std::span<const Slice> entries) {
    Peer* peer = find(to);
    if (peer == nullptr || !peer->linked) return;
    if (faults_.active()) {
        std::vector<Slice> slices{head};
        slices.insert(slices.end(), entries.begin(), entries.end());
        if (!faults_.meet({to, Direction::to, std::move(slices), std::nullopt}, context_.now)) return;
    }
    ++context_.counters.peer_messages_out;
    put(context_.world.network, peer->conn, head, entries);
}

void Peers::put(io::Network& network, io::ConnId conn, const Slice& head, std::span<const Slice> entries) {
    network.send(conn, {&head, 1});
    if (!entries.empty()) network.send(conn, entries);
}

std::optional<Peers::Incoming> Peers::take_late() {
    while (!late_.empty()) {
        io::Frame frame = std::move(late_.front());
        late_.erase(late_.begin());
        auto conn = conns_.find(frame.conn);
        if (conn == conns_.end()) continue;
        if (auto incoming = pass(frame, conn->second.peer)) return incoming;
    }
    return std::nullopt;
}

void Peers::tick_faults(Instant now) {
    if (!faults_.active()) return;
    if (faults_.tick(now)) {
        context_.log(LogLevel::info, "fault_over")("why", "its time is over");
        faults_changed();
    }
    while (auto message = faults_.take(now)) {
        if (message->frame) {
            late_.push_back(std::move(*message->frame));
        } else if (Peer* peer = find(message->peer); peer != nullptr && peer->linked) {
            std::span<const Slice> slices(message->slices);
            ++context_.counters.peer_messages_out;
            put(context_.world.network, peer->conn, slices.front(), slices.subspan(1));
        }
    }
}

void Peers::faults_changed() {
    std::vector<io::ConnId> waiting;
    for (const auto& [id, conn] : conns_)
        if (!conn.ready && conn.probe == 0) waiting.push_back(id);
    for (Peer& peer : peers_) peer.backoff = {};
    for (io::ConnId id : waiting) drop(id);
}

std::vector<std::string> Peers::fault_lines() const {
    if (!faults_.active()) return {};
    return lines_of(faults_.in_force(context_.now), [this](NodeId id) {
        const Peer* peer = find(id);
        return peer != nullptr && !peer->name.empty() ? peer->name : "member " + std::to_string(raw(id));
    });
}

std::string Peers::link_failure(NodeId id) const {
    const Peer* peer = find(id);
    return peer == nullptr || peer->linked ? "" : peer->last_failure;
}

std::optional<uint32_t> Peers::features(NodeId id) const {
    const Peer* peer = find(id);
    return peer != nullptr && peer->linked ? std::optional(peer->features) : std::nullopt;
}

std::vector<NodeId> Peers::sources() const {
    std::vector<NodeId> ids;
    for (const Peer& peer : peers_)
        if (peer.linked && !(peer.told.empty() && peer.address.empty())) ids.push_back(peer.id);
    return ids;
}

bool Peers::linked(NodeId id) const {
    const Peer* peer = find(id);
    return peer != nullptr && peer->linked;
}

uint64_t Peers::queued_bytes(NodeId id) const {
    const Peer* peer = find(id);
    return peer != nullptr && peer->linked ? context_.world.network.queued_bytes(peer->conn) : 0;
}

const std::optional<proto::Trailer>& Peers::trailer(NodeId id) const {
    static const std::optional<proto::Trailer> kNone;
    const Peer* peer = find(id);
    return peer != nullptr ? peer->trailer : kNone;
}

uint64_t Peers::probe(NodeId id, const std::string& address) {
    io::ConnId conn = context_.world.network.connect(io::ConnClass::peer_control, address);
    conns_.emplace(conn, Conn{conn, id, false, false, context_.now + kProbeWithin, 0, ++probe_last_});
    return probe_last_;
}

void Peers::probed(Conn& conn, std::optional<Incarnation> incarnation, std::string failure) {
    probed_.push_back({conn.probe, conn.peer, incarnation, std::move(failure)});
    drop(conn.id);
}

std::optional<Peers::Probed> Peers::take_probed() {
    if (probed_.empty()) return std::nullopt;
    Probed first = std::move(probed_.front());
    probed_.erase(probed_.begin());
    return first;
}

std::optional<LinkChange> Peers::take_link_change() {
    if (changes_.empty()) return std::nullopt;
    LinkChange change = changes_.front();
    changes_.erase(changes_.begin());
    return change;
}

Instant Peers::deadline() const {
    Instant at = faults_.deadline();
    for (const Peer& peer : peers_) at = std::min(at, peer.dial_at);
    for (const auto& [id, conn] : conns_)
        if (!conn.ready) at = std::min(at, conn.greet_by);
    return at;
}

void Peers::tick(Instant now) {
    tick_faults(now);
    std::vector<io::ConnId> late;
    for (const auto& [id, conn] : conns_)
        if (!conn.ready && conn.greet_by <= now) late.push_back(id);
    for (io::ConnId id : late) {
        Conn& conn = conns_.at(id);
        if (conn.probe != 0)
            probed(conn, std::nullopt, "no answer");
        else
            drop(id);
    }
    for (Peer& peer : peers_)
        if (peer.dial_at <= now && peer.conn == io::kNoConn) dial(peer);
    std::erase_if(peers_, [](const Peer& peer) { return !peer.member && peer.conn == io::kNoConn; });
}

void Peers::close_all() {
    while (!conns_.empty()) drop(conns_.begin()->first);
}

}  // namespace raftd::daemon
