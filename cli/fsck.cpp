#include "cli/fsck.h"

#include <filesystem>

#include "cli/discover.h"
#include "cli/fsck_check.h"
#include "cli/local.h"
#include "cli/view.h"
#include "io/asio/files.h"
#include "io/asio/process.h"
#include "snapshot/leveldb_store.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

/// A member's folder stands for the data directory in it.
std::string data_dir_of(const std::string& given) {
    std::string dir = given;
    while (dir.size() > 1 && dir.ends_with('/')) dir.pop_back();
    std::error_code fault;
    const bool folder = !fs::exists(dir + "/identity.toml", fault) && fs::exists(dir + "/raftd.toml", fault);
    return folder && fs::is_directory(dir + "/data", fault) ? dir + "/data" : dir;
}

Result<std::vector<std::string>> chosen(const Context& context, const FsckOptions& options) {
    std::vector<std::string> dirs;
    for (const std::string& given : options.dirs) dirs.push_back(data_dir_of(given));
    if (!options.dirs.empty()) return dirs;
    TRY(found, find_local_cluster(context));
    TRY(members, local_members(found, {}));
    for (const LocalMember& member : members) dirs.push_back(member.data_dir);
    return dirs;
}

/// All of them before anything is read: a running member's files change under the reader.
Result<std::vector<io::asio::DirectoryLock>> lock_all(const std::vector<std::string>& dirs) {
    std::vector<io::asio::DirectoryLock> locks;
    for (const std::string& dir : dirs) {
        std::error_code fault;
        if (!fs::exists(dir + "/identity.toml", fault) && !fs::exists(dir + "/wal", fault) &&
            !fs::exists(dir + "/snapshot", fault))  // and no LOCK is left in a folder of something else
            return error(Errc::not_found, dir + " is no data directory: no identity.toml, wal or snapshot",
                         "a data directory is a member's data/, such as n1/data");
        auto lock = io::asio::DirectoryLock::take(dir);
        if (lock) {
            locks.push_back(std::move(*lock));
            continue;
        }
        Error why = lock.error();
        if (why.code == Errc::conflict)
            why.hint = "raftctl stop that member; raftctl verify --deep reads back a running one";
        return why;
    }
    return locks;
}

std::string place_of(const Find& find) {
    std::string place = find.file.empty() ? find.part : find.file;
    if (find.offset) place += " at byte " + std::to_string(*find.offset);
    return place;
}

std::string text_of(const FsckReport& report) {
    std::string text = report.dir + "\n";
    auto line = [&text](std::string head, const std::string& rest) {
        head.resize(std::max<size_t>(head.size() + 1, 10), ' ');
        text += "  " + head + rest + "\n";
    };
    for (const auto& [part, what] : report.facts) line(part, what);
    for (const Find& find : report.finds)
        line(text_of(find.weight),
             place_of(find) + ": " + find.what + (find.done.empty() ? "" : " [" + find.done + "]"));
    const uint64_t left = report.damages(), mended = report.repaired();
    line("result", (left == 0 ? std::string("good") : counted(left, "damage")) +
                       (mended == 0 ? "" : ", " + std::to_string(mended) + " repaired"));
    return text;
}

Json json_of(const Find& find) {
    Json json = Json::object();
    json.add("weight", text_of(find.weight)).add("part", find.part).add("file", find.file);
    if (find.offset)
        json.add("offset", *find.offset);
    else
        json.null("offset");
    json.add("what", find.what);
    if (find.done.empty())
        json.null("repaired");
    else
        json.add("repaired", find.done);
    return json;
}

Json json_of(const FsckReport& report, bool with_finds) {
    Json facts = Json::object(), finds = Json::array();
    for (const auto& [part, what] : report.facts) facts.add(part, what);
    for (const Find& find : report.finds) finds.add(json_of(find));
    Json json = Json::object();
    json.add("dir", report.dir)
        .add("name", report.name)
        .add("cluster", report.cluster)
        .add("good", report.damages() == 0)
        .add("damages", report.damages())
        .add("repaired", report.repaired())
        .add("facts", facts);
    if (with_finds) json.add("finds", finds);
    return json;
}

void print(const Context& context, const std::vector<FsckReport>& reports) {
    if (context.output == Output::text) {
        for (const FsckReport& report : reports) write_out(text_of(report));
        return;
    }
    Json dirs = Json::array();
    for (const FsckReport& report : reports) {
        if (context.output == Output::json) {
            dirs.add(json_of(report, true));
            continue;
        }
        for (const Find& find : report.finds)
            write_out(Json::object()
                          .add("schema", 1)
                          .add("kind", "find")
                          .add("dir", report.dir)
                          .add("find", json_of(find))
                          .text() +
                      "\n");
        write_out(Json::object()
                      .add("schema", 1)
                      .add("kind", "directory")
                      .add("directory", json_of(report, false))
                      .text() +
                  "\n");
    }
    if (context.output == Output::json)
        write_out(Json::object().add("schema", 1).add("directories", dirs).text() + "\n");
}

/// What to do next, for people.
void advise(const Context& context, const std::vector<FsckReport>& reports, bool repair) {
    bool mendable = false, damaged = false;
    std::string name = "NODE";
    for (const FsckReport& report : reports)
        for (const Find& find : report.finds) {
            if (!find.done.empty()) continue;
            mendable |= find.weight == Weight::mendable;
            damaged |= find.weight == Weight::damaged;
            if (find.weight == Weight::damaged && !report.name.empty()) name = report.name;
        }
    if (damaged)
        note(context,
             "hint: only the other members have what is damaged here: raftctl start " + name +
                 " fetches it from them where it can; when it ends with 21, raftctl member replace " + name);
    if (mendable && !repair)
        note(context, "hint: raftctl fsck --repair makes again what this directory can make by itself");
}

}  // namespace

Exit fsck(const Context& context, const FsckOptions& options) {
    auto dirs = chosen(context, options);
    if (!dirs) return fail(context, dirs.error());
    auto locks = lock_all(*dirs);
    if (!locks) return fail(context, locks.error());
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    std::vector<FsckReport> reports;
    uint64_t damages = 0;
    for (const std::string& dir : *dirs) {
        std::error_code fault;
        snapshot::LevelDbMaker store(dir + "/state");
        FsckTools tools{files, fs::is_directory(dir + "/state", fault) ? &store : nullptr, options.repair,
                        [&](const std::string& path) {
                            if (shows_progress(context)) note(context, "reading " + path);
                            return !interrupted();
                        }};
        reports.push_back(fsck_directory(tools, dir));
        damages += reports.back().damages();
        if (interrupted()) return Exit::interrupted;
    }
    print(context, reports);
    advise(context, reports, options.repair);
    return finish_output(context, damages == 0 ? Exit::done : Exit::damaged);
}

}  // namespace raftd::cli
