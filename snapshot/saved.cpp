#include "snapshot/saved.h"

#include <algorithm>

namespace raftd::snapshot {
namespace {

constexpr uint64_t kCurrentBytesMax = 256, kManifestBytesMax = 16u << 20, kStateBytesMax = 256u << 20;
// Content that doesn't compress grows a little, and the index comes behind it.
constexpr uint64_t kArchiveFileBytesMax = kArchiveContentBytesMax + (8u << 20);
constexpr size_t kNameBytesMax = 100;

bool is_manifest_name(std::string_view name) {
    constexpr std::string_view kBegin = "manifest-", kEnd = ".json";
    if (!name.starts_with(kBegin) || !name.ends_with(kEnd) || name.size() <= kBegin.size() + kEnd.size())
        return false;
    name = name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
    return name.find_first_not_of("0123456789-") == std::string_view::npos;
}

}  // namespace

uint64_t saved_size_max(std::string_view name) {
    if (name.size() > kNameBytesMax) return 0;
    if (name == "CURRENT") return kCurrentBytesMax;
    if (is_manifest_name(name)) return kManifestBytesMax;
    if (is_state_file_name(name)) return kStateBytesMax;
    return is_archive_name(name) ? kArchiveFileBytesMax : 0;
}

Result<Saved> Saved::open(io::Files& files, const std::string& path) {
    Saved saved;
    saved.path_ = path;
    TRY(tar, TarFiles::open(files, path, saved_size_max));
    saved.tar_ = std::move(tar);
    auto current = read_current(*saved.tar_, path);
    if (!current) {
        Error why = current.error();
        why.hint = "this save can't be used; another one may be whole";
        return why;
    }
    saved.current_ = std::move(*current);
    if (!saved.current_.snapshot) return error(Errc::damaged, path + ": it holds a genesis and no snapshot");
    TRY_VOID(saved.compare_names());
    return saved;
}

Result<Saved> Saved::open_folder(io::Files& files, const std::string& path) {
    Saved saved;
    saved.path_ = path;
    saved.folder_ = &files;
    TRY(current, read_current(files, path));
    if (!current.snapshot) return error(Errc::not_found, path + ": it holds a genesis and no snapshot");
    saved.current_ = std::move(current);
    return saved;
}

Result<void> Saved::compare_names() const {
    std::map<std::string, uint64_t> there = tar_->sizes();
    auto strange = [this](const std::string& why) { return error(Errc::damaged, path_ + ": " + why); };
    for (const std::string& name : {std::string("CURRENT"), current_.name, current_.genesis_name})
        there.erase(name);  // read already
    std::map<std::string, uint64_t> named{{snapshot().state.name, snapshot().state.bytes}};
    for (const ArchiveInfo& archive : snapshot().archives) named.emplace(archive.name(), archive.file_bytes);
    for (const auto& [name, bytes] : named) {
        auto found = there.find(name);
        if (found == there.end()) return strange("it lacks " + name + ", which its manifest names");
        if (found->second != bytes) return strange(name + " hasn't the size that the manifest names");
        there.erase(found);
    }
    if (!there.empty())
        return strange("it holds " + there.begin()->first + ", which its manifest doesn't name");
    return {};
}

Result<ArchiveReader> Saved::archive(size_t number) const {
    const ArchiveInfo& named = snapshot().archives.at(number);
    TRY(reader, ArchiveReader::open(files(), path_ + "/" + named.name()));
    if (reader.info() == named) return reader;
    return error(Errc::damaged,
                 path_ + "/" + named.name() + " at byte 0: not the archive that the manifest names");
}

Result<StateFile> Saved::state() const {
    TRY(state, StateFile::open(files(), path_, snapshot().state));
    if (state.at() == snapshot().at) return state;
    return error(Errc::damaged, path_ + "/" + snapshot().state.name + ": is of another entry");
}

Result<void> Saved::verify(const std::function<bool(size_t archive)>& go_on) const {
    // That archives join, and end where the snapshot stands, the manifest's parser has seen.
    const LogPoint& begin = snapshot().begin();
    const LogPoint first = genesis_point(genesis());
    if (!genesis().restored() && begin.index == Index{} && begin != first)
        return error(Errc::damaged, path_ + ": its first archive doesn't begin with its genesis");
    for (size_t i = 0; i < snapshot().archives.size(); ++i) {
        if (!go_on(i)) return error(Errc::failed, "interrupted");
        TRY(reader, archive(i));
        TRY_VOID(reader.verify());
    }
    TRY_VOID(state());
    return {};
}

bool looks_saved(io::Files& files, const std::string& path) {
    int failed = 0;
    const io::FileId file = files.open(path, io::OpenMode::read, failed);
    if (file == io::kNoFile) return false;
    char magic[5] = {};
    const io::FileResult got = files.read(
        file, 257, {reinterpret_cast<std::byte*>(magic), sizeof magic});  // of a tar's first header
    files.close(file);
    return got.error == 0 && std::string_view(magic, sizeof magic) == "ustar";
}

}  // namespace raftd::snapshot
