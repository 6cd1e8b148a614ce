// How a link begins: greetings, who is let in, and the starts of other members that are kept on disk (H6).
#include <algorithm>

#include "base/check.h"
#include "daemon/peers.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

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

}  // namespace raftd::daemon
