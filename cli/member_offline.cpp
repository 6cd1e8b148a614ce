// `raftctl member set NAME --peer H:P --offline DATA_DIR`: for a stopped cluster whose port was taken.
#include <algorithm>
#include <filesystem>

#include "cli/member.h"
#include "cli/membership.h"
#include "cli/new_cluster.h"
#include "conf/edit.h"
#include "conf/load.h"
#include "io/asio/files.h"
#include "io/asio/process.h"
#include "snapshot/addresses.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

/// Two have one name while a replacement isn't over: then it is the directory's own member, or the newer one.
const snapshot::MemberInfo* find_member(const Survivor& member, const std::string& name) {
    const snapshot::MemberInfo* found = nullptr;
    for (const auto& [id, info] : member.config.infos) {
        if (info.name != name) continue;
        found = &info;
        if (id == member.dir.identity.id) break;
    }
    return found;
}

/// The hint for one member, in place of what there was.
snapshot::AddressHints with_hint(snapshot::AddressHints hints, const snapshot::MemberInfo& info,
                                 const MemberSetOptions& options) {
    snapshot::AddressHint hint{info.id, {}, {}, info.peer, info.client};
    for (const snapshot::AddressHint& old : hints)
        if (old.id == info.id) hint.peer = old.peer, hint.client = old.client;
    std::erase_if(hints, [&](const snapshot::AddressHint& old) { return old.id == info.id; });
    if (!options.peer.empty()) hint.peer = options.peer;
    if (!options.client.empty()) hint.client = options.client;
    if (hint.peer == info.peer) hint.peer.clear();
    if (hint.client == info.client) hint.client.clear();
    if (!hint.peer.empty() || !hint.client.empty()) hints.push_back(hint);
    return hints;
}

/// cluster.toml beside the directory, so that commands of this machine find the member. Its name, or empty.
Result<std::string> update_file(const Survivor& member, const fs::path& data_dir,
                                const MemberSetOptions& options, NodeId id) {
    const std::string settings_file = (data_dir.parent_path() / "raftd.toml").string();
    auto settings = conf::load_node_settings(settings_file);
    if (!settings) return std::string();
    const std::string path = conf::resolve_beside(settings_file, settings->cluster);
    auto text = conf::read_text(path);
    auto spec = conf::load_cluster_spec(path);
    if (!text || !spec || spec->id != member.dir.identity.cluster_id) return std::string();
    for (conf::MemberSpec& one : spec->members) {
        if (one.id != id) continue;
        if (!options.peer.empty()) one.peer = options.peer;
        if (!options.client.empty()) one.client = options.client;
    }
    TRY(edited, conf::edit_cluster_toml(*text, *spec));
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    fs::path file = path;
    auto done = io::write_file_atomically(files, file.parent_path().string(), file.filename().string(),
                                          as_bytes(edited));
    if (done.error != 0) return error(Errc::io, "can't write " + path + ": " + std::strerror(done.error));
    return path;
}

Result<std::string> set(const MemberSetOptions& options, const fs::path& data_dir) {
    TRY(lock, io::asio::DirectoryLock::take(data_dir.string()));
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    TRY(member, look_at_members(files, data_dir.string()));
    const snapshot::MemberInfo* info = find_member(member, options.name);
    if (info == nullptr) {
        std::string names;
        for (const auto& [id, known] : member.config.infos) names += (names.empty() ? "" : ", ") + known.name;
        return error(Errc::bad_input,
                     "the log in " + data_dir.string() + " knows no member `" + options.name + "`",
                     "it knows " + names);
    }
    TRY(hints, snapshot::read_addresses(files, data_dir.string()));
    TRY_VOID(snapshot::write_addresses(files, data_dir.string(), with_hint(hints, *info, options)));
    return update_file(member, data_dir, options, info->id);
}

}  // namespace

Exit member_set_offline(const Context& context, const MemberSetOptions& options) {
    if (options.priority >= 0)
        return fail(context, error(Errc::bad_input, "a priority is the cluster's to change, not one member's",
                                   "without --offline, once the cluster runs"));
    const fs::path data_dir = (fs::absolute(options.offline).lexically_normal() / "").parent_path();
    auto file = set(options, data_dir);
    if (!file) {
        Error why = file.error();
        if (why.code == Errc::not_found) why.hint = "a data directory is a member's data/, such as n1/data";
        bool runs = why.code == Errc::conflict && why.what.find("in use") != std::string::npos;
        if (runs) why.hint = "while it runs: raftctl member set " + options.name + ", without --offline";
        return fail(context, why);
    }
    std::string addresses;
    if (!options.peer.empty()) addresses += " --peer " + options.peer;
    if (!options.client.empty()) addresses += " --client " + options.client;
    note(context, data_dir.string() + " reaches " + options.name + " at its new address from now on" +
                      (file->empty() ? "" : "; " + *file + " says so too"));
    note(context,
         "hint: raftctl start; then `raftctl member set " + options.name + addresses + "` tells the others");
    if (context.output != Output::text)
        write_out(Json::object()
                      .add("schema", 1)
                      .add("name", options.name)
                      .add("data_dir", data_dir.string())
                      .text() +
                  "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
