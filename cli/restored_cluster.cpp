#include "cli/restored_cluster.h"

#include <algorithm>

#include "cli/unfinished.h"
#include "conf/load.h"
#include "conf/units.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

constexpr const char* kNeverOver = "choose another folder: nothing is ever restored over what exists";

Result<void> check_folders(const RestoredCluster& cluster) {
    bool any = false;
    for (const conf::MemberSpec& member : cluster.spec.members) {
        if (member.data.empty()) continue;
        any = true;
        if (!conf::valid_name(member.data))
            return error(Errc::bad_input, "member " + member.name + ": data = \"" + member.data +
                                              "\" isn't the plain name of a folder, so it can't be made in " +
                                              cluster.folder);
    }
    if (any) return {};
    return error(Errc::bad_input, "no member of the new cluster has `data`, so none is on this machine",
                 "give the members of this machine data = \"NAME\" in cluster.toml");
}

/// Its log: empty behind the genesis, in the term there.
Result<void> make_log(io::Files& files, const std::string& data_dir, const snapshot::Restored& restored,
                      const snapshot::GenesisMember& member, uint64_t salt_seed) {
    wal::Options options;
    options.dir = data_dir + "/wal";
    options.cluster_id = restored.genesis.cluster_id;
    options.incarnation = member.incarnation;
    options.base = restored.snapshot.at;
    options.salt_seed = salt_seed + raw(member.id);
    wal::LogMaker maker(files, options, {restored.snapshot.at.term, NodeId{}});
    return maker.finish();
}

std::string settings_of(const conf::MemberSpec& member) {
    conf::NodeSettings settings;
    settings.cluster = "../cluster.toml";
    settings.name = member.name;
    settings.data_dir = "data";
    return conf::render_node_toml(settings);
}

}  // namespace

std::vector<snapshot::GenesisMember> genesis_members(const conf::ClusterSpec& spec) {
    std::vector<snapshot::GenesisMember> members;
    for (const conf::MemberSpec& member : spec.members)
        members.push_back({member.id, member.name, member.peer, member.client,
                           snapshot::genesis_incarnation(spec.id, member.id), member.learner,
                           member.priority});
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return members;
}

bool raise_ids(conf::ClusterSpec& spec, NodeId next_id) {
    auto used = [next_id](const conf::MemberSpec& member) { return member.id < next_id; };
    if (std::none_of(spec.members.begin(), spec.members.end(), used)) return false;
    for (conf::MemberSpec& member : spec.members) member.id = member.id + (raw(next_id) - 1);
    return true;
}

Result<snapshot::Restored> make_restored_cluster(io::Files& files, const snapshot::Saved& saved,
                                                 const RestoredCluster& cluster) {
    TRY_VOID(check_folders(cluster));
    snapshot::RestorePlan plan;
    plan.cluster_id = cluster.spec.id;
    plan.cluster_name = cluster.spec.name;
    plan.members = genesis_members(cluster.spec);
    plan.cut = cluster.cut;
    plan.level = cluster.level;
    plan.go_on = cluster.go_on;
    TRY_VOID(begin_unfinished(files, cluster.folder, "restore", kNeverOver));
    cluster.begun();
    const std::string temporary = unfinished_name(cluster.folder);
    std::optional<snapshot::Restored> made;
    std::vector<std::string> folders;
    for (const conf::MemberSpec& member : cluster.spec.members) {
        if (member.data.empty()) continue;
        const std::string own = folders.emplace_back(temporary + "/" + member.data), data = own + "/data";
        TRY_VOID(make_dir(files, own));
        TRY_VOID(write_text(files, own, "raftd.toml", settings_of(member)));
        TRY(restored, snapshot::make_restored(files, data, saved, plan, member.id));
        auto info = std::find_if(plan.members.begin(), plan.members.end(),
                                 [&](const auto& some) { return some.id == member.id; });
        TRY_VOID(make_log(files, data, restored, *info, cluster.salt_seed));
        made = std::move(restored);
    }
    TRY_VOID(write_text(files, temporary, "cluster.toml", cluster.cluster_toml));
    TRY_VOID(finish_unfinished(files, cluster.folder, folders, kNeverOver));
    return std::move(*made);
}

}  // namespace raftd::cli
