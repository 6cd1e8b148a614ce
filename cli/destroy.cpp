#include "cli/destroy.h"

#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "cli/local.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

Result<void> check_stopped(const std::vector<LocalMember>& members) {
    for (const LocalMember& member : members)
        if (running_process(member) != 0)
            return error(Errc::conflict, member.spec.name + " runs", "raftctl stop && raftctl destroy");
    return {};
}

Result<void> check_agreed(const DestroyOptions& options, const Found& found, size_t members) {
    if (options.yes) return {};
    std::string what =
        "all data of " + std::to_string(members) + " members of " + found.spec->name + " in " + found.folder;
    if (::isatty(STDIN_FILENO) != 1)
        return error(Errc::bad_input, "destroy would remove " + what, "raftctl destroy --yes");
    std::cerr << "This removes " << what << " for good. Name the cluster to go on: " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != found.spec->name) return error(Errc::failed, "nothing was removed");
    return {};
}

void remove_member(const LocalMember& member) {
    std::error_code ignored;
    fs::remove_all(fs::path(member.data_dir) / "wal", ignored);
    fs::remove_all(fs::path(member.data_dir) / "snapshot", ignored);
    fs::remove_all(fs::path(member.data_dir) / "state", ignored);
    for (const char* name :
         {"boots", "boots.tmp", "freeze", "freeze.tmp", "admin.sock", "LOCK", "identity.toml"})
        fs::remove(fs::path(member.data_dir) / name, ignored);
    fs::remove(member.data_dir, ignored);
    for (const char* name : {"raftd.toml", "raftd.log", "raftd.log.1", "raftd.pid"})
        fs::remove(fs::path(member.folder) / name, ignored);
    fs::remove(member.folder, ignored);
}

}  // namespace

Exit destroy(const Context& context, const DestroyOptions& options) {
    auto found = find_local_cluster(context);
    if (!found) return fail(context, found.error());
    auto members = local_members(*found, {});
    if (!members) return fail(context, members.error());
    Result<void> allowed = check_stopped(*members);
    if (allowed) allowed = check_agreed(options, *found, members->size());
    if (!allowed) return fail(context, allowed.error());
    std::error_code ignored;
    std::string left;
    for (const LocalMember& member : *members) {
        remove_member(member);
        if (fs::exists(member.folder, ignored)) left += " " + member.folder;
    }
    fs::remove(found->file, ignored);
    fs::remove(found->folder, ignored);  // only when nothing else is in it
    if (context.output != Output::text)
        write_out(Json::object().add("schema", 1).add("destroyed", found->spec->name).text() + "\n");
    else
        note(context,
             found->spec->name + " is gone" + (left.empty() ? "" : "; other files are left in" + left));
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
