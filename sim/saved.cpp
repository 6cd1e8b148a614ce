#include "sim/saved.h"

#include "base/check.h"
#include "snapshot/snapshot_dir.h"
#include "snapshot/tar.h"

namespace raftd::sim {
namespace {

constexpr uint64_t kFileBytesMax = 64u << 20;

}  // namespace

std::string save_of(io::Files& files, const std::string& folder) {
    auto current = snapshot::read_current(files, folder);
    CHECK(current.has_value() && current->snapshot.has_value());
    std::vector<std::string> names{"CURRENT", current->name, current->genesis_name,
                                   current->snapshot->state.name};
    for (const snapshot::ArchiveInfo& archive : current->snapshot->archives) names.push_back(archive.name());
    std::string tar;
    snapshot::TarWriter writer(
        [&tar](ByteView more) -> Result<void> {
            tar += as_text(more);
            return {};
        },
        0);
    for (const std::string& name : names) {
        std::string content;
        CHECK_EQ(io::read_file(files, folder + "/" + name, kFileBytesMax, content).error, 0);
        CHECK(writer.begin(name, content.size()).has_value() && writer.add(as_bytes(content)).has_value());
    }
    CHECK(writer.finish().has_value());
    return tar;
}

snapshot::Saved put_save(io::Files& files, const std::string& path, const std::string& save) {
    int failed = 0;
    const io::FileId file = files.open(path, io::OpenMode::truncate, failed);
    CHECK_EQ(files.write(file, 0, as_bytes(save)).bytes, save.size());
    files.close(file);
    auto saved = snapshot::Saved::open(files, path);
    CHECK(saved.has_value() && saved->verify().has_value());
    return std::move(*saved);
}

}  // namespace raftd::sim
