// Makes a member's folder: raftd.toml and a whole data directory, for `init` and `member add`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "conf/settings.h"
#include "io/asio/files.h"
#include "snapshot/data_dir.h"

namespace raftd::cli {

/// From the system's random source.
uint64_t random_number();

/// Makes files and folders, and takes back what it made unless told that all is well.
class FolderMaker {
public:
    ~FolderMaker();
    void keep() { made_.clear(); }
    io::Files& files() { return files_; }

    /// One that exists already is fine, and is never taken back. Errors: io.
    Result<void> make_folder(const std::filesystem::path& path);
    Result<void> write(const std::filesystem::path& folder, const std::string& name,
                       const std::string& content);

private:
    io::asio::FileTable table_;
    io::asio::PosixFiles files_{table_};
    std::vector<std::filesystem::path> made_;
};

/// `folder`/`member.data` with all that `raftd` needs. Errors: conflict (a data directory is there), io.
Result<void> make_member_folder(FolderMaker& maker, const std::filesystem::path& folder,
                                const conf::MemberSpec& member, const snapshot::Manifest& manifest,
                                Incarnation incarnation);

}  // namespace raftd::cli
