// Makes and opens data directories. Order of making: manifest, CURRENT, boots, and identity.toml last: a
// directory without it is half-made whatever else it holds, and one with it is whole.
#include "snapshot/data_dir.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "base/uuid.h"
#include "snapshot/boots.h"
#include "snapshot/identity.h"
#include "snapshot/incoming.h"

namespace raftd::snapshot {
namespace {

constexpr uint64_t kSmallFileBytesMax = 16u << 20;

std::string join(std::string_view dir, std::string_view name) {
    return std::string(dir) + "/" + std::string(name);
}
std::string folder_of(std::string_view path) {
    size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return ".";
    return slash == 0 ? "/" : std::string(path.substr(0, slash));
}
Error io_error(std::string_view doing, const std::string& path, int number) {
    return error(Errc::io, std::string(doing) + " " + path + ": " + std::strerror(number));
}
Error at_path(Error fault, std::string_view path) {
    fault.what = std::string(path) + "/" + fault.what;
    return fault;
}

Result<void> write_whole(io::Files& files, const std::string& dir, std::string_view name, ByteView content) {
    io::FileResult done = io::write_file_atomically(files, dir, name, content);
    if (done.error != 0) return io_error("can't write", join(dir, name), done.error);
    return {};
}

/// A file that a whole directory must have.
Result<std::string> read_needed(io::Files& files, const std::string& dir, std::string_view name) {
    std::string path = join(dir, name), content;
    io::FileResult got = io::read_file(files, path, kSmallFileBytesMax, content);
    if (got.error == ENOENT)
        return error(Errc::damaged, path + " is missing",
                     "this member's files are incomplete; give it a new data directory under a new id");
    if (got.error != 0) return io_error("can't read", path, got.error);
    return content;
}

Result<void> make_empty_dir(io::Files& files, const std::string& path) {
    io::FileResult made = files.make_dir(path);
    if (made.error != 0 && made.error != EEXIST) return io_error("can't make", path, made.error);
    int fault = 0;
    std::vector<std::string> names = files.list(path, fault);
    if (fault != 0) return io_error("can't list", path, fault);
    if (!names.empty())
        return error(Errc::conflict, "data directory " + path + " isn't empty (it has " + names.front() + ")",
                     "choose another folder; a data directory is made once and never over another");
    return {};
}

const GenesisMember* find_member(const Manifest& manifest, NodeId id) {
    for (const GenesisMember& member : manifest.members)
        if (member.id == id) return &member;
    return nullptr;
}

Result<void> check_same_member(const DataDir& found) {
    const Identity& me = found.identity;
    if (me.cluster_id != found.manifest.cluster_id)
        return error(Errc::damaged, found.path + "/identity.toml is of cluster " + to_hex(me.cluster_id) +
                                        ", its manifest of " + to_hex(found.manifest.cluster_id));
    const GenesisMember* member = find_member(found.manifest, me.id);
    if (member != nullptr && member->incarnation != me.incarnation)
        return error(Errc::damaged, found.path + "/identity.toml has incarnation " + to_hex(me.incarnation) +
                                        ", its manifest " + to_hex(member->incarnation));
    return {};
}

}  // namespace

Result<void> create(io::Files& files, std::string_view path, const Manifest& manifest, NodeId self) {
    const GenesisMember* member = find_member(manifest, self);
    if (member == nullptr)
        return error(Errc::bad_input, "member " + std::to_string(raw(self)) + " isn't in the manifest");
    return create(
        files, path, manifest,
        Identity{manifest.cluster_id, manifest.cluster_name, member->id, member->name, member->incarnation});
}

Result<void> create(io::Files& files, std::string_view path, const Manifest& manifest,
                    const Identity& identity) {
    TRY_VOID(make_folders(files, path));
    const std::string snapshots = join(path, "snapshot"), name = manifest_name(manifest);
    TRY_VOID(write_genesis(files, snapshots, manifest));
    std::string current = name + " " + to_hex(checksum(as_bytes(encode_manifest(manifest)))) + "\n";
    TRY_VOID(write_whole(files, snapshots, "CURRENT", as_bytes(current)));
    return finish_folders(files, path, identity);
}

Result<void> make_folders(io::Files& files, std::string_view path) {
    TRY_VOID(make_empty_dir(files, std::string(path)));
    const std::string snapshots = join(path, "snapshot");
    if (auto made = files.make_dir(snapshots); made.error != 0)
        return io_error("can't make", snapshots, made.error);
    return {};
}

Result<void> write_genesis(io::Files& files, const std::string& snapshots, const Manifest& manifest) {
    return write_whole(files, snapshots, manifest_name(manifest), as_bytes(encode_manifest(manifest)));
}

Result<void> finish_folders(io::Files& files, std::string_view path, const Identity& identity) {
    TRY_VOID(write_boots(files, path, Boots{}));
    TRY_VOID(write_whole(files, std::string(path), "identity.toml", as_bytes(encode_identity(identity))));
    if (auto done = files.sync_dir(folder_of(path)); done.error != 0)
        return io_error("can't sync", folder_of(path), done.error);
    return {};
}

Result<DataDir> inspect(io::Files& files, std::string_view path) {
    DataDir found;
    found.path = std::string(path);
    int fault = 0;
    std::vector<std::string> names = files.list(path, fault);
    if (fault == ENOENT)
        return error(Errc::not_found, "there is no data directory " + found.path,
                     "raftctl init makes one; a lost one must not be made again under the same id");
    if (fault != 0) return io_error("can't list", found.path, fault);
    if (std::find(names.begin(), names.end(), "identity.toml") == names.end())
        return error(
            Errc::conflict, "data directory " + found.path + " is half-made or emptied (no identity.toml)",
            "if it was never started, remove it and run raftctl init again; else this member's data is lost");

    TRY(text, read_needed(files, found.path, "identity.toml"));
    auto identity = parse_identity(text);
    if (!identity) return at_path(identity.error(), path);
    found.identity = std::move(*identity);
    const std::string snapshots = join(path, "snapshot");
    TRY(current, read_current_as_meant(files, snapshots));
    found.current = std::move(current);
    found.manifest = found.current.genesis;
    TRY_VOID(check_same_member(found));
    found.base = found.current.base();

    TRY(bytes, read_needed(files, found.path, "boots"));
    auto boots = parse_boots(as_bytes(bytes));
    if (!boots) return at_path(boots.error(), path);
    found.boots = std::move(boots->boots);
    if (!found.current.meant.empty())
        found.notes.push_back(join(snapshots, "CURRENT") +
                              ": a byte of it is damaged; the manifest that it names says which");
    if (boots->version != 0 && boots->copies < 2)
        found.notes.push_back(join(path, "boots") +
                              ": one of its two copies is damaged, or was being written");
    return found;
}

Result<DataDir> open(io::Files& files, std::string_view path, uint64_t nonce) {
    TRY(found, inspect(files, path));
    const std::string snapshots = join(path, "snapshot");
    TRY_VOID(mend_current(files, snapshots, found.current));
    if (auto removed = remove_leftovers(files, snapshots, found.current, incoming_files(files, snapshots));
        !removed)
        found.notes.push_back(removed.error().what);  // they take room and nothing else
    // Durable: a peer that has seen this number refuses every lower one, so it must outlive this process.
    if (found.boots.mine.number > 0)
        found.boots.before.insert(found.boots.before.begin(), found.boots.mine.nonce);
    if (found.boots.before.size() > Boots::kBeforeMax) found.boots.before.resize(Boots::kBeforeMax);
    found.boots.mine = {found.boots.mine.number + 1, nonce};
    TRY_VOID(write_boots(files, path, found.boots));
    return found;
}

}  // namespace raftd::snapshot
