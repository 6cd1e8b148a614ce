#include "cli/init.h"

#include <filesystem>

#include "base/features.h"
#include "base/uuid.h"
#include "cli/member_folder.h"
#include "cli/ports.h"
#include "conf/load.h"
#include "conf/units.h"
#include "snapshot/data_dir.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

constexpr uint32_t kVotersMax = 9, kMembersMax = 16, kClientsAbovePeers = 100;

/// A folder's name, made fit to be a cluster's.
std::string cluster_name_of(const fs::path& folder) {
    std::string name = fs::absolute(folder).lexically_normal().filename().string();
    if (name.empty()) name = fs::absolute(folder).lexically_normal().parent_path().filename().string();
    for (char& c : name)
        if (!conf::valid_name("a" + std::string(1, c))) c = '-';
    name = name.substr(0, 63);
    return conf::valid_name(name) ? name : "cluster";
}

Result<void> add_named_members(const InitOptions& options, conf::ClusterSpec& spec) {
    for (const std::string& text : options.members) {
        size_t equals = std::min(text.find('='), text.size());
        std::string name = text.substr(0, equals), address = text.substr(std::min(equals + 1, text.size()));
        auto peer = conf::parse_host_port(address);
        if (!conf::valid_name(name) || !peer || peer->port > 65535 - kClientsAbovePeers)
            return error(Errc::bad_input, "--member `" + text + "` is not NAME=HOST:PORT",
                         "raftctl init DIR --member n1=10.0.0.1:7101 --member n2=10.0.0.2:7101");
        conf::MemberSpec member;
        member.id = NodeId{spec.members.size() + 1};
        member.name = member.data = name;
        member.peer = conf::text_of(*peer);
        peer->port = static_cast<uint16_t>(peer->port + kClientsAbovePeers);
        member.client = conf::text_of(*peer);
        spec.members.push_back(std::move(member));
    }
    return {};
}

snapshot::Manifest manifest_of(const conf::ClusterSpec& spec, const InitOptions& options) {
    snapshot::Manifest manifest;
    manifest.cluster_id = spec.id;
    manifest.cluster_name = spec.name;
    manifest.feature_level = feature_level_max();
    manifest.min_members = options.min_members;
    manifest.max_members = options.max_members;
    for (const conf::MemberSpec& member : spec.members)
        manifest.members.push_back({member.id, member.name, member.peer, member.client,
                                    snapshot::genesis_incarnation(spec.id, member.id), member.learner,
                                    member.priority});
    return manifest;
}

/// Rules that this cluster could never meet, or breaks from the start.
Result<void> check_bounds(const InitOptions& options, const conf::ClusterSpec& spec) {
    const size_t count = spec.members.size();
    std::string has =
        ": the cluster begins with " + std::to_string(count) + (count == 1 ? " member" : " members");
    if (options.min_members > count)
        return error(Errc::bad_input,
                     "--min-members " + std::to_string(options.min_members) + has +
                         ", so it would never have a leader",
                     "raise --nodes; members can be added only once there is a leader");
    if (options.max_members != 0 && options.max_members < count)
        return error(Errc::bad_input, "--max-members " + std::to_string(options.max_members) + has);
    return {};
}

Result<void> check_vacant(const fs::path& folder, const conf::ClusterSpec& spec) {
    std::error_code fault;
    if (fs::exists(folder / "cluster.toml", fault))
        return error(
            Errc::conflict,
            folder.string() + " has a cluster already (" + (folder / "cluster.toml").string() + ")",
            "raftctl --cluster " + folder.string() + " status shows it; choose another folder for a new one");
    if (fs::exists(folder, fault) && !fs::is_directory(folder, fault))
        return error(Errc::conflict, folder.string() + " is not a folder");
    for (const conf::MemberSpec& member : spec.members)
        if (fs::exists(folder / member.data, fault))
            return error(Errc::conflict,
                         (folder / member.data).string() + " exists already, without a cluster.toml",
                         "look at it; if it is what an interrupted init left, remove it and run init again");
    return {};
}

Result<conf::ClusterSpec> make_cluster(const InitOptions& options) {
    fs::path folder = options.folder;
    conf::ClusterSpec spec;
    spec.name = cluster_name_of(folder);
    spec.id = {random_number(), random_number()};
    TRY_VOID(check_vacant(folder, spec));
    TRY_VOID(options.members.empty() ? add_local_members(options, spec) : add_named_members(options, spec));
    TRY_VOID(check_bounds(options, spec));
    std::vector<conf::Problem> problems;
    std::string cluster_toml = conf::render_cluster_toml(spec);
    conf::parse_cluster_spec(cluster_toml, "cluster.toml", problems);
    if (!problems.empty()) return error(Errc::bad_input, problems.front().what, problems.front().hint);
    TRY_VOID(check_vacant(folder, spec));

    FolderMaker maker;
    TRY_VOID(maker.make_folder(folder));
    snapshot::Manifest manifest = manifest_of(spec, options);
    for (const conf::MemberSpec& member : spec.members) {
        TRY_VOID(make_member_folder(maker, folder, member, manifest,
                                    snapshot::genesis_incarnation(spec.id, member.id)));
        if (interrupted()) return error(Errc::failed, "interrupted; nothing was made");
    }
    // Last, as the sign that all is there.
    TRY_VOID(maker.write(folder, "cluster.toml", cluster_toml));
    maker.keep();
    return spec;
}

/// "7101-7103", or with gaps "7101,7104".
std::string ports_text(const conf::ClusterSpec& spec, std::string conf::MemberSpec::*address) {
    std::string text;
    uint32_t first = 0, last = 0;
    auto flush = [&] {
        if (first == 0) return;
        text += (text.empty() ? "" : ",") + std::to_string(first) +
                (last > first ? "-" + std::to_string(last) : "");
    };
    for (const conf::MemberSpec& member : spec.members) {
        uint32_t port = conf::parse_host_port(member.*address)->port;
        if (first == 0 || port != last + 1) {
            flush();
            first = port;
        }
        last = port;
    }
    flush();
    return text;
}

std::string shown(const std::string& folder) {
    return folder.starts_with("/") || folder.starts_with(".") ? folder : "./" + folder;
}

void print_json(const conf::ClusterSpec& spec, const std::string& folder) {
    Json members = Json::array();
    for (const conf::MemberSpec& member : spec.members)
        members.add(Json::object()
                        .add("id", raw(member.id))
                        .add("name", member.name)
                        .add("role", member.learner ? "learner" : "voter")
                        .add("peer", member.peer)
                        .add("client", member.client)
                        .add("folder", member.data));
    write_out(Json::object()
                  .add("schema", 1)
                  .add("cluster", spec.name)
                  .add("cluster_id", to_hex(spec.id))
                  .add("folder", fs::absolute(folder).lexically_normal().string())
                  .add("members", members)
                  .text() +
              "\n");
}

}  // namespace

Result<void> add_local_members(const InitOptions& options, conf::ClusterSpec& spec) {
    uint32_t count = options.nodes + options.learners;
    if (options.nodes == 0 || options.nodes > kVotersMax)
        return error(Errc::bad_input,
                     "--nodes " + std::to_string(options.nodes) + ": a cluster has 1 to 9 voters",
                     "3 survive the loss of one, 5 of two");
    if (count > kMembersMax)
        return error(Errc::bad_input, std::to_string(count) + " members: a cluster has at most 16");
    uint32_t peer = options.base_port, client = options.base_port + kClientsAbovePeers;
    for (uint32_t i = 1; i <= count; ++i) {
        TRY(peer_port, free_port(options.host, peer));
        TRY(client_port, free_port(options.host, client));
        peer = peer_port + 1u, client = client_port + 1u;
        conf::MemberSpec member;
        member.id = NodeId{i};
        member.name = member.data = "n" + std::to_string(i);
        member.peer = conf::text_of(conf::HostPort{options.host, peer_port});
        member.client = conf::text_of(conf::HostPort{options.host, client_port});
        member.learner = i > options.nodes;
        spec.members.push_back(std::move(member));
    }
    return {};
}

Exit init(const Context& context, const InitOptions& options) {
    auto spec = make_cluster(options);
    if (!spec)
        return interrupted() ? (fail(context, spec.error()), Exit::interrupted) : fail(context, spec.error());
    if (context.output != Output::text) {
        print_json(*spec, options.folder);
        return finish_output(context, Exit::done);
    }
    size_t count = spec->members.size();
    note(context, "created " + spec->name + ": " + std::to_string(count) +
                      (count == 1 ? " member" : " members") + " in " + shown(options.folder) + " (peers " +
                      ports_text(*spec, &conf::MemberSpec::peer) + ", clients " +
                      ports_text(*spec, &conf::MemberSpec::client) + ")");
    if (options.members.empty()) {
        note(context, "hint: cd " + options.folder + " && raftctl start");
        return Exit::done;
    }
    for (const conf::MemberSpec& member : spec->members)
        note(context, member.name + ": move " + (fs::path(options.folder) / member.data).string() +
                          " and a copy of " + (fs::path(options.folder) / "cluster.toml").string() +
                          " into one folder on " + conf::parse_host_port(member.peer)->host);
    note(context, "hint: in that folder on each machine: raftctl start --wait none");
    return Exit::done;
}

}  // namespace raftd::cli
