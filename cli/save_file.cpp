#include "cli/save_file.h"

#include <cerrno>
#include <cstring>

#include "cli/unfinished.h"
#include "snapshot/saved.h"

namespace raftd::cli {

SaveFile::SaveFile(io::Files& files, std::string path, const std::string& mark, uint64_t mtime_s)
    : files_(&files),
      path_(std::move(path)),
      temporary_(path_ + "." + mark + ".unfinished"),
      tar_([this](ByteView bytes) { return put(bytes); }, mtime_s) {}

SaveFile::SaveFile(Write write, uint64_t mtime_s)
    : write_(std::move(write)), tar_([this](ByteView bytes) { return put(bytes); }, mtime_s) {}

SaveFile::~SaveFile() {
    if (file_ != io::kNoFile) files_->close(file_);
}

void SaveFile::discard() {
    if (made_) files_->remove(temporary_);
    made_ = false;
}

Error SaveFile::io_error(const char* verb, const std::string& path, int number) const {
    return error(Errc::io, std::string("can't ") + verb + " " + path + ": " + std::strerror(number));
}

Error SaveFile::exists_already() const {
    return error(Errc::conflict, path_ + " exists already", "--force replaces it once the save is whole");
}

Result<void> SaveFile::open(bool force) {
    if (files_ == nullptr) return {};
    int failed = 0;
    const io::FileId there = files_->open(path_, io::OpenMode::read, failed);
    if (there != io::kNoFile) files_->close(there);
    if (failed == EISDIR) return io_error("write", path_, failed);
    if ((there != io::kNoFile || failed != ENOENT) && !force) return exists_already();
    force_ = force;
    file_ = files_->open(temporary_, io::OpenMode::truncate, failed);
    if (file_ == io::kNoFile) return io_error("make", temporary_, failed);
    made_ = true;
    return {};
}

Result<void> SaveFile::begin(std::string_view name, uint64_t bytes) {
    if (bytes > snapshot::saved_size_max(name))
        return error(Errc::damaged, "the member offers a file that no save has, or a larger one: " +
                                        std::string(name.substr(0, 100)));
    return tar_.begin(name, bytes);
}

Result<void> SaveFile::add(ByteView bytes) { return tar_.add(bytes); }

Result<void> SaveFile::put(ByteView bytes) {
    hasher_.add(bytes);
    if (files_ == nullptr) return write_(bytes);
    const io::FileResult done = files_->write(file_, at_, bytes);
    if (done.error != 0) return io_error("write", temporary_, done.error);
    if (done.bytes != bytes.size()) return io_error("write", temporary_, ENOSPC);
    at_ += bytes.size();
    return {};
}

Result<void> SaveFile::finish() {
    TRY_VOID(tar_.finish());
    if (files_ == nullptr) return {};
    int failed = files_->sync(file_).error;
    files_->close(std::exchange(file_, io::kNoFile));
    if (failed != 0) return io_error("sync", temporary_, failed);
    {
        TRY(saved, snapshot::Saved::open(*files_, temporary_));
        TRY_VOID(saved.verify());
    }
    failed = (force_ ? files_->rename(temporary_, path_) : files_->rename_new(temporary_, path_)).error;
    if (failed == EEXIST && !force_) return exists_already();  // somebody made it meanwhile
    if (failed != 0) return io_error("rename", temporary_, failed);
    made_ = false;
    failed = files_->sync_dir(folder_above(path_)).error;
    if (failed != 0) return io_error("sync", folder_above(path_), failed);
    return {};
}

}  // namespace raftd::cli
