// Control requests: status, dump. Protobuf in and out; the only other includer of it is daemon/handshake.cpp.
// Loop thread only.
#pragma once

#include "daemon/clients.h"
#include "daemon/member_changes.h"
#include "daemon/peers.h"
#include "daemon/producers.h"
#include "daemon/replica.h"

namespace raftd::pb {
class Events;
class EventsRequest;
class Status;
}  // namespace raftd::pb

namespace raftd::daemon {

class FaultRequests;
class FeatureChanges;
class FreezeRequests;
class Installer;
class Pump;
class RetentionRequests;
class Saves;
class SnapshotRequests;
class VerifyRequests;

class Admin {
public:
    Admin(Context& context, Replica& replica, wal::Wal& wal, Peers& peers, Clients& clients,
          MemberChanges& changes, Producers& producers, const Pump& pump);
    /// A request frame; false when it isn't one (the connection is closed).
    bool request(ClientConn& conn, const io::Frame& frame, NodeId leader);
    /// What `raftctl debug dump` shows.
    std::string dump() const;
    void attach(FeatureChanges& features, FaultRequests& faults) {
        features_ = &features;
        faults_ = &faults;
    }
    void attach(RetentionRequests& retention) { retention_ = &retention; }
    void attach(FreezeRequests& freeze, const Installer& installer) {
        freeze_ = &freeze;
        installer_ = &installer;
    }
    void attach(VerifyRequests& verify) { verify_ = &verify; }
    void attach(SnapshotRequests& snapshots, Saves& saves) {
        snapshots_ = &snapshots;
        saves_ = &saves;
    }

private:
    void fill_status(pb::Status& status, NodeId leader) const;
    void fill_events(pb::Events& events, const pb::EventsRequest& wanted) const;
    void fill_install(pb::Status& status) const;
    void fill_members(pb::Status& status, const raft::View& view) const;

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    Peers& peers_;
    Clients& clients_;
    MemberChanges& changes_;
    Producers& producers_;
    const Pump& pump_;
    FeatureChanges* features_ = nullptr;
    FaultRequests* faults_ = nullptr;
    RetentionRequests* retention_ = nullptr;
    SnapshotRequests* snapshots_ = nullptr;
    FreezeRequests* freeze_ = nullptr;
    const Installer* installer_ = nullptr;
    VerifyRequests* verify_ = nullptr;
    Saves* saves_ = nullptr;
};

}  // namespace raftd::daemon
