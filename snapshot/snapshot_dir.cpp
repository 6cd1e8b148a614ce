#include "snapshot/snapshot_dir.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "base/uuid.h"

namespace raftd::snapshot {
namespace {

constexpr uint64_t kSnapshotFileBytesMax = 64u << 20;
constexpr std::string_view kCurrent = "CURRENT";

Error file_error(std::string_view doing, const std::string& path, int number) {
    return error(Errc::io, std::string(doing) + " " + path + ": " + std::strerror(number));
}

Result<void> write_text(io::Files& files, const std::string& dir, std::string_view name,
                        std::string_view content) {
    io::FileResult done = io::write_file_atomically(files, dir, name, as_bytes(content));
    if (done.error != 0) return file_error("can't write", dir + "/" + std::string(name), done.error);
    return {};
}

Result<std::string> read_snapshot_file(io::Files& files, const std::string& dir, std::string_view name) {
    std::string path = dir + "/" + std::string(name), content;
    io::FileResult got = io::read_file(files, path, kSnapshotFileBytesMax, content);
    if (got.error == ENOENT)
        return error(Errc::damaged, path + " is missing",
                     "this member's files are incomplete; give it a new data directory under a new id");
    if (got.error != 0) return file_error("can't read", path, got.error);
    return content;
}

Error in_file(Error fault, std::string_view path) {
    fault.what = std::string(path) + ": " + fault.what;
    return fault;
}

std::string current_line(const std::string& name, const std::string& manifest) {
    return name + " " + to_hex(checksum(as_bytes(manifest))) + "\n";
}

bool is_snapshot(std::string_view text) { return text.find("\"format\":2,") != std::string_view::npos; }

bool fits_genesis(const SnapshotManifest& snapshot, const Manifest& genesis) {
    const std::optional<Seam> seam = seam_of(genesis);
    return seam ? !snapshot.seams.empty() && snapshot.seams.back() == *seam : snapshot.seams.empty();
}

bool is_ours(std::string_view name) {
    return is_archive_name(name) || is_state_file_name(name) || name.starts_with("manifest-") ||
           name.ends_with(".tmp") || name.ends_with(".part") || name == "incoming";
}

}  // namespace

std::optional<Seam> seam_of(const Manifest& genesis) {
    if (!genesis.restored()) return std::nullopt;
    return Seam{genesis.at.index, genesis.chain_before, genesis_point(genesis).chain};
}

namespace {

Result<Current> follow_current(io::Files& files, const std::string& snapshots, const std::string& line) {
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.size() != space + 18 || line.find('/') != std::string::npos)
        return error(Errc::damaged, snapshots + "/CURRENT at byte 0: not a line of `name hash`");
    Current current;
    current.name = line.substr(0, space);
    auto named = read_snapshot_file(files, snapshots, current.name);
    if (!named) return in_file(named.error(), snapshots + "/CURRENT at byte 0");
    std::string text = std::move(*named);
    const std::string path = snapshots + "/" + current.name;
    if (to_hex(checksum(as_bytes(text))) + "\n" != line.substr(space + 1))
        return error(Errc::damaged, path + ": its hash isn't the one that CURRENT names");
    current.genesis_name = current.name;
    if (is_snapshot(text)) {
        auto manifest = parse_snapshot(text);
        if (!manifest) return in_file(manifest.error(), path);
        current.snapshot = std::move(*manifest);
        current.genesis_name = current.snapshot->genesis_name;
        TRY(genesis, read_snapshot_file(files, snapshots, current.genesis_name));
        if (checksum(as_bytes(genesis)) != current.snapshot->genesis_hash)
            return error(Errc::damaged, snapshots + "/" + current.genesis_name +
                                            ": its hash isn't the one that the snapshot names");
        text = std::move(genesis);
    }
    auto genesis = parse_manifest(text);
    if (!genesis) return in_file(genesis.error(), snapshots + "/" + current.genesis_name);
    current.genesis = std::move(*genesis);
    if (current.snapshot && !fits_genesis(*current.snapshot, current.genesis))
        return error(Errc::damaged, path + ": the snapshot's log doesn't begin where the genesis says");
    if (current.snapshot && current.snapshot->cluster_id != current.genesis.cluster_id)
        return error(Errc::damaged, path + ": the snapshot is of another cluster than the genesis");
    return current;
}

/// What CURRENT said before one of its bytes went wrong. A manifest is meant when its name and the 64 bits of
/// its hash stand there but for that byte: no other one, and none that is damaged itself, could be so near.
std::optional<std::string> line_meant(io::Files& files, const std::string& snapshots,
                                      const std::string& line) {
    int fault = 0;
    for (const std::string& name : files.list(snapshots, fault)) {
        if (!name.starts_with("manifest-") || !name.ends_with(".json")) continue;
        auto text = read_snapshot_file(files, snapshots, name);
        if (!text) continue;
        std::string meant = current_line(name, *text);
        if (meant.size() != line.size()) continue;
        size_t wrong = 0;
        for (size_t i = 0; i < line.size(); ++i) wrong += line[i] != meant[i];
        if (wrong == 1) return meant;
    }
    return std::nullopt;
}

}  // namespace

Result<Current> read_current(io::Files& files, const std::string& snapshots) {
    TRY(line, read_snapshot_file(files, snapshots, kCurrent));
    return follow_current(files, snapshots, line);
}

Result<Current> read_current_as_meant(io::Files& files, const std::string& snapshots) {
    TRY(line, read_snapshot_file(files, snapshots, kCurrent));
    auto current = follow_current(files, snapshots, line);
    if (current || current.error().code != Errc::damaged) return current;
    const std::optional<std::string> meant = line_meant(files, snapshots, line);
    if (!meant) return current;
    auto again = follow_current(files, snapshots, *meant);
    if (again) again->meant = *meant;
    return again;
}

Result<void> mend_current(io::Files& files, const std::string& snapshots, const Current& current) {
    if (current.meant.empty()) return {};
    return write_text(files, snapshots, kCurrent, current.meant);
}

Result<void> put_in_force(io::Files& files, const std::string& snapshots, const SnapshotManifest& manifest) {
    const std::string text = encode_snapshot(manifest);
    // The directory is synced with it, and so are the names of the archives and the state file.
    TRY_VOID(write_text(files, snapshots, manifest.name(), text));
    return write_text(files, snapshots, kCurrent, current_line(manifest.name(), text));
}

Result<std::vector<std::string>> find_leftovers(io::Files& files, const std::string& snapshots,
                                                const Current& current, const std::set<std::string>& keep) {
    std::set<std::string> needed = keep;
    needed.insert({std::string(kCurrent), current.name, current.genesis_name});
    if (current.snapshot) {
        needed.insert(current.snapshot->state.name);
        for (const ArchiveInfo& archive : current.snapshot->archives) needed.insert(archive.name());
    }
    int fault = 0;
    std::vector<std::string> names = files.list(snapshots, fault);
    if (fault != 0) return file_error("can't list", snapshots, fault);
    std::erase_if(names, [&](const std::string& name) { return !is_ours(name) || needed.contains(name); });
    return names;
}

Result<uint32_t> remove_leftovers(io::Files& files, const std::string& snapshots, const Current& current,
                                  const std::set<std::string>& keep) {
    TRY(names, find_leftovers(files, snapshots, current, keep));
    for (const std::string& name : names) {
        const io::FileResult done = files.remove(snapshots + "/" + name);
        if (done.error != 0 && done.error != ENOENT)
            return file_error("can't remove", snapshots + "/" + name, done.error);
    }
    return static_cast<uint32_t>(names.size());
}

}  // namespace raftd::snapshot
