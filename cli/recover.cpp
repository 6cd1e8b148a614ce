#include "cli/recover.h"

#include <filesystem>

#include "base/uuid.h"
#include "cli/deadline.h"
#include "cli/member_folder.h"
#include "cli/new_cluster.h"
#include "cli/view.h"
#include "conf/load.h"
#include "io/asio/process.h"
#include "snapshot/leveldb_store.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

/// The stopped member, with what lies around its data directory.
struct Stopped {
    Survivor survivor;
    std::optional<Index> committed;         // at least; as its replicated state says
    conf::NodeSettings settings;            // of its raftd.toml, or defaults
    std::optional<conf::ClusterSpec> spec;  // of the cluster.toml it names, or of --cluster
    fs::path cluster_folder;
};

/// What is applied is committed. The state is only a cache, so nothing is said when it can't be read.
std::optional<Index> committed_of(const std::string& data_dir) {
    auto store = snapshot::LevelDbMaker(data_dir + "/state").open_existing();
    if (!store) return std::nullopt;
    auto mark = (*store)->mark();
    return mark && *mark ? std::optional((*mark)->applied.index) : std::nullopt;
}

/// The settings and the cluster.toml that belong to the directory, as far as they are there.
void look_around(const Context& context, const fs::path& data_dir, Stopped& into) {
    fs::path member = data_dir.parent_path();
    std::string cluster_file = (member.parent_path() / "cluster.toml").string();
    const std::string settings_file = (member / "raftd.toml").string();
    if (auto settings = conf::load_node_settings(settings_file)) {
        into.settings = *settings;
        cluster_file = conf::resolve_beside(settings_file, settings->cluster);
    }
    if (!context.cluster.empty())
        if (auto file = find_cluster_file(context)) cluster_file = *file;
    if (auto spec = conf::load_cluster_spec(cluster_file)) into.spec = *spec;
    into.cluster_folder = fs::absolute(cluster_file).lexically_normal().parent_path();
}

/// Takes no lock: the caller holds it.
Result<Stopped> examine(const Context& context, const fs::path& data_dir) {
    Stopped stopped;
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    TRY(survivor, examine_survivor(files, data_dir.string(), [&](size_t archive) {
            if (shows_progress(context)) note(context, "archive " + std::to_string(archive + 1));
            return !interrupted();
        }));
    stopped.survivor = std::move(survivor);
    stopped.committed = committed_of(data_dir.string());
    if (const auto& taken = stopped.survivor.dir.current.snapshot)  // all of a snapshot is committed
        stopped.committed = std::max(stopped.committed.value_or(Index{}), taken->at.index);
    look_around(context, data_dir, stopped);
    return stopped;
}

/// What two survivors are compared by.
std::string facts_of(const Stopped& stopped) {
    const Survivor& found = stopped.survivor;
    const LogPoint& last = found.last;
    const uint64_t records = last.lsn_next - found.first_lsn;
    std::string committed = stopped.committed
                                ? "at least up to entry " + std::to_string(raw(*stopped.committed))
                                : std::string("as far as the others know");
    return found.dir.identity.name + " of " + found.dir.identity.cluster_name + ": term " +
           std::to_string(raw(last.term)) + ", last entry " + std::to_string(raw(last.index)) + ", " +
           counted(records, "record") +
           (records == 0 ? ""
                         : " (LSN " + std::to_string(raw(found.first_lsn)) + " to " +
                               std::to_string(raw(last.lsn_next) - 1) + ")") +
           ", committed " + committed;
}

Json json_of(const Stopped& stopped) {
    const Survivor& found = stopped.survivor;
    Json json = Json::object();
    json.add("schema", 1)
        .add("name", found.dir.identity.name)
        .add("cluster", found.dir.identity.cluster_name)
        .add("cluster_id", to_hex(found.dir.identity.cluster_id))
        .add("term", raw(found.last.term))
        .add("last_index", raw(found.last.index))
        .add("first_lsn", raw(found.first_lsn))
        .add("last_lsn", raw(found.last.lsn_next) - 1);
    if (stopped.committed)
        json.add("commit_index", raw(*stopped.committed));
    else
        json.null("commit_index");
    return json;
}

/// The one member's cluster.toml and raftd.toml, where it was reached before.
conf::ClusterSpec describe(const Stopped& stopped, NewCluster& cluster) {
    const Survivor& found = stopped.survivor;
    conf::ClusterSpec spec;
    spec.name = found.dir.identity.cluster_name;
    spec.id = cluster.id;
    conf::MemberSpec member;
    member.id = found.next_id;
    member.name = member.data = found.dir.identity.name;
    member.peer = found.self().peer;
    member.client = found.self().client;
    spec.members.push_back(member);
    cluster.cluster_toml = conf::render_cluster_toml(spec);
    conf::NodeSettings settings = stopped.settings;
    settings.cluster = "../cluster.toml";
    settings.name = member.name;
    settings.data_dir = "data";
    cluster.member_toml = conf::render_node_toml(settings);
    return spec;
}

NewCluster plan(const Context& context, const Stopped& stopped, const RecoverOptions& options) {
    NewCluster cluster;
    bool given = stopped.spec && stopped.spec->id != stopped.survivor.dir.identity.cluster_id;
    cluster.id = given ? stopped.spec->id : ClusterId{random_number(), random_number()};
    cluster.incarnation = {random_number(), random_number()};
    cluster.salt_seed = random_number();
    cluster.folder = options.into.empty() ? stopped.cluster_folder.string() + "-recovered"
                                          : fs::absolute(options.into).lexically_normal().string();
    if (cluster.folder.ends_with("/")) cluster.folder.pop_back();
    cluster.go_on = [&context, last = stopped.survivor.last.index](Index done) {
        if (shows_progress(context))
            note(context, "entry " + std::to_string(raw(done)) + " of " + std::to_string(raw(last)));
        return !interrupted();
    };
    return cluster;
}

Result<void> make(const Stopped& stopped, NewCluster& cluster) {
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    std::error_code fault;
    bool begun = false;
    cluster.begun = [&begun] { begun = true; };
    auto made = make_new_cluster(files, stopped.survivor, cluster);
    if (!made && begun) fs::remove_all(unfinished(cluster), fault);
    return made;
}

}  // namespace

Exit recover(const Context& context, const RecoverOptions& options) {
    const fs::path data_dir = fs::absolute(options.data_dir).lexically_normal() / "";
    const fs::path folder = data_dir.parent_path();  // without a slash at the end
    std::error_code fault;
    if (!fs::exists(folder / "identity.toml", fault) && fs::exists(folder / "data" / "identity.toml", fault))
        return fail(
            context,
            error(Errc::bad_input, options.data_dir + " is a member's folder, not its data directory",
                  "raftctl recover --force-new-cluster " + (fs::path(options.data_dir) / "data").string()));
    auto lock = io::asio::DirectoryLock::take(folder.string());
    if (!lock) {
        Error why = lock.error();
        if (why.code == Errc::conflict)
            why.hint = "while a member runs, its cluster isn't lost: raftctl status";
        if (why.code == Errc::not_found) why.hint = "a data directory is a member's data/, such as n1/data";
        return fail(context, why);
    }
    auto stopped = examine(context, folder);
    if (!stopped) {
        const Exit exit = fail(context, stopped.error());
        return interrupted() ? Exit::interrupted : exit;
    }
    for (const std::string& survived : stopped->survivor.notes) note(context, "warning: " + survived);
    NewCluster cluster = plan(context, *stopped, options);
    conf::ClusterSpec spec = describe(*stopped, cluster);
    if (context.output == Output::text) write_out(facts_of(*stopped) + "\n");
    if (options.dry_run) {
        if (context.output != Output::text) write_out(json_of(*stopped).null("folder").text() + "\n");
        return finish_output(context, Exit::done);
    }
    note(context,
         "hint: compare with the other survivors, by the same command with --dry-run: the highest term, "
         "then the last entry, has the most");
    if (!agreed(context, options.yes, "make a new cluster from it, in " + cluster.folder + "?"))
        return fail(context, error(Errc::bad_input, "not agreed; nothing was made",
                                   "raftctl recover --force-new-cluster " + options.data_dir + " --yes"));
    auto made = make(*stopped, cluster);
    if (!made)
        return fail(context, made.error()), interrupted() ? Exit::interrupted : exit_of(made.error().code);
    const std::string& name = spec.members.front().name;
    note(context, "made " + cluster.folder + ": a new cluster, id " + to_hex(cluster.id) + ", of " + name +
                      " alone (id " + std::to_string(raw(spec.members.front().id)) + "); " + folder.string() +
                      " is as it was");
    note(context, "hint: cd " + cluster.folder + " && raftctl start; then raftctl member add, once a member");
    if (context.output != Output::text)
        write_out(json_of(*stopped)
                      .add("folder", cluster.folder)
                      .add("new_cluster_id", to_hex(cluster.id))
                      .add("new_id", raw(spec.members.front().id))
                      .text() +
                  "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
