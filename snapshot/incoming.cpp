#include "snapshot/incoming.h"

#include <cerrno>
#include <cstring>

namespace raftd::snapshot {
namespace {

constexpr uint64_t kBytesMax = 64u << 20;

std::string path_of(const std::string& snapshots) { return snapshots + "/" + kIncoming; }

/// `NAME.TAG.part` is a part of NAME.
std::string whole_name(const std::string& name) {
    constexpr size_t kSuffix = 1 + 16 + sizeof(".part") - 1;
    if (!name.ends_with(".part") || name.size() <= kSuffix) return {};
    return name.substr(0, name.size() - kSuffix);
}

}  // namespace

Result<void> note_incoming(io::Files& files, const std::string& snapshots, const SnapshotManifest& manifest) {
    const std::string text = encode_snapshot(manifest);
    const io::FileResult done = io::write_file_atomically(files, snapshots, kIncoming, as_bytes(text));
    if (done.error != 0) return error(Errc::io, path_of(snapshots) + ": " + std::strerror(done.error));
    return {};
}

Result<void> forget_incoming(io::Files& files, const std::string& snapshots) {
    const io::FileResult done = files.remove(path_of(snapshots));
    if (done.error != 0 && done.error != ENOENT)
        return error(Errc::io, path_of(snapshots) + ": " + std::strerror(done.error));
    return {};
}

std::set<std::string> incoming_files(io::Files& files, const std::string& snapshots) {
    std::string text;
    if (io::read_file(files, path_of(snapshots), kBytesMax, text).error != 0) return {};
    Result<SnapshotManifest> manifest = parse_snapshot(text);
    if (!manifest) return {};
    std::set<std::string> names{manifest->state.name};
    for (const ArchiveInfo& archive : manifest->archives) names.insert(archive.name());
    int failed = 0;
    for (const std::string& name : files.list(snapshots, failed))
        if (names.contains(whole_name(name))) names.insert(name);
    names.insert(kIncoming);
    return names;
}

}  // namespace raftd::snapshot
