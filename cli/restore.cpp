// `raftctl snapshot restore`: a new cluster, on this machine or several, that begins with what was saved.
#include <filesystem>

#include "base/uuid.h"
#include "cli/init.h"
#include "cli/member_folder.h"
#include "cli/place.h"
#include "cli/restored_cluster.h"
#include "cli/snapshot.h"
#include "cli/unfinished.h"
#include "cli/view.h"
#include "conf/load.h"
#include "io/asio/files.h"
#include "snapshot/restored_state.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

using snapshot::RestoreUpto;
using snapshot::Saved;

/// As many voters as were saved, on this machine.
Result<conf::ClusterSpec> local_spec(const Saved& saved, const RestoreOptions& options) {
    InitOptions init;
    init.folder = options.folder;
    init.nodes = options.nodes;
    init.base_port = options.base_port;
    if (init.nodes == 0)
        for (const Member& member : saved.snapshot().configs.back().membership.now)
            init.nodes += !member.learner;
    conf::ClusterSpec spec;
    spec.name = saved.genesis().cluster_name;
    spec.id = {random_number(), random_number()};
    TRY_VOID(add_local_members(init, spec));
    return spec;
}

Error same_cluster(const Saved& saved, const std::string& config) {
    return error(Errc::conflict,
                 config + " has the id of the cluster that was saved, " + to_hex(saved.genesis().cluster_id) +
                     ": the same LSNs would stand for other records",
                 "give [cluster] id another 32 hex digits, the same on all machines");
}

struct Planned {
    RestoredCluster cluster;
    bool raised = false;  // ids of --config
};
Result<Planned> plan(const Saved& saved, const RestoreOptions& options) {
    Planned planned;
    RestoredCluster& cluster = planned.cluster;
    TRY(lowest, snapshot::next_id(saved));
    if (options.config.empty()) {
        TRY(spec, local_spec(saved, options));
        cluster.spec = std::move(spec);
        raise_ids(cluster.spec, lowest);
        cluster.cluster_toml = conf::render_cluster_toml(cluster.spec);
    } else {
        TRY(spec, conf::load_cluster_spec(options.config));
        TRY(text, conf::read_text(options.config));
        cluster.spec = std::move(spec);
        if (cluster.spec.id == saved.genesis().cluster_id) return same_cluster(saved, options.config);
        planned.raised = raise_ids(cluster.spec, lowest);
        cluster.cluster_toml = planned.raised ? conf::render_cluster_toml(cluster.spec) : text;
    }
    cluster.folder = fs::absolute(options.folder).lexically_normal().string();
    if (cluster.folder.ends_with("/")) cluster.folder.pop_back();
    cluster.salt_seed = random_number();
    cluster.go_on = [] { return !interrupted(); };
    return planned;
}

Result<std::optional<RestoreUpto>> upto_of(const RestoreOptions& options) {
    if (options.to.empty()) return std::optional<RestoreUpto>();
    TRY(place, parse_place(options.to, 0));
    const bool relative = options.to.starts_with("-");
    if (!relative && place.kind == Place::Kind::lsn)
        return std::optional(RestoreUpto{RestoreUpto::By::lsn, place.value});
    if (!relative && place.kind == Place::Kind::time)
        return std::optional(RestoreUpto{RestoreUpto::By::time_ms, place.value});
    return error(Errc::bad_input, "--to " + options.to + " is no LSN and no @TIME",
                 "raftctl snapshot restore FILE DIR --to 5000, or --to @2026-11-20T10:00");
}

Result<void> check(const Context& context, const Saved& saved) {
    return saved.verify([&](size_t archive) {
        if (shows_progress(context))
            note(context, "archive " + std::to_string(archive + 1) + " of " +
                              std::to_string(saved.snapshot().archives.size()));
        return !interrupted();
    });
}

std::string names_of(const conf::ClusterSpec& spec, bool local_only) {
    std::string names;
    for (const conf::MemberSpec& member : spec.members)
        if (!local_only || !member.data.empty())
            names +=
                (names.empty() ? "" : ", ") + member.name + " (id " + std::to_string(raw(member.id)) + ")";
    return names;
}

void print(const Context& context, const Saved& saved, const RestoredCluster& cluster,
           const snapshot::Restored& made, Lsn first) {
    const uint64_t last = raw(made.genesis.lsn_next) - 1;
    if (context.output != Output::text) {
        Json members = Json::array();
        for (const conf::MemberSpec& member : cluster.spec.members) {
            Json one = Json::object();
            one.add("id", raw(member.id)).add("name", member.name).add("peer", member.peer);
            one.add("client", member.client).add("role", member.learner ? "learner" : "voter");
            if (member.data.empty())
                one.null("folder");
            else
                one.add("folder", member.data);
            members.add(one);
        }
        write_out(Json::object()
                      .add("schema", 1)
                      .add("folder", cluster.folder)
                      .add("cluster", cluster.spec.name)
                      .add("cluster_id", to_hex(cluster.spec.id))
                      .add("former_cluster_id", to_hex(saved.genesis().cluster_id))
                      .add("index", raw(made.genesis.at.index))
                      .add("first_lsn", raw(first))
                      .add("lsn", last)
                      .add("chain", to_hex(made.snapshot.at.chain))
                      .add("members", members)
                      .text() +
                  "\n");
        return;
    }
    note(context, "made " + cluster.folder + ": a new cluster, id " + to_hex(cluster.spec.id) + ", of " +
                      names_of(cluster.spec, false) + ", with LSN " + std::to_string(raw(first)) + " to " +
                      std::to_string(last) + " of " + saved.genesis().cluster_name + " (" +
                      to_hex(saved.genesis().cluster_id) + ")");
    const bool all_here = names_of(cluster.spec, true) == names_of(cluster.spec, false);
    note(context, "hint: cd " + cluster.folder + " && raftctl start" +
                      (all_here ? ""
                                : " --wait none; the same on the other machines, with the same chain " +
                                      to_hex(made.snapshot.at.chain)));
}

Result<void> restore(const Context& context, const RestoreOptions& options, io::Files& files) {
    TRY(upto, upto_of(options));
    std::error_code fault;
    const fs::path real = fs::canonical(options.file, fault);  // links to a save are fine
    TRY(saved, Saved::open(files, fault ? options.file : real.string()));
    TRY(planned, plan(saved, options));
    RestoredCluster& cluster = planned.cluster;
    // Before the long part; it is looked at again.
    if (fs::exists(cluster.folder, fault) && !fs::is_empty(cluster.folder, fault))
        return error(Errc::conflict, cluster.folder + " exists already",
                     "choose another folder: nothing is ever restored over what exists");
    TRY_VOID(check(context, saved));
    if (upto) {
        TRY(cut, snapshot::find_cut(saved, *upto));
        cluster.cut = cut;
    }
    TRY(first, snapshot::first_lsn(saved));
    bool begun = false;
    cluster.begun = [&begun] { begun = true; };
    auto made = make_restored_cluster(files, saved, cluster);
    if (!made && begun) fs::remove_all(unfinished_name(cluster.folder), fault);
    if (!made) return made.error();
    if (planned.raised)
        note(context,
             "ids of the members in " + cluster.folder +
                 "/cluster.toml begin behind those that were used: " + names_of(cluster.spec, false));
    print(context, saved, cluster, *made, first);
    return {};
}

}  // namespace

Exit snapshot_restore(const Context& context, const RestoreOptions& options) {
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    auto done = restore(context, options, files);
    if (!done) {
        const Exit exit = fail(context, done.error());
        return interrupted() ? Exit::interrupted : exit;
    }
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
