#include "daemon/node_parts.h"

#include <algorithm>

#include "base/check.h"
#include "proto/frame.h"

namespace raftd::daemon {

void Node::Parts::handle(io::Event& event) {
    ++context.counters.events;
    std::visit([this](auto& what) { on(what); }, event.what);
}

void Node::Parts::on(io::Frame& frame) {
    if (clients.owns(frame.conn)) return clients.frame(frame, pump.leader());
    if (!peers.owns(frame.conn)) return;  // closed in this very turn
    if (auto peer = peers.bulk_peer(frame.conn)) return bulk_frame(*peer, frame);
    std::optional<Peers::Incoming> incoming = peers.frame(frame);
    links();
    if (incoming) deliver(*incoming);
}

void Node::Parts::bulk_frame(NodeId peer, const io::Frame& frame) {
    if (peers.faults().active() && peers.faults().cut(peer, context.now)) return;
    if (static_cast<proto::FrameType>(frame.type) == proto::FrameType::file_ask)
        return file_server.frame(frame.conn, frame);
    installer.frame(frame.conn, frame), repair.frame(frame.conn, frame);
}

void Node::Parts::deliver(Peers::Incoming& incoming) {
    if (context.members.contains(incoming.from)) freeze.heard(incoming.message.freeze);
    if (incoming.message.trailer) after_trailer(incoming.from, incoming.message);
    if (std::holds_alternative<raft::msg::Append>(incoming.message.message))
        pump.append_from(incoming.from, std::move(incoming.message));
    else
        replica.step(context.now, raft::ev::Message{incoming.from, incoming.message.message, {}});
}

void Node::Parts::after_trailer(NodeId from, const PeerMessage& message) {
    const proto::Trailer& trailer = *message.trailer;
    context.log_clock.heard(from, trailer.wall_ms, context.now);
    bool may_lead = (trailer.flags & proto::kTrailerUnfit) == 0;
    auto [known, added] = peer_may_lead.emplace(from, true);
    if (known->second != may_lead) {
        known->second = may_lead;
        replica.step(context.now, raft::ev::Peer{from, may_lead});
    }
    Term term = std::visit([](const auto& what) { return what.term; }, message.message);
    chains.heard(from, term, trailer, pump.committed());
    archives.heard(from, trailer);
}

void Node::Parts::on(io::Completed& done) {
    if (wal->completed(done)) return drain_log();
    switch (tag_of(done.token)) {
        case TokenTag::verify: return appends.verified(done, pump.leader());
        case TokenTag::boots: return peers.boots_written(number_of(done.token), done.error);
        case TokenTag::state: return applier.completed(done);
        case TokenTag::archive: reader.completed(done); return drain_log();
        case TokenTag::compact: return compaction.completed(done);
        case TokenTag::verify_back: return verifier.completed(done);
        case TokenTag::freeze: return freeze.completed(done);
        case TokenTag::serve: return file_server.completed(done);
        case TokenTag::fetch:
        case TokenTag::install: return installer.completed(done);
        case TokenTag::repair: return repair.completed(done);
        case TokenTag::save: return saves.completed(done);
        case TokenTag::wal: break;
    }
    UNREACHABLE();
}

void Node::Parts::drain_log() {
    if (auto id = wal->take_durable()) pump.durable(*id);
    while (auto read = reader.take()) {
        switch (read->purpose.who) {
            case ReadFor::Who::compaction: compaction.read_done(read->result); break;
            case ReadFor::Who::point_asked: verify_requests.read_done(read->purpose, read->result); break;
            case ReadFor::Who::read_back: verifier.read_done(read->result); break;
            case ReadFor::Who::repair: repair.read_done(read->result); break;
            case ReadFor::Who::serve: file_server.read_done(read->purpose, read->result); break;
            default: pump.read_done(read->purpose, read->result);
        }
    }
}

void Node::Parts::on(io::Opened& opened) {
    bool peer = opened.kind == io::ConnClass::peer_control || opened.kind == io::ConnClass::peer_bulk;
    if (!peer) return clients.opened(opened);
    if (opened.accepted || peers.owns(opened.conn)) peers.opened(opened);
}

void Node::Parts::on(io::Closed& closed) {
    if (clients.owns(closed.conn)) return clients.closed(closed.conn);
    peers.closed(closed);
    links();
}

void Node::Parts::links() {
    while (auto change = peers.take_link_change())
        replica.step(context.now, raft::ev::Link{change->peer, change->up});
}

/// Connections for files of snapshots, and what they bring.
void Node::Parts::files() {
    while (auto change = peers.take_bulk()) {
        if (!change->accepted) installer.bulk(*change), repair.bulk(*change);
        if (change->accepted && !change->up) file_server.closed(change->conn);
    }
    if (auto wanted = pump.take_install()) installer.wanted(*wanted);
    installer.turn();
}

/// The configuration in force is the newest in the log, committed or not (thesis 4.1).
void Node::Parts::follow_members() {
    Members& members = replica.members();
    members.propose({});  // what wasn't appended in this turn isn't wanted any more
    bool belonged = members.settled().infos.contains(dir.identity.id);
    members.committed(pump.committed().index);
    if (belonged && !members.settled().infos.contains(dir.identity.id))
        context.log(LogLevel::warn, "removed")("index", raw(members.settled().index))(
            "hint", "this member is no longer part of the cluster: stop it");
    if (members.version() == members_version) return;
    members_version = members.version();
    const Configuration& now = members.in_force();
    context.members = now.infos;
    take_addresses(context.members, context.addresses);
    context.config_index = now.index;
    peers.follow_members();
    clients.greet_again(pump.leader());
    context.log(LogLevel::info, "configuration")("index", raw(now.index))("joint", now.membership.joint())(
        "members", now.infos.size());
}

/// Clients hear of a new leader at once: one that waits for a silent one needn't find out by its patience.
void Node::Parts::follow_leader() {
    NodeId leader = pump.leader();
    Term term = replica.core().term();
    if (leader == NodeId{} || (leader == context.leader && term == context.leader_term)) return;
    context.leader = leader;
    context.leader_term = term;
    clients.greet_again(leader);
}

void Node::Parts::follow_alarms() {
    if (context.now < alarms_due) return;
    alarms_due = context.now + milliseconds(100);
    std::vector<std::string> now = pump.alarms();
    auto has = [](const std::vector<std::string>& list, const std::string& alarm) {
        return std::find(list.begin(), list.end(), alarm) != list.end();
    };
    for (const std::string& alarm : now)
        if (!has(alarms, alarm)) context.log(LogLevel::warn, "alarm_raised")("alarm", alarm);
    for (const std::string& alarm : alarms)
        if (!has(now, alarm)) context.log(LogLevel::info, "alarm_cleared")("alarm", alarm);
    alarms = std::move(now);
}

void Node::Parts::tick() {
    if (wal->deadline() <= context.now) wal->tick(context.now);
    if (peers.deadline() <= context.now) peers.tick(context.now);
    while (auto late = peers.take_late()) deliver(*late);
    if (clients.deadline() <= context.now) clients.tick(context.now);
    if (replica.core().deadline() <= context.now) replica.step(context.now, raft::ev::Tick{});
}

Instant Node::Parts::deadline() {
    if (pump.more()) return context.now;
    Instant at = std::min({wal->deadline(), peers.deadline(), clients.deadline(), replica.core().deadline(),
                           applier.deadline(), compaction.deadline(), leaving.deadline(),
                           retention.deadline(), installer.deadline(), repair.deadline(), verifier.deadline(),
                           tails.deadline(), saves.deadline(), freeze.deadline(), changes.deadline()});
    // A write that hangs changes what this member may do, and nothing else would wake us.
    if (auto oldest = wal->oldest_unsynced()) {
        Instant stalls = *oldest + options.settings.raft.election_timeout + milliseconds(1);
        if (stalls > context.now) at = std::min(at, stalls);
    }
    return at;
}

void Node::Parts::on(io::Stop&) {
    if (leaving.begun())
        stopped = true;
    else
        leaving.begin();
}

void Node::Parts::advance_stop() {
    if (stopped || !leaving.begun() || !(closing || leaving.advance())) return;
    if (!closing) applier.flush_soon();
    closing = true;
    clients.close_all();
    peers.close_all();
    links();
    wal->close_soon();
    if ((!wal->closed() || !applier.flushed()) && context.now < leaving.stop_by()) return;
    stopped = true;
    context.log(LogLevel::info, "stopped")("last", raw(replica.core().last()));
}

}  // namespace raftd::daemon
