// How a cluster begins: with nothing, as init makes it, or with the save of another one.
#include "base/features.h"
#include "sim/cluster.h"
#include "sim/saved.h"
#include "snapshot/restore.h"
#include "wal/whole.h"

namespace raftd::sim {
namespace {

/// Members `behind` + 1 and so on, of a cluster with this id.
std::vector<snapshot::GenesisMember> make_members(const ClusterOptions& options, const ClusterId& id,
                                                  uint32_t behind) {
    std::vector<snapshot::GenesisMember> members;
    for (uint32_t i = 0; i < options.members; ++i) {
        const NodeId node{behind + i + 1};
        const std::string name = Cluster::name_of(behind + i + 1);
        members.push_back({node, name, name + ":7001", name + ":7002",
                           snapshot::genesis_incarnation(id, node), false,
                           i < options.priorities.size() ? options.priorities[i] : uint8_t{0}});
    }
    return members;
}

snapshot::Manifest make_manifest(const ClusterOptions& options) {
    snapshot::Manifest manifest;
    manifest.cluster_id = {0x5eed, options.members};
    manifest.cluster_name = "simulated";
    manifest.feature_level = feature_level_max();
    manifest.members = make_members(options, manifest.cluster_id, 0);
    return manifest;
}

snapshot::RestorePlan make_plan(const ClusterOptions& options, uint32_t former) {
    snapshot::RestorePlan plan;
    plan.cluster_id = {0x4e57, options.members};
    plan.cluster_name = "restored";
    plan.members = make_members(options, plan.cluster_id, former);
    return plan;
}

/// The same on every machine, so it may be made on one that is nobody's.
snapshot::Manifest restored_manifest(const ClusterOptions& options, const std::string& save,
                                     uint32_t former) {
    SimStorage storage;
    SimFiles files(storage);
    const snapshot::Saved saved = put_save(files, "/save", save);
    auto made =
        snapshot::make_restored(files, "/data", saved, make_plan(options, former), NodeId{former + 1});
    CHECK(made.has_value());
    return made->genesis;
}

}  // namespace

Cluster::Cluster(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached,
                 const ClusterOptions& options)
    : Cluster(kernel, network, trace, reached, options, make_manifest(options), 0) {
    for (const snapshot::GenesisMember& member : manifest_.members) {
        add_machine(member.name, member.incarnation);
        make_data_dir(count(), manifest_, member.incarnation);
    }
}

Cluster::Cluster(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached,
                 const ClusterOptions& options, const std::string& save, uint32_t former)
    : Cluster(kernel, network, trace, reached, options, restored_manifest(options, save, former), former) {
    for (uint32_t i = 1; i <= former; ++i) {
        add_machine(name_of(i), {});
        members_.back()->lost = true;
    }
    for (const snapshot::GenesisMember& member : manifest_.members) {
        add_machine(member.name, member.incarnation);
        make_restored_dir(count(), save);
    }
}

/// As init and `member add` do.
void Cluster::make_data_dir(uint32_t number, const snapshot::Manifest& genesis, Incarnation incarnation) {
    Member& member = *members_[number];
    SimFiles files(member.storage);
    snapshot::Identity identity{genesis.cluster_id, genesis.cluster_name, NodeId{number}, member.name,
                                incarnation};
    CHECK(snapshot::create(files, kDataDir, genesis, identity).has_value());
    CHECK(wal::create_first(files, wal_options(number)).has_value());
    CHECK(!member.storage.has_unsynced());  // it ends with everything synced
}

/// As `snapshot restore` does.
void Cluster::make_restored_dir(uint32_t number, const std::string& save) {
    Member& member = *members_[number];
    SimFiles files(member.storage);
    {
        const snapshot::Saved saved = put_save(files, "/save", save);
        auto made =
            snapshot::make_restored(files, kDataDir, saved, make_plan(options_, former_), NodeId{number});
        CHECK(made.has_value());
        CHECK(snapshot::encode_manifest(made->genesis) == snapshot::encode_manifest(manifest_));
        wal::LogMaker maker(files, wal_options(number), {made->snapshot.at.term, NodeId{}});
        CHECK(maker.finish().has_value());
    }
    CHECK_EQ(files.remove("/save").error, 0);
    CHECK_EQ(files.sync_dir("/").error, 0);
    CHECK(!member.storage.has_unsynced());
}

}  // namespace raftd::sim
