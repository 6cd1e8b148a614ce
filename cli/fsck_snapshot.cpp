// The snapshot folder: what CURRENT leads to, archive by archive, and what it doesn't lead to.
#include "cli/fsck_parts.h"
#include "cli/stored_state.h"
#include "cli/view.h"
#include "snapshot/archive_reader.h"
#include "snapshot/incoming.h"

namespace raftd::cli {
namespace {

using snapshot::ArchiveInfo;

void check_archive(FsckRun& run, const std::string& folder, const ArchiveInfo& archive) {
    const std::string file = "snapshot/" + archive.name();
    if (!run.tools.go_on(run.path(file))) return;
    auto found = snapshot::verify_archive(run.tools.files, folder, archive.name());
    if (!found && found.error().code == Errc::not_found)
        run.add(Weight::damaged, "snapshot", file, "is missing; the manifest names it");
    else if (!found)
        run.add(Weight::damaged, "snapshot", found.error());
    else if (*found != archive)
        run.add(Weight::damaged, "snapshot", file, "isn't the archive that the manifest names", 0);
}

void check_state_file(FsckRun& run, const std::string& folder) {
    const snapshot::SnapshotManifest& manifest = *run.current->snapshot;
    const std::string file = "snapshot/" + manifest.state.name;
    if (!run.tools.go_on(run.path(file))) return;
    auto state = snapshot::StateFile::open(run.tools.files, folder, manifest.state);
    if (!state) {
        Find& find = run.add(Weight::damaged, "snapshot", state.error());
        if (find.file.empty()) find.file = file;
        return;
    }
    if (state->at() != manifest.at)
        run.add(Weight::damaged, "snapshot", file, "is the state at another entry than the manifest's", 0);
    else if (auto read = read_stored(*state); !read)
        run.add(Weight::damaged, "snapshot", file, read.error().what);
}

void check_leftovers(FsckRun& run, const std::string& folder) {
    const auto incoming = snapshot::incoming_files(run.tools.files, folder);
    auto names = snapshot::find_leftovers(run.tools.files, folder, *run.current, incoming);
    const size_t first = run.report.finds.size();
    if (!names) return void(run.add(Weight::damaged, "snapshot", names.error()));
    for (const std::string& name : *names)
        run.add(Weight::leftover, "snapshot", "snapshot/" + name, "CURRENT doesn't lead to it");
    run.remove(first, folder);
    if (!incoming.empty())
        run.report.facts.emplace_back(
            "incoming", "a snapshot is being fetched: " + counted(incoming.size() - 1, "file") + " of it");
}

}  // namespace

void fsck_snapshot(FsckRun& run) {
    if (!run.current) return;
    const std::string folder = run.path("snapshot");
    std::string fact = "the genesis";
    if (const auto& manifest = run.current->snapshot) {
        for (const ArchiveInfo& archive : manifest->archives) check_archive(run, folder, archive);
        check_state_file(run, folder);
        fact = "at entry " + std::to_string(raw(manifest->at.index)) + ", " +
               counted(manifest->archives.size(), "archive");
    }
    run.report.facts.emplace_back("snapshot", fact);
    check_leftovers(run, folder);
}

}  // namespace raftd::cli
