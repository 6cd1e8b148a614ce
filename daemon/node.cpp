#include "daemon/node.h"

#include <algorithm>

#include "base/uuid.h"
#include "conf/units.h"
#include "daemon/node_parts.h"

namespace raftd::daemon {

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

}  // namespace raftd::daemon
