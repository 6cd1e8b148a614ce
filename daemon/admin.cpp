#include "daemon/admin.h"

#include "base/uuid.h"
#include "daemon/fault_requests.h"
#include "daemon/feature_changes.h"
#include "daemon/freeze_requests.h"
#include "daemon/installer.h"
#include "daemon/pump.h"
#include "daemon/replies.h"
#include "daemon/retention_requests.h"
#include "daemon/saves.h"
#include "daemon/snapshot_requests.h"
#include "daemon/verify_requests.h"
#include "proto/control.pb.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

const char* role_text(const raft::View& view, NodeId self) {
    for (const Member& member : view.membership.members.now)
        if (member.id == self && member.learner) return "learner";
    switch (view.role) {
        case raft::Role::leader: return "leader";
        case raft::Role::follower: return "follower";
        case raft::Role::pre_candidate:
        case raft::Role::candidate: return "candidate";
    }
    return "?";
}

const char* mode_text(raft::FollowerMode mode) {
    switch (mode) {
        case raft::FollowerMode::probe: return "probe";
        case raft::FollowerMode::stream: return "stream";
        case raft::FollowerMode::snapshot: return "snapshot";
    }
    return "?";
}

struct NamedCounter {
    const char* name;
    uint64_t value;
};

std::vector<NamedCounter> named(const Counters& c, const wal::Counters& w) {
    return {{"turns", c.turns},
            {"events", c.events},
            {"appends", c.appends},
            {"append_bytes", c.append_bytes},
            {"appends_refused", c.appends_refused},
            {"appends_unknown", c.appends_unknown},
            {"appends_repeated", c.appends_repeated},
            {"tail_bytes", c.tail_bytes},
            {"tail_frames", c.tail_frames},
            {"peer_messages_in", c.peer_messages_in},
            {"peer_messages_out", c.peer_messages_out},
            {"peer_frames_bad", c.peer_frames_bad},
            {"archived_bytes", c.archived_bytes},
            {"archive_yields", c.archive_yields},
            {"files_sent_bytes", c.files_sent_bytes},
            {"scrub_passes", c.scrub_passes},
            {"scrub_percent", c.scrub_percent},
            {"scrub_bytes", c.scrub_bytes},
            {"scrub_damages", c.scrub_damages},
            {"repaired_holes", c.repaired_holes},
            {"repaired_entries", c.repaired_entries},
            {"repaired_files", c.repaired_files},
            {"log_reads", c.log_reads},
            {"late_sends", c.late_sends},
            {"chain_mismatches", c.chain_mismatches},
            {"elections", c.elections},
            {"wal_groups", w.groups},
            {"wal_group_entries", w.group_entries},
            {"wal_syncs", w.syncs},
            {"wal_bytes_written", w.bytes_written},
            {"wal_rolls", w.rolls},
            {"wal_cuts", w.cuts},
            {"wal_marker_groups", w.marker_groups}};
}

}  // namespace

Admin::Admin(Context& context, Replica& replica, wal::Wal& wal, Peers& peers, Clients& clients,
             MemberChanges& changes, Producers& producers, const Pump& pump)
    : context_(context),
      replica_(replica),
      wal_(wal),
      peers_(peers),
      clients_(clients),
      changes_(changes),
      producers_(producers),
      pump_(pump) {}

bool Admin::request(ClientConn& conn, const io::Frame& frame, NodeId leader) {
    ByteView bytes = proto::message_in(frame.bytes.view());
    pb::Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
    if (changes_.request(conn, frame.stream, request)) return true;
    if (producers_.request(conn, frame.stream, request, leader)) return true;
    if (retention_ != nullptr && retention_->request(conn, frame.stream, request, leader)) return true;
    if (snapshots_ != nullptr && snapshots_->request(conn, frame.stream, request)) return true;
    if (verify_ != nullptr && verify_->request(conn, frame.stream, request)) return true;
    if (saves_ != nullptr && saves_->request(conn, frame.stream, request)) return true;
    if (freeze_ != nullptr && freeze_->request(conn, frame.stream, request)) return true;
    pb::Answer answer;
    if (request.has_status()) {
        fill_status(*answer.mutable_status(), leader);
        if (freeze_ != nullptr) freeze_->fill(*answer.mutable_status());
    } else if (request.has_events()) {
        fill_events(*answer.mutable_events(), request.events());
    } else if (request.has_dump()) {
        answer.mutable_dump()->set_text(dump());
    } else if (request.has_fault() && faults_ != nullptr) {
        faults_->answer(request.fault(), answer);
    } else if (features_ != nullptr && features_->request(conn, frame.stream, request)) {
        return true;
    } else {
        pb::Error& error = *answer.mutable_error();
        error.set_code(static_cast<uint32_t>(Errc::bad_input));
        error.set_what("this member doesn't know the request");
        error.set_hint("compare the versions: raftctl version, raftctl status");
    }
    daemon::answer(clients_, conn.id, frame.stream, answer);
    return true;
}

void Admin::fill_status(pb::Status& status, NodeId leader) const {
    const auto& identity = context_.dir.identity;
    raft::View view = replica_.core().view();
    status.mutable_cluster_id()->set_high(identity.cluster_id.high);
    status.mutable_cluster_id()->set_low(identity.cluster_id.low);
    status.set_cluster_name(identity.cluster_name);
    status.set_node_id(raw(identity.id));
    status.set_name(identity.name);
    status.set_role(role_text(view, identity.id));
    status.set_term(raw(view.term));
    status.set_leader(raw(leader));
    const LogPoint& committed = pump_.committed();
    status.set_commit_index(raw(committed.index));
    status.set_commit_lsn(raw(committed.lsn_next) - 1);
    status.set_chain(committed.chain);
    status.set_durable_index(raw(view.durable));
    status.set_last_index(raw(view.last));
    status.set_last_lsn(raw(replica_.buffer().end().lsn_next) - 1);
    const State& state = pump_.applier().state();
    status.set_first_lsn(raw(std::max(pump_.reader().base().lsn_next, state.first_lsn())));
    status.set_first_index(raw(state.first_index()));
    status.set_cursors(state.retained().cursors().size());
    if (const Checkpoint* newest = state.retained().newest()) status.set_checkpoint_upto(raw(newest->upto));
    status.set_wal_bytes(wal_.bytes());
    status.set_archive_bytes(pump_.reader().archive_bytes());
    if (const auto& snapshot = pump_.compaction().newest())
        status.set_snapshot_lsn(raw(snapshot->at.lsn_next) - 1);
    status.set_applied_index(raw(pump_.applier().state().applied()));
    status.set_producers(pump_.applier().state().producers());
    status.set_uptime_ms(static_cast<uint64_t>((context_.now - context_.started).ns / 1'000'000));
    status.set_boot(context_.dir.boots.mine.number);
    status.set_version(context_.options.version);
    status.set_pid(context_.options.pid);
    status.set_config_index(raw(view.membership.index));
    status.set_config_joint(view.membership.members.joint());
    const DiskWatch& disk = pump_.disk();
    status.set_sync_p99_ms(disk.sync_p99_ms());
    status.set_sync_max_ms(disk.sync_max_ms());
    status.set_unsynced_ms(static_cast<uint64_t>(disk.unsynced().ns / 1'000'000));
    status.set_disk_free_bytes(disk.free_bytes());
    status.set_min_members(context_.dir.manifest.min_members);
    status.set_max_members(context_.dir.manifest.max_members);
    status.set_election_timeout_ms(
        static_cast<uint64_t>(context_.options.settings.raft.election_timeout.ns / 1'000'000));
    status.set_transfer_to(raw(view.transfer_to));
    fill_members(status, view);
    fill_install(status);
}

void Admin::fill_install(pb::Status& status) const {
    const auto progress = installer_ != nullptr ? installer_->progress() : std::nullopt;
    if (!progress) return;
    pb::InstallStatus& install = *status.mutable_install();
    install.set_index(raw(progress->at));
    install.set_from(raw(progress->from));
    install.set_files_left(progress->files_left);
    install.set_bytes(std::min(progress->bytes, progress->bytes_total));
    install.set_bytes_total(progress->bytes_total);
    install.set_why(progress->why);
}

void Admin::fill_events(pb::Events& events, const pb::EventsRequest& wanted) const {
    constexpr size_t kAtOnce = 200;
    uint64_t boot = context_.dir.boots.mine.number;
    uint64_t after = wanted.boot() == boot ? wanted.after() : 0;
    events.set_boot(boot);
    events.set_name(context_.dir.identity.name);
    for (const MemberEvent& event : context_.events.since(after, kAtOnce)) {
        pb::MemberEvent& to = *events.add_events();
        to.set_number(event.number);
        to.set_time_ms(event.wall_ms);
        to.set_line(event.line);
        after = event.number;
    }
    events.set_more(after < context_.events.last());
}

void Admin::fill_members(pb::Status& status, const raft::View& view) const {
    for (const std::string& alarm : pump_.alarms()) status.add_alarms(alarm);
    for (const auto& follower : view.followers) {
        pb::FollowerStatus& to = *status.add_followers();
        to.set_id(raw(follower.id));
        to.set_mode(mode_text(follower.mode));
        to.set_match_index(raw(follower.match));
        to.set_next_index(raw(follower.next));
        to.set_in_flight_bytes(follower.in_flight_bytes);
        to.set_heard_ago_ms(static_cast<uint64_t>((context_.now - follower.heard_at).ns / 1'000'000));
        to.set_connected(peers_.linked(follower.id));
        to.set_link_failure(peers_.link_failure(follower.id));
        to.set_caught_up(follower.caught_up);
        if (auto point = replica_.point_at(follower.match)) to.set_match_lsn(raw(point->lsn_next) - 1);
    }
    for (const auto& [id, member] : context_.members) {
        pb::MemberInfo& to = *status.add_members();
        to.set_id(raw(id));
        to.set_name(member.name);
        to.set_peer(member.peer);
        to.set_client(member.client);
        to.set_voter(!member.learner);
        to.set_priority(member.priority);
    }
    for (const Member& member : view.membership.members.now)
        if (!member.learner) status.add_voters(raw(member.id));
    for (const Member& member : view.membership.members.next)
        if (!member.learner) status.add_next_voters(raw(member.id));
    for (const NamedCounter& counter : named(context_.counters, wal_.counters()))
        (*status.mutable_counters())[counter.name] = counter.value;
}

std::string Admin::dump() const {
    raft::View view = replica_.core().view();
    const LogPoint& committed = pump_.committed();
    std::string text;
    auto line = [&text](std::string_view key, uint64_t value) {
        text.append(key).append("=").append(std::to_string(value)).append("\n");
    };
    text.append("member=").append(context_.dir.identity.name).append("\n");
    text.append("role=").append(role_text(view, context_.dir.identity.id)).append("\n");
    line("term", raw(view.term));
    line("vote", raw(view.vote));
    line("leader", raw(view.leader));
    line("commit", raw(view.commit));
    line("durable", raw(view.durable));
    line("last", raw(view.last));
    line("base", raw(view.base.index));
    line("delivered", raw(committed.index));
    line("delivered_lsn", raw(committed.lsn_next) - 1);
    text.append("delivered_chain=").append(to_hex(committed.chain)).append("\n");
    line("buffer_first", raw(replica_.buffer().first()));
    line("buffer_bytes", replica_.buffer().bytes());
    line("chunk_bytes", Chunk::live_bytes());
    line("clients", clients_.count());
    const State& state = pump_.applier().state();
    line("state_applied", raw(state.applied()));
    line("state_stored", raw(pump_.applier().stored()));
    text.append("state_digest=").append(to_hex(state.digest())).append("\n");
    line("state_feature_level", state.feature_level());
    line("state_producers", state.producers());
    line("state_used_ids", state.used_ids().size());
    line("state_first_index", raw(state.first_index()));
    line("state_first_lsn", raw(state.first_lsn()));
    line("state_cursors", state.retained().cursors().size());
    line("state_checkpoints", state.retained().checkpoints().size());
    line("state_archives", state.archives().marks().size());
    line("state_bytes", state.bytes());
    for (const std::string& alarm : pump_.alarms()) text.append("alarm=").append(alarm).append("\n");
    for (const auto& follower : view.followers) {
        text.append("follower=").append(std::to_string(raw(follower.id)));
        text.append(" mode=").append(mode_text(follower.mode));
        text.append(" match=").append(std::to_string(raw(follower.match)));
        text.append(" next=").append(std::to_string(raw(follower.next)));
        text.append(" in_flight=").append(std::to_string(follower.in_flight_bytes));
        text.append(peers_.linked(follower.id) ? " linked\n" : " not-linked\n");
    }
    for (const NamedCounter& counter : named(context_.counters, wal_.counters()))
        line(counter.name, counter.value);
    return text;
}

}  // namespace raftd::daemon
