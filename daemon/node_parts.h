// What a member is made of, and the order of it: each part sees only those above it, as references.
#pragma once

#include "daemon/admin.h"
#include "daemon/applier.h"
#include "daemon/compaction.h"
#include "daemon/fault_requests.h"
#include "daemon/feature_changes.h"
#include "daemon/file_server.h"
#include "daemon/freeze_requests.h"
#include "daemon/installer.h"
#include "daemon/leaving.h"
#include "daemon/node.h"
#include "daemon/pump.h"
#include "daemon/repair.h"
#include "daemon/retention_requests.h"
#include "daemon/saves.h"
#include "daemon/snapshot_requests.h"
#include "daemon/start_up.h"
#include "daemon/verify_requests.h"

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

}  // namespace raftd::daemon
