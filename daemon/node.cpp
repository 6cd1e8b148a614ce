#include "daemon/node.h"

#include <algorithm>

#include "base/check.h"
#include "base/uuid.h"
#include "conf/units.h"
#include "daemon/admin.h"
#include "daemon/applier.h"
#include "daemon/compaction.h"
#include "daemon/fault_requests.h"
#include "daemon/feature_changes.h"
#include "daemon/file_server.h"
#include "daemon/freeze_requests.h"
#include "daemon/installer.h"
#include "daemon/leaving.h"
#include "daemon/pump.h"
#include "daemon/repair.h"
#include "daemon/retention_requests.h"
#include "daemon/saves.h"
#include "daemon/snapshot_requests.h"
#include "daemon/start_up.h"
#include "daemon/verify_requests.h"
#include "proto/frame.h"

namespace raftd::daemon {
struct Node::Parts {
    NodeOptions options;
    snapshot::DataDir dir;
    std::unique_ptr<wal::Wal> wal;
    Events events;
    Context context;
    Replica replica;
    LogReader reader;
    Applier applier;
    Compaction compaction;
    Peers peers;
    Clients clients;
    ChainWatch chains;
    Pump pump;
    TransferPin transfer_pin;
    FileServer file_server;
    Installer installer;
    Repair repair;
    Producers producers;
    Appends appends;
    Tails tails;
    MemberChanges changes;
    Admin admin;
    Leaving leaving;
    Retention retention;
    RetentionRequests retention_requests;
    bool closing = false, stopped = false;
    std::map<NodeId, bool> peer_may_lead;
    std::vector<std::string> alarms;
    Instant alarms_due{};
    FeatureChanges features{context, replica, peers, clients};
    SnapshotRequests snapshots{context, replica, clients, reader, applier, compaction};
    Saves saves{context, clients, applier.state(), compaction};
    FaultRequests fault_requests{context, replica, peers};
    Freeze freeze{context};
    FreezeRequests freeze_requests{context, clients, freeze};
    ArchiveWatch archives{context, reader, compaction, freeze};
    Verifier verifier{context, *wal, reader, compaction};
    VerifyRequests verify_requests{context, replica, clients, *wal, reader, applier, pump, verifier};
    uint64_t members_version = 1;  // of replica.members(), as the peers know them

    Parts(io::World& world, const NodeOptions& given, snapshot::DataDir found_dir, wal::Recovered found,
          snapshot::AddressHints addresses, Members members, raft::Core core, LoadedState state)
        : options(given),
          dir(std::move(found_dir)),
          wal(std::move(found.wal)),
          events(world.log, world.clock),
          context{.world = world,
                  .options = options,
                  .dir = dir,
                  .events = events,
                  .members = members.in_force().infos,
                  .addresses = std::move(addresses),
                  .config_index = members.in_force().index,
                  .seams = seams_in(dir),
                  .log_clock = LogClock(dir.identity.id, options.settings.raft.clock_skew_max,
                                        options.settings.raft.election_timeout)},
          replica(std::move(core), found.last, std::move(members), chunk_bytes_for(options.settings),
                  options.black_box),
          reader(context, replica, *wal),
          applier(prepared(context), reader, options.store, std::move(state)),
          compaction(context, replica, *wal, reader, applier),
          peers(context),
          clients(context),
          chains(context, replica),
          pump(context, replica, *wal, reader, applier, peers, chains),
          file_server(context, peers, transfer_pin, reader, compaction),
          installer(context, replica, peers, pump, applier, compaction),
          repair(context, replica, *wal, reader, peers, compaction),
          producers(context, replica, *wal, applier.state(), clients),
          appends(context, replica, *wal, peers, clients, producers),
          tails(context, replica, reader, clients, applier.state()),
          changes(context, replica, peers, clients),
          admin(context, replica, *wal, peers, clients, changes, producers, pump),
          leaving(context, replica, peers, pump, appends),
          retention(context, replica, applier.state()),
          retention_requests(context, replica, *wal, applier.state(), clients) {
        clients.attach(appends, tails, admin);
        pump.attach(appends, tails, producers);
        pump.attach(retention_requests, retention);
        admin.attach(retention_requests);
        pump.attach(compaction);
        pump.attach(verifier);
        pump.attach(repair);
        pump.attach(freeze, archives);
        compaction.attach(freeze, transfer_pin);
        chains.attach(freeze);
        installer.attach(archives);
        retention.attach(freeze);
        retention_requests.attach(freeze);
        applier.attach(&producers);
        applier.attach(&retention);
        applier.attach(&retention_requests);
        context.log_clock.set_members(replica.core().view().membership.members);
    }

    static Context& prepared(Context& context) {
        context.now = context.started = context.world.clock.now();
        take_addresses(context.members, context.addresses);
        return context;
    }

    void handle(io::Event& event);
    void on(io::Frame& frame);
    void bulk_frame(NodeId peer, const io::Frame& frame);
    void deliver(Peers::Incoming& incoming);
    void on(io::Completed& done);
    void on(io::Opened& opened);
    void on(io::Closed& closed);
    void on(io::Writable& ready) { tails.writable(ready.conn), file_server.writable(ready.conn); }
    void on(io::Woken&) {}
    void on(io::Stop&);
    void on(io::Reload&) {}  // daemon/main.cpp reads the file and calls reload()
    void after_trailer(NodeId from, const PeerMessage& message);
    void links();
    void files();
    void follow_members();
    void follow_leader();
    void follow_alarms();
    void tick();
    void drain_log();
    void advance_stop();
    Instant deadline();
};

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::open(io::World& world, const NodeOptions& options) {
    Random random(world.seed);
    TRY(dir, snapshot::open(world.files, options.settings.data_dir, random.next()));
    TRY_VOID(check_owner(dir, options));
    wal::Options wal_options{.dir = dir.path + "/wal",
                             .cluster_id = dir.identity.cluster_id,
                             .incarnation = dir.identity.incarnation,
                             .base = dir.base,
                             .first_segment_bytes = options.first_segment_bytes,
                             .segment_bytes = options.settings.log.segment_bytes,
                             .disk_free_reserve = options.settings.log.disk_free_reserve,
                             .salt_seed = random.next(),
                             .token_tag = static_cast<uint64_t>(TokenTag::wal),
                             .holes = true};
    for (const std::string& note : dir.notes)
        LogLine(world.log, LogLevel::warn, "snapshot_leftovers")("why", note);
    TRY(addresses, snapshot::read_addresses(world.files, dir.path));
    TRY(found, wal::open(world, wal_options));
    TRY(configs, configs_of(dir.current, found));
    const std::vector<ConfigAt> core_configs = for_core(configs);
    LoadedState state = load_state({world.log, world.files, options, dir}, *found.wal, found.last);
    const std::set<NodeId>& used = state.state.used_ids();
    raft::Health health;
    tell_holes(health, found.holes);
    raft::Restart restart{.hard = found.hard,
                          .base = found.base.id(),
                          .runs = found.runs,
                          .last = found.last.index,
                          .configs = core_configs,
                          .health = health,
                          .boot = dir.boots.mine.number,
                          .ids_used_upto = used.empty() ? NodeId{} : *used.rbegin(),
                          .commit = committed_in(dir.current, found.last.index)};
    raft::Core core(core_options(options.settings, dir.manifest), dir.identity.id, restart, random.next(),
                    world.clock.now());
    if (options.simulated) core.check_invariants(true);
    LogLine(world.log, LogLevel::info, "recovered")("member", dir.identity.name)(
        "cluster", to_hex(dir.identity.cluster_id))("term", raw(found.hard.term))(
        "last", raw(found.last.index))("last_lsn", raw(found.last.lsn_next) - 1)(
        "segments", found.report.segments)("torn_bytes", found.report.torn_bytes)("boot",
                                                                                  dir.boots.mine.number);
    return std::unique_ptr<Node>(new Node(
        std::make_unique<Parts>(world, options, std::move(dir), std::move(found), std::move(addresses),
                                Members(std::move(configs)), std::move(core), std::move(state))));
}

Result<void> Node::start() {
    parts_->admin.attach(parts_->features, parts_->fault_requests);
    parts_->admin.attach(parts_->verify_requests);
    parts_->admin.attach(parts_->snapshots, parts_->saves);
    parts_->admin.attach(parts_->freeze_requests, parts_->installer);
    Context& context = parts_->context;
    const auto& settings = parts_->options.settings;
    TRY(me, own_place(context));
    bool exposed = settings.listen_exposure == "unencrypted" || parts_->options.simulated;
    auto listen = [&](io::ConnClass kind, const std::string& address) -> Result<void> {
        if (!exposed && kind != io::ConnClass::admin && !conf::is_loopback(address))
            return error(
                Errc::bad_input,
                address + " isn't loopback: whoever reaches it could read and append, unencrypted",
                "where the network is trusted, set exposure = \"unencrypted\" in [listen] of raftd.toml");
        int failed = context.world.network.listen(kind, address);
        if (failed == 0) return {};
        return error(Errc::bad_input, "can't listen on " + address + ": " + std::strerror(failed),
                     "stop what uses the address, or set [listen] in raftd.toml");
    };
    TRY_VOID(
        listen(io::ConnClass::peer_control, settings.listen_peer.empty() ? me.peer : settings.listen_peer));
    TRY_VOID(
        listen(io::ConnClass::client, settings.listen_client.empty() ? me.client : settings.listen_client));
    if (!parts_->options.simulated)
        TRY_VOID(listen(io::ConnClass::admin, "unix:" + context.dir.path + "/admin.sock"));
    parts_->peers.start();
    end_turn(context.world.clock.now());
    return {};
}

conf::Reloaded Node::reload(const conf::NodeSettings& fresh) {
    return conf::take_reloadable(parts_->options.settings, fresh);
}

const conf::NodeSettings& Node::settings() const { return parts_->options.settings; }

void Node::handle(io::Event& event) {
    parts_->context.now = std::max(parts_->context.now, event.now);
    parts_->handle(event);
}

void Node::end_turn(Instant now) {
    Parts& parts = *parts_;
    if (parts.stopped) return;
    parts.context.now = std::max(parts.context.now, now);
    ++parts.context.counters.turns;
    parts.tick();
    parts.links();
    parts.changes.turn();
    parts.drain_log();
    parts.files();
    parts.repair.turn(parts.pump.committed().index);
    parts.verifier.exchange(parts.repair);
    parts.pump.turn();
    parts.freeze.turn();
    parts.freeze_requests.turn();
    parts.compaction.turn();
    parts.verifier.turn();
    parts.follow_members();
    parts.follow_leader();
    parts.follow_alarms();
    parts.context.feature_level = parts.applier.state().feature_level();
    parts.features.turn();
    parts.retention.turn();
    parts.snapshots.turn();
    parts.saves.turn();
    parts.appends.flush(parts.pump.leader());
    parts.advance_stop();
    if (!parts.stopped) parts.context.world.clock.wake_at(parts.deadline());
}

bool Node::stopped() const { return parts_->stopped; }
const raft::Core& Node::core() const { return parts_->replica.core(); }
LogPoint Node::log_end() const { return parts_->replica.buffer().end(); }
std::optional<LogPoint> Node::log_at(Index index) const { return parts_->replica.point_at(index); }
Node::Use Node::use() const {
    const LogBuffer& buffer = parts_->replica.buffer();
    raft::View view = core().view();
    Use use{.admitted = parts_->appends.admitted_bytes(),
            .buffer = buffer.bytes(),
            .not_durable = 0,
            .run_max = chunk_bytes_for(parts_->options.settings),
            .in_flight = 0};
    Index from = std::max(view.durable + 1, buffer.first());
    if (from <= buffer.last()) use.not_durable = buffer.bytes_of(from, buffer.last());
    for (const auto& follower : view.followers)
        use.in_flight = std::max(use.in_flight, follower.in_flight_bytes);
    return use;
}
const Members& Node::members() const { return parts_->replica.members(); }
const State& Node::state() const { return parts_->applier.state(); }
const snapshot::SnapshotManifest* Node::snapshot() const {
    const auto& newest = parts_->compaction.newest();
    return newest ? &*newest : nullptr;
}
bool Node::says_members_differ() const {
    return parts_->freeze.on() && parts_->freeze.why() == Freeze::Why::differs;
}
bool Node::holed() const { return !parts_->wal->holes().empty(); }
Node::Repaired Node::repaired() const {
    return {parts_->context.counters.repaired_holes, parts_->context.counters.repaired_files};
}
std::string Node::dump() const { return parts_->admin.dump(); }
Faults& Node::faults() { return parts_->peers.faults(); }
std::vector<std::byte> Node::black_box() const { return parts_->replica.black_box().bytes(); }

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
