#include "daemon/peers.h"

#include <algorithm>

#include "base/check.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

constexpr Duration kGreetWithin = seconds(5);
constexpr Duration kProbeWithin = seconds(2);
constexpr Duration kBackoffMin = milliseconds(50);
constexpr Duration kBackoffMax = seconds(1);
constexpr Duration kSecondDialer =
    seconds(1);  // the member with the lower id dials after so long without a link
constexpr Duration kAnswerSoon = milliseconds(500);  // a dial that isn't answered by then gives way
constexpr size_t kStrangersMax = 16;
constexpr size_t kBulkAcceptedMax = 16;

struct BootsJob : io::Job {
    std::string path;
    snapshot::Boots boots;
    int error = 0;
    void run(io::Files& files) noexcept override {
        error = snapshot::write_boots(files, path, boots) ? 0 : EIO;
    }
};

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

void Peers::hello(Conn& conn, const io::Frame& frame) {
    std::optional<Greeting> greeting = decode_hello(frame.bytes.view());
    if (!conn.accepted || conn.peer != NodeId{} || !greeting || greeting->id == NodeId{})
        return drop(conn.id);
    if (faults_.active() && faults_.cut(greeting->id, context_.now)) return;  // as if it hadn't come
    if (auto refusal = judge(context_, *greeting)) return refuse(conn, *refusal);
    if (greeting->probe) {
        Slice answer = encode_hello_ok(context_, NodeId{}, true);
        context_.world.network.send(conn.id, {&answer, 1});
        return;  // hangs up by itself, or in time
    }
    if (greeting->bulk) return bulk_greeted(conn, *greeting);
    auto is_stranger = [](const Peer& peer) { return !peer.member; };
    auto strangers = static_cast<size_t>(std::count_if(peers_.begin(), peers_.end(), is_stranger));
    if (find(greeting->id) == nullptr && strangers >= kStrangersMax)
        return refuse(conn, {Refusal::Code::busy, "too many members that this one doesn't know of", ""});
    Peer& peer = let_in(greeting->id);
    // Both dial at the same time: the one meant to dial goes on. Else the newer connection is the living one.
    if (peer.conn != io::kNoConn && !peer.linked && dials_first(peer.id) && may_come(peer.conn))
        return drop(conn.id);
    if (peer.conn != io::kNoConn) {
        io::ConnId older = std::exchange(peer.conn, io::kNoConn);
        bool linked = std::exchange(peer.linked, false);
        if (linked) changes_.push_back({peer.id, false});
        drop(older);
    }
    peer.dial_at = kNever;
    peer.told = greeting->address;
    conn.peer = greeting->id;
    peer.conn = conn.id;
    greeted(conn, *greeting);
}

void Peers::hello_ok(Conn& conn, const io::Frame& frame) {
    std::optional<Greeting> greeting = decode_hello_ok(frame.bytes.view());
    if (conn.accepted || conn.ready || !greeting) return drop(conn.id);
    auto refusal = judge(context_, *greeting);
    if (!refusal && greeting->id != conn.peer)
        refusal = Refusal{Refusal::Code::other_node,
                          "answers at the address of member " + std::to_string(raw(conn.peer)) +
                              " as member " + std::to_string(raw(greeting->id)),
                          "check the addresses in cluster.toml"};
    if (conn.probe != 0 && refusal) return probed(conn, std::nullopt, refusal->what);
    if (conn.probe != 0) return probed(conn, greeting->incarnation, {});
    if (refusal) return refuse(conn, *refusal);
    if (conn.bulk) return bulk_greeted(conn, *greeting);
    find(conn.peer)
        ->told.clear();  // it answers at the address that is known here: what it said before is old
    greeted(conn, *greeting);
}

/// An address may have gone to somebody who takes connections and says nothing, or to nobody: what was dialed
/// there is in nobody's way for long.
bool Peers::may_come(io::ConnId dialed) const {
    const Conn& conn = conns_.at(dialed);
    return conn.boots_needed != 0 || context_.now + kGreetWithin < conn.greet_by + kAnswerSoon;
}

/// A member's start is noted when its link for messages comes up; before that there is no reason to ask for
/// files.
void Peers::bulk_greeted(Conn& conn, const Greeting& greeting) {
    if (conn.accepted) {
        auto count = std::count_if(conns_.begin(), conns_.end(),
                                   [](const auto& some) { return some.second.bulk && some.second.accepted; });
        if (!linked(greeting.id) || static_cast<size_t>(count) >= kBulkAcceptedMax)
            return refuse(conn, {Refusal::Code::busy, "files only for a member that is linked", ""});
        conn.peer = greeting.id;
        conn.bulk = true;
        Slice answer = encode_hello_ok(context_, NodeId{}, true);
        context_.world.network.send(conn.id, {&answer, 1});
    }
    conn.ready = true;
    bulks_.push_back({conn.id, conn.peer, conn.accepted, true});
}

io::ConnId Peers::dial_bulk(NodeId id) {
    const Peer* peer = find(id);
    CHECK(peer != nullptr);
    // My configuration may be too old to know where it is, so what it said itself counts more.
    const std::string& address = peer->told.empty() ? peer->address : peer->told;
    io::ConnId conn = context_.world.network.connect(io::ConnClass::peer_bulk, address);
    conns_.emplace(conn, Conn{conn, id, false, false, context_.now + kGreetWithin, 0, 0, true});
    return conn;
}

std::optional<Peers::Bulk> Peers::take_bulk() {
    if (bulks_.empty()) return std::nullopt;
    Bulk first = bulks_.front();
    bulks_.erase(bulks_.begin());
    return first;
}

std::optional<NodeId> Peers::bulk_peer(io::ConnId id) const {
    auto found = conns_.find(id);
    const bool up = found != conns_.end() && found->second.bulk && found->second.ready;
    return up ? std::optional(found->second.peer) : std::nullopt;
}

void Peers::greeted(Conn& conn, const Greeting& greeting) {
    find(greeting.id)->features = greeting.features;
    if (!find(greeting.id)->member) return finish(conn);  // its starts are noted once it belongs
    if (!is_new_boot(context_, greeting)) {
        conn.boots_needed = boots_version_;  // the same start may still be on its way to disk
        if (boots_on_disk_ >= conn.boots_needed) finish(conn);
        return;
    }
    context_.dir.boots.peers[greeting.id] = greeting.boot;
    conn.boots_needed = ++boots_version_;
    if (!boots_in_flight_) write_boots();
}

void Peers::write_boots() {
    auto job = std::make_unique<BootsJob>();
    job->path = context_.dir.path;
    job->boots = context_.dir.boots;
    boots_in_flight_ = true;
    context_.world.worker.submit(io::Lane::state, std::move(job),
                                 make_token(TokenTag::boots, boots_version_));
}

void Peers::boots_written(uint64_t version, int error) {
    boots_in_flight_ = false;
    if (error == 0) boots_on_disk_ = std::max(boots_on_disk_, version);
    if (boots_on_disk_ < boots_version_) {
        if (error == 0) write_boots();  // else: the next greeting tries again; nobody is answered before
    }
    for (Peer& peer : peers_) {
        auto found = conns_.find(peer.conn);
        if (found == conns_.end() || found->second.ready || found->second.boots_needed == 0) continue;
        if (error != 0)
            drop(peer.conn);
        else if (found->second.boots_needed <= boots_on_disk_)
            finish(found->second);
    }
}

void Peers::finish(Conn& conn) {
    conn.ready = true;
    Peer& peer = *find(conn.peer);
    if (conn.accepted) {
        Slice answer = encode_hello_ok(context_, NodeId{}, true);
        context_.world.network.send(conn.id, {&answer, 1});
    }
    peer.linked = true;
    peer.backoff = {};
    peer.last_refusal.clear();
    peer.last_failure.clear();
    changes_.push_back({peer.id, true});
    context_.log(LogLevel::info, "peer_linked")("peer", peer.name)("id", raw(peer.id));
}

void Peers::refuse(Conn& conn, const Refusal& refusal) {
    context_.log(LogLevel::warn, "peer_refused")("peer", raw(conn.peer))("why", refusal.what);
    Slice answer = encode_hello_no(context_, refusal);
    context_.world.network.send(conn.id, {&answer, 1});
    if (Peer* peer = find(conn.peer)) {
        peer->backoff = kBackoffMax;
        peer->last_failure = refusal.what;
    }
    drop(conn.id);
}

void Peers::hello_no(Conn& conn, const io::Frame& frame) {
    std::optional<Refusal> refusal = decode_hello_no(frame.bytes.view());
    if (conn.probe != 0) return probed(conn, std::nullopt, refusal ? refusal->what : "speaks no sense");
    if (!refusal) return drop(conn.id);
    using Code = Refusal::Code;
    // These three say that *this* directory must not run: another start of it was seen, or it isn't the
    // member's.
    if (refusal->code == Code::stale_boot || refusal->code == Code::copied_boot ||
        refusal->code == Code::other_incarnation)
        fatal(ExitCode::directory_in_use,
              "the cluster refuses this member: " + refusal->what + " (hint: " + refusal->hint + ")");
    if (Peer* peer = find(conn.peer)) {
        peer->backoff = kBackoffMax;
        if (peer->last_refusal != refusal->what)
            context_.log(LogLevel::error, "refused_by_peer")("peer", raw(peer->id))("why", refusal->what)(
                "hint", refusal->hint);
        peer->last_refusal = refusal->what;
        peer->last_failure = "refused: " + refusal->what;
    }
    drop(conn.id);
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
