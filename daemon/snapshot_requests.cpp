#include "daemon/snapshot_requests.h"

#include <algorithm>

#include "base/features.h"
#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {

SnapshotRequests::SnapshotRequests(Context& context, Replica& replica, Clients& clients,
                                   const LogReader& reader, const Applier& applier,
                                   const Compaction& compaction)
    : context_(context),
      replica_(replica),
      clients_(clients),
      reader_(reader),
      applier_(applier),
      compaction_(compaction) {}

bool SnapshotRequests::request(const ClientConn& conn, uint32_t stream, const pb::Request& request) {
    if (request.has_take_snapshot()) {
        take(conn, stream);
        return true;
    }
    if (!request.has_snapshots()) return false;
    pb::Answer answer_to;
    fill(*answer_to.mutable_snapshots());
    answer(clients_, conn.id, stream, answer_to);
    return true;
}

void SnapshotRequests::take(const ClientConn& conn, uint32_t stream) {
    const raft::Core& core = replica_.core();
    if (core.role() != raft::Role::leader || !core.accepting())
        return refuse(clients_, conn.id, stream,
                      error(Errc::unavailable, "this member doesn't lead", "raftctl status says who does"),
                      core.leader());
    if (compaction_.frozen())
        return refuse(clients_, conn.id, stream,
                      error(Errc::conflict, "the cluster is frozen: nothing is compacted", "raftctl thaw"),
                      core.leader());
    if (!kind_allowed(EntryKind::cut, context_.feature_level))
        return refuse(
            clients_, conn.id, stream,
            error(Errc::conflict,
                  "the cluster's feature level is " + std::to_string(context_.feature_level) +
                      "; snapshots are taken from level " + std::to_string(level_of(EntryKind::cut)) + " on",
                  "raftctl feature raise"),
            core.leader());
    EntryHeader draft = draft_batch(0, {});
    draft.kind = EntryKind::cut;
    const LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    const EntryHeader placed = replica_.propose(context_.now, draft, {}, time);
    waiters_.push_back({conn.id, stream, id_of(placed)});
    context_.log(LogLevel::info, "snapshot_asked")("index", placed.index);
}

void SnapshotRequests::turn() {
    if (!waiters_.empty()) std::erase_if(waiters_, [this](const Waiter& waiter) { return settle(waiter); });
}

bool SnapshotRequests::settle(const Waiter& waiter) {
    const raft::Core& core = replica_.core();
    const State& state = applier_.state();
    const bool leads = core.role() == raft::Role::leader && core.term() == waiter.cut.term;
    if (!leads) {
        refuse(clients_, waiter.conn, waiter.stream,
               error(Errc::unavailable, "another member leads now", "raftctl snapshot take again"),
               core.leader());
        return true;
    }
    if (state.applied() < waiter.cut.index) return false;
    // With no record since the last end the cut is void: the snapshot there has all.
    pb::Answer answer_to;
    answer_to.mutable_snapshot_begun()->set_index(raw(state.archives().open_first()) - 1);
    answer(clients_, waiter.conn, waiter.stream, answer_to);
    return true;
}

void SnapshotRequests::fill(pb::Snapshots& snapshots) const {
    snapshots.set_node_id(raw(context_.dir.identity.id));
    snapshots.set_name(context_.dir.identity.name);
    snapshots.set_trouble(compaction_.trouble());
    snapshots.set_feature_level(context_.feature_level);
    const LogPoint begin = reader_.base();
    snapshots.set_first_lsn(raw(begin.lsn_next));
    const auto& newest = compaction_.newest();
    if (!newest) return;
    snapshots.set_index(raw(newest->at.index));
    snapshots.set_lsn(raw(newest->at.lsn_next) - 1);
    snapshots.set_state_bytes(newest->state.bytes);
    for (const snapshot::ArchiveInfo& archive : newest->archives) {
        pb::Archive& to = *snapshots.add_archives();
        to.set_first(raw(archive.first()));
        to.set_last(raw(archive.last()));
        to.set_lsn_first(raw(archive.before.lsn_next));
        to.set_lsn_next(raw(archive.end.lsn_next));
        to.set_bytes(archive.content_bytes);
        to.set_file_bytes(archive.file_bytes);
        to.set_hash(snapshot::to_hex(archive.hash));
        to.set_time_ms(archive.end.timestamp_ms);
    }
}

}  // namespace raftd::daemon
