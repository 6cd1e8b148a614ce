// The heart: carries out what the core asks for, once a turn, in the one safe order (numbered in pump.cpp).
// Loop thread only.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "daemon/alarms.h"
#include "daemon/append.h"
#include "daemon/applier.h"
#include "daemon/archive_watch.h"
#include "daemon/chain_watch.h"
#include "daemon/compaction.h"
#include "daemon/disk_watch.h"
#include "daemon/log_reader.h"
#include "daemon/peers.h"
#include "daemon/tail.h"

namespace raftd::daemon {

class Retention;
class RetentionRequests;

class Pump {
public:
    Pump(Context& context, Replica& replica, wal::Wal& wal, LogReader& reader, Applier& applier, Peers& peers,
         ChainWatch& chains);
    void attach(Appends& appends, Tails& tails, Producers& producers);
    void attach(RetentionRequests& requests, const Retention& retention) {
        requests_ = &requests;
        retention_ = &retention;
    }

    /// Performs all that is owed. Call once a turn, when every ready event has been stepped.
    void turn();
    /// The log says that everything up to `id` is synced: tells the core, then lets the answers go that
    /// waited for it.
    void durable(WriteId id);
    /// Entries for a follower, or a point of the log, came from files.
    void read_done(const ReadFor& purpose, wal::ReadResult& result);
    /// A snapshot of everything up to `at` is durable here: the log follows it.
    void installed(const LogPoint& at, Configuration config, NodeId ids_used_upto);
    /// An append of a peer; parked while a point of the log is read for it.
    void append_from(NodeId from, PeerMessage message);

    /// The newest committed point that is known here: what readers may see.
    const LogPoint& committed() const { return committed_; }
    NodeId leader() const { return replica_.core().leader(); }
    std::vector<std::string> alarms() const;
    const DiskWatch& disk() const { return disk_; }
    proto::Trailer trailer() const;
    /// How the last transfer that was asked for ended, once.
    std::optional<raft::Output::TransferEnd> take_transfer_end() {
        return std::exchange(transfer_end_, std::nullopt);
    }
    /// The leader's log begins behind what is needed here: a snapshot is to be fetched from it.
    std::optional<raft::Output::Install> take_install() { return std::exchange(install_, std::nullopt); }
    const Applier& applier() const { return applier_; }
    const LogReader& reader() const { return reader_; }
    /// Whose trouble is an alarm; attached before the first turn.
    void attach(const Compaction& compaction) { compaction_ = &compaction; }
    const Compaction& compaction() const { return *compaction_; }
    /// What rides on messages; attached before the first turn.
    void attach(const Freeze& freeze, ArchiveWatch& archives) {
        freeze_ = &freeze;
        archives_ = &archives;
        alarm_sources_.insert(alarm_sources_.end(), {&archives, &freeze});
    }
    /// In the order of these calls, behind the pump's own.
    void attach(const AlarmSource& source) { alarm_sources_.push_back(&source); }
    /// Something is left for another turn at once.
    bool more() const { return more_; }

private:
    struct Parked {
        WriteId after;
        NodeId to;
        Term term;
        raft::msg::Any message;
    };
    struct FetchedRun {
        NodeId to;
        Index first, last;
        Slice entries;
    };

    bool perform();
    void write(const raft::Output::Write& write);
    void send(const raft::Send& send);
    void park(const raft::Send& send);
    void send_now(NodeId to, const raft::msg::Any& message);
    void send_append(NodeId to, const raft::msg::Append& append);
    bool fetch(const raft::Output::Fetch& fetch);
    bool want(const raft::Output::Want& want);
    void begin_log_anew(const EntryId& at);
    void advance_commit(Index commit);
    void end_reads();
    void role_changed(const raft::Output::RoleChange& role);
    bool fit_successor_known() const;
    void update_health();
    void watch_clocks();
    std::string member_name(NodeId id) const;
    uint64_t wall_ms() const;
    proto::Trailer freeze_rider() const;  // of an append

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    LogReader& reader_;
    Applier& applier_;
    Peers& peers_;
    ChainWatch& chains_;
    DiskWatch disk_;
    Appends* appends_ = nullptr;
    Tails* tails_ = nullptr;
    Producers* producers_ = nullptr;
    RetentionRequests* requests_ = nullptr;
    const Retention* retention_ = nullptr;
    const Compaction* compaction_ = nullptr;
    std::vector<const AlarmSource*> alarm_sources_;
    const Freeze* freeze_ = nullptr;
    ArchiveWatch* archives_ = nullptr;

    raft::Output output_;
    std::optional<raft::Output::TransferEnd> transfer_end_;
    std::optional<raft::Output::Install> install_;
    WriteId durable_{};
    std::deque<Parked> parked_;  // by write id
    std::vector<FetchedRun> fetched_;
    std::vector<Slice> slices_;  // scratch
    LogPoint committed_;
    std::optional<LogPoint> installed_;  // replaced the log; the files don't follow it yet
    bool committed_read_under_way_ = false;
    struct Waiting {
        NodeId from;
        PeerMessage message;
    };
    std::optional<Waiting> waiting_append_;
    bool readers_told_ = false;
    raft::Health health_;  // as the core was told
    bool more_ = false;
};

}  // namespace raftd::daemon
