#include "cli/debug.h"

#include <filesystem>

#include "cli/ask.h"
#include "cli/discover.h"
#include "cli/view.h"
#include "conf/load.h"
#include "conf/units.h"
#include "io/asio/files.h"
#include "wal/dump.h"
#include "wal/format.h"

namespace raftd::cli {

Result<std::string> address_of(const Context& context, const Found& found, const std::string& node) {
    if (found.spec)
        if (const conf::MemberSpec* member = conf::find_member(*found.spec, node)) return member->client;
    ClusterView view = observe(found, context.timeout);
    std::vector<std::string_view> names;
    for (const MemberView& member : view.members) {
        if (member.name == node) return member.client;
        names.push_back(member.name);
    }
    auto near = conf::nearest(node, names);
    return error(Errc::not_found, "no member is called `" + node + "`",
                 near ? "did you mean " + std::string(*near) + "?" : "raftctl status lists the members");
}

namespace {

/// A segment, or all of a log in their order: of wal/ or of the data directory that it lies in.
Result<std::vector<std::string>> segments_of(io::Files& files, std::string path) {
    std::error_code fault;
    if (!std::filesystem::is_directory(path, fault)) return std::vector<std::string>{path};
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    if (std::filesystem::is_directory(path + "/wal", fault)) path += "/wal";
    std::vector<std::string> paths;
    int failed = 0;
    for (const std::string& name : files.list(path, failed))
        if (wal::segment_id_of(name)) paths.push_back(path + "/" + name);
    if (paths.empty())
        return error(Errc::not_found, path + " holds no segment", "raftctl debug wal NODE/data");
    return paths;
}

}  // namespace

Exit debug_wal(const Context& context, const DebugWalOptions& options) {
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    wal::DumpForm form = context.output == Output::text ? wal::DumpForm::text : wal::DumpForm::jsonl;
    if (context.output == Output::json)
        return fail(context, error(Errc::bad_input, "a segment is a stream: it has no single document",
                                   "raftctl debug wal FILE -o jsonl"));
    auto paths = segments_of(files, options.file);
    if (!paths) return fail(context, paths.error());
    uint64_t damages = 0;
    for (const std::string& path : *paths) {
        auto dumped = wal::dump_segment(files, path, form);
        if (!dumped) return fail(context, dumped.error());
        write_out(dumped->text);
        damages += dumped->damages;
    }
    if (damages == 0) return finish_output(context, Exit::done);
    return finish_output(
        context,
        fail(context, error(Errc::damaged, options.file + ": " + counted(damages, "damage") + " found")));
}

Exit debug_dump(const Context& context, const DebugDumpOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    auto address = address_of(context, *found, options.node);
    if (!address) return fail(context, address.error());
    pb::Request request;
    request.mutable_dump();
    MemberAnswer answer = std::move(ask_each({*address}, request, context.timeout).front());
    if (interrupted()) return Exit::interrupted;
    if (!answer.answer)
        return fail(context,
                    error(Errc::unreachable, options.node + " (" + *address + "): " + answer.failure,
                          "raftctl status"),
                    {}, {{*address, answer.failure}});
    if (!answer.answer->has_dump())
        return fail(context, error(Errc::failed, options.node + ": " + answer.answer->error().what()));
    std::string text = answer.answer->dump().text();
    if (context.output == Output::text)
        write_out(text + (text.ends_with("\n") ? "" : "\n"));
    else
        write_out(Json::object().add("schema", 1).add("node", options.node).add("dump", text).text() + "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
