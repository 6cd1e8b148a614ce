#include "cli/member_folder.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "conf/load.h"
#include "wal/wal.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

std::string folder_above(const fs::path& path) {
    std::string above = fs::absolute(path).lexically_normal().parent_path().string();
    return above.empty() ? "/" : above;
}

Error failure(const char* doing, const fs::path& path, int number) {
    return error(Errc::io,
                 std::string("can't ") + doing + " " + path.string() + ": " + std::strerror(number));
}

}  // namespace

uint64_t random_number() {
    uint64_t value = 0;
    std::ifstream source("/dev/urandom", std::ios::binary);
    source.read(reinterpret_cast<char*>(&value), sizeof value);
    return value;
}

FolderMaker::~FolderMaker() {
    std::error_code ignored;
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) fs::remove_all(*path, ignored);
}

Result<void> FolderMaker::make_folder(const fs::path& path) {
    io::FileResult made = files_.make_dir(path.string());
    if (made.error == EEXIST) return {};
    if (made.error != 0) return failure("make folder", path, made.error);
    made_.push_back(path);
    if (auto synced = files_.sync_dir(folder_above(path)); synced.error != 0)
        return failure("sync", path, synced.error);
    return {};
}

Result<void> FolderMaker::write(const fs::path& folder, const std::string& name, const std::string& content) {
    made_.push_back(folder / (name + ".tmp"));
    made_.push_back(folder / name);
    auto done = io::write_file_atomically(files_, folder.string(), name, as_bytes(content));
    if (done.error != 0) return failure("write", folder / name, done.error);
    return {};
}

Result<void> make_member_folder(FolderMaker& maker, const fs::path& folder, const conf::MemberSpec& member,
                                const snapshot::Manifest& manifest, Incarnation incarnation) {
    fs::path own = folder / member.data, data = own / "data";
    TRY_VOID(maker.make_folder(own));
    conf::NodeSettings settings;
    settings.cluster = "../cluster.toml";
    settings.name = member.name;
    settings.data_dir = "data";
    std::error_code fault;
    if (!fs::exists(own / "raftd.toml", fault))  // settings that somebody made stay as they are
        TRY_VOID(maker.write(own, "raftd.toml", conf::render_node_toml(settings)));
    snapshot::Identity identity{manifest.cluster_id, manifest.cluster_name, member.id, member.name,
                                incarnation};
    TRY_VOID(snapshot::create(maker.files(), data.string(), manifest, identity));
    wal::Options options;
    options.dir = (data / "wal").string();
    options.cluster_id = manifest.cluster_id;
    options.incarnation = incarnation;
    options.base = snapshot::empty_base(manifest);
    options.salt_seed = random_number();
    return wal::create_first(maker.files(), options);
}

}  // namespace raftd::cli
