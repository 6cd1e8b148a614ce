// Archives and data directories as files: what they say of themselves, and whether it is true.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/uuid.h"
#include "cli/discover.h"
#include "cli/local.h"
#include "cli/snapshot.h"
#include "cli/view.h"
#include "io/asio/files.h"
#include "snapshot/archive_reader.h"
#include "snapshot/saved.h"
#include "snapshot/snapshot_dir.h"

namespace raftd::cli {
namespace {

using snapshot::ArchiveInfo;

struct Looked {
    std::string path;
    Result<ArchiveInfo> info;
    std::optional<snapshot::SnapshotManifest> save{};  // of a whole save; then there is no info
};

std::string folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    return folder.empty() ? "." : folder;
}

/// One archive: its index alone, or all of it.
Looked look_at(io::Files& files, const std::string& path, bool whole) {
    if (whole)
        return {path, snapshot::verify_archive(files, folder_of(path),
                                               std::filesystem::path(path).filename().string())};
    auto reader = snapshot::ArchiveReader::open(files, path);
    if (!reader) return {path, reader.error()};
    return {path, reader->info()};
}

/// A save: what it is, then each archive in it.
std::vector<Looked> look_at_saved(io::Files& files, const std::string& path, bool whole) {
    auto saved = snapshot::Saved::open(files, path);
    if (!saved) return {{path, saved.error()}};
    std::vector<Looked> all{{path, ArchiveInfo{}, saved->snapshot()}};
    for (size_t i = 0; i < saved->snapshot().archives.size(); ++i) {
        auto archive = saved->archive(i);
        Looked looked{path + "/" + saved->snapshot().archives[i].name(), ArchiveInfo{}};
        if (!archive)
            looked.info = archive.error();
        else
            looked.info = archive->info();
        all.push_back(std::move(looked));
    }
    if (!whole) return all;
    size_t reading = 0;
    auto done = saved->verify([&](size_t archive) {
        reading = archive;
        return !interrupted();
    });
    if (!done && all[reading + 1].info) all[reading + 1].info = done.error();
    return all;
}

/// What CURRENT of a data directory leads to, each joined to the one before.
std::vector<Looked> look_at_dir(io::Files& files, const std::string& data_dir, bool whole) {
    const std::string snapshots = data_dir + "/snapshot";
    auto current = snapshot::read_current(files, snapshots);
    if (!current) return {{snapshots + "/CURRENT", current.error()}};
    std::vector<Looked> all;
    if (!current->snapshot) return all;
    for (const ArchiveInfo& archive : current->snapshot->archives) {
        all.push_back(look_at(files, snapshots + "/" + archive.name(), whole));
        Looked& looked = all.back();
        if (looked.info && *looked.info != archive)
            looked.info = error(Errc::damaged, looked.path + " at byte 0: not what the manifest names");
    }
    if (!whole) return all;
    auto state = snapshot::StateFile::open(files, snapshots, current->snapshot->state);
    if (!state) all.push_back({snapshots + "/" + current->snapshot->state.name, state.error()});
    return all;
}

Result<std::vector<Looked>> look_at_all(const Context& context, const SnapshotOptions& options, bool whole) {
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    std::vector<Looked> all;
    auto add = [&all](std::vector<Looked>&& more) {
        std::move(more.begin(), more.end(), std::back_inserter(all));
    };
    for (const std::string& file : options.files) {
        if (std::filesystem::is_directory(file))
            add(look_at_dir(files, file, whole));
        else if (snapshot::looks_saved(files, file))
            add(look_at_saved(files, file, whole));
        else
            all.push_back(look_at(files, file, whole));
    }
    if (!options.files.empty()) return all;
    TRY(found, find_local_cluster(context));
    TRY(members, local_members(found, {}));
    for (const LocalMember& member : members) add(look_at_dir(files, member.data_dir, whole));
    return all;
}

Json json_of(const Looked& looked) {
    Json one = Json::object();
    one.add("file", looked.path).add("good", looked.info.has_value());
    if (!looked.info) return one.add("error", looked.info.error().what);
    if (looked.save)
        return one.add("cluster", looked.save->cluster_name)
            .add("cluster_id", to_hex(looked.save->cluster_id))
            .add("index", raw(looked.save->at.index))
            .add("lsn", raw(looked.save->at.lsn_next) - 1)
            .add("feature_level", uint64_t{looked.save->feature_level})
            .add("archives", uint64_t{looked.save->archives.size()});
    const ArchiveInfo& info = *looked.info;
    return one.add("first", raw(info.first()))
        .add("last", raw(info.last()))
        .add("lsn_first", raw(info.before.lsn_next))
        .add("records", info.records())
        .add("bytes", info.content_bytes)
        .add("file_bytes", info.file_bytes)
        .add("hash", snapshot::to_hex(info.hash));
}

std::string text_of(const Looked& looked) {
    if (looked.save)
        return looked.path + "\n  cluster  " + looked.save->cluster_name + " (" +
               to_hex(looked.save->cluster_id) + ")\n  up to    entry " +
               std::to_string(raw(looked.save->at.index)) + ", LSN " +
               std::to_string(raw(looked.save->at.lsn_next) - 1) + "\n  archives " +
               std::to_string(looked.save->archives.size()) + "\n";
    const ArchiveInfo& info = *looked.info;
    std::string text = looked.path + "\n  entries  " + std::to_string(raw(info.first())) + "-" +
                       std::to_string(raw(info.last())) + "\n  records  " + std::to_string(info.records());
    if (info.records() != 0)
        text += " (LSN " + std::to_string(raw(info.before.lsn_next)) + "-" +
                std::to_string(raw(info.end.lsn_next) - 1) + ")";
    return text + "\n  bytes    " + text_of_bytes(info.content_bytes) + ", " +
           text_of_bytes(info.file_bytes) + " in the file\n  sha256   " + snapshot::to_hex(info.hash) + "\n";
}

Exit report(const Context& context, const std::vector<Looked>& all, bool whole) {
    const Looked* bad = nullptr;
    Json list = Json::array();
    for (const Looked& looked : all) {
        list.add(json_of(looked));
        if (!looked.info && bad == nullptr) bad = &looked;
    }
    if (context.output != Output::text) {
        write_out(Json::object().add("schema", 1).add("good", bad == nullptr).add("files", list).text() +
                  "\n");
        return finish_output(context, bad == nullptr ? Exit::done : exit_of(bad->info.error().code));
    }
    for (const Looked& looked : all)
        if (looked.info) write_out(whole ? looked.path + "  good\n" : text_of(looked));
    if (bad != nullptr) return finish_output(context, fail(context, bad->info.error()));
    const auto archives = static_cast<uint64_t>(
        std::count_if(all.begin(), all.end(), [](const Looked& looked) { return !looked.save; }));
    if (all.empty()) note(context, "no snapshot was taken yet");
    if (whole && !all.empty()) note(context, counted(archives, "archive") + " verified");
    return finish_output(context, Exit::done);
}

Exit run(const Context& context, const SnapshotOptions& options, bool whole) {
    auto all = look_at_all(context, options, whole);
    return all ? report(context, *all, whole) : fail(context, all.error());
}

}  // namespace

Exit snapshot_inspect(const Context& context, const SnapshotOptions& options) {
    return run(context, options, false);
}

Exit snapshot_verify(const Context& context, const SnapshotOptions& options) {
    return run(context, options, true);
}

}  // namespace raftd::cli
