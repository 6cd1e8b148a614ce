#include "daemon/start_up.h"

#include <algorithm>

#include "base/uuid.h"

namespace raftd::daemon {

uint32_t chunk_bytes_for(const conf::NodeSettings& settings) {
    return static_cast<uint32_t>(std::clamp<uint64_t>(settings.log.buffer_bytes / 8, 4096, kChunkBytes));
}

std::vector<Seam> seams_in(const snapshot::DataDir& dir) {
    return dir.current.snapshot ? dir.current.snapshot->seams : std::vector<Seam>();
}

raft::Options core_options(const conf::NodeSettings& settings, const snapshot::Manifest& manifest) {
    raft::Options options;
    options.heartbeat = settings.raft.heartbeat_interval;
    options.election_timeout = settings.raft.election_timeout;
    options.disk_stall_max = settings.raft.election_timeout;
    options.batch_bytes_max = settings.raft.batch_bytes_max;
    options.in_flight_bytes_max = settings.raft.in_flight_bytes_max;
    options.min_members = manifest.min_members;  // max_members counts names: MemberChanges
    return options;
}

Result<std::vector<Configuration>> configs_of(const snapshot::Current& current, const wal::Recovered& found) {
    std::vector<Configuration> configs{configuration_at(current, found.base.index)};
    for (const auto& config : found.configs) {
        auto decoded = decode_configuration(config.index, config.body);
        if (!decoded)
            return error(Errc::damaged, "the membership entry " + std::to_string(raw(config.index)) +
                                            " of the log can't be read");
        configs.push_back(std::move(*decoded));
    }
    return configs;
}

std::vector<ConfigAt> for_core(const std::vector<Configuration>& configs) {
    std::vector<ConfigAt> made;
    for (const Configuration& config : configs) made.push_back({config.index, config.membership});
    return made;
}

Index committed_in(const snapshot::Current& current, Index last) {
    return current.snapshot ? std::min(current.snapshot->at.index, last) : Index{};
}

Result<void> check_owner(const snapshot::DataDir& dir, const NodeOptions& options) {
    const auto& identity = dir.identity;
    bool other_cluster = options.cluster_id && *options.cluster_id != identity.cluster_id;
    bool other_member = !options.settings.name.empty() && options.settings.name != identity.name;
    if (!other_cluster && !other_member) return {};
    return error(
        Errc::conflict,
        dir.path + ": belongs to member " + identity.name + " of cluster " + identity.cluster_name + " (" +
            to_hex(identity.cluster_id) + "), not to " +
            (other_cluster ? "cluster " + to_hex(*options.cluster_id) : "member " + options.settings.name),
        "set data_dir in raftd.toml to this member's own directory");
}

Result<MemberInfo> own_place(const Context& context) {
    const snapshot::Identity& me = context.dir.identity;
    const NodeOptions& options = context.options;
    if (auto known = context.members.find(me.id); known != context.members.end()) return known->second;
    MemberInfo info{.id = me.id, .name = me.name, .peer = {}, .client = {}, .incarnation = me.incarnation};
    bool other = options.listed != NodeId{} && options.listed != me.id;
    if (!other) info.peer = options.peer, info.client = options.client;
    if (!info.peer.empty() || !options.settings.listen_peer.empty()) return info;
    std::string who = me.name + " (id " + std::to_string(raw(me.id)) + ")";
    return error(Errc::conflict,
                 who + " is in no configuration of its log, and " +
                     (other ? "the " + me.name + " of cluster.toml is another (id " +
                                  std::to_string(raw(options.listed)) + ")"
                            : "cluster.toml doesn't have it either") +
                     ": it was removed or replaced, or never added",
                 "raftctl member list shows the members; raftctl member add makes a new one, under a new id");
}

}  // namespace raftd::daemon
