#include "sim/files.h"

#include <algorithm>

namespace raftd::sim {

using io::FileId;
using io::FileResult;

Inode& SimFiles::inode(FileId file) {
    auto place = static_cast<uint32_t>(file);
    CHECK_GE(place, 1u);
    CHECK_LE(place, handles_.size());
    CHECK(handles_[place - 1] != nullptr);  // used after close
    return *handles_[place - 1];
}

/// The power went: nothing returns to the program any more, but for a job, which may not throw.
FileResult SimFiles::after_power(int error) {
    if (storage_.dead() && !in_job_) throw ProcessEnded(ProcessEnded::power, ExitCode::ok, "power cut");
    return {error, 0};
}

/// For calls whose failure is fatal.
FileResult SimFiles::must(int error, const char* what, std::string_view path) {
    if (error == 0 || storage_.dead()) return after_power(error);
    ProcessEnded end(ProcessEnded::fatal, ExitCode::sync_failed,
                     std::string(what) + " of " + std::string(path) + " failed");
    if (!in_job_) throw end;
    if (!ended_) ended_ = end;
    return {error, 0};
}

FileId SimFiles::open(std::string_view path, io::OpenMode mode, int& error) {
    using enum io::OpenMode;
    InodeRef found = storage_.open(path, mode == create_new || mode == truncate, mode == create_new,
                                   mode == truncate, error);
    after_power(error);
    if (found == nullptr) return io::kNoFile;
    for (size_t i = 0; i < handles_.size(); ++i)
        if (handles_[i] == nullptr) {
            handles_[i] = std::move(found);
            return FileId{static_cast<uint32_t>(i + 1)};
        }
    handles_.push_back(std::move(found));
    return FileId{static_cast<uint32_t>(handles_.size())};
}

void SimFiles::close(FileId file) {
    inode(file);
    handles_[static_cast<uint32_t>(file) - 1] = nullptr;
}

uint32_t SimFiles::open_count() const {
    return static_cast<uint32_t>(
        std::count_if(handles_.begin(), handles_.end(), [](const auto& h) { return h != nullptr; }));
}

FileResult SimFiles::read(FileId file, uint64_t offset, MutableBytes into) {
    FileResult result;
    result.error = storage_.read(inode(file), offset, into, result.bytes);
    after_power(result.error);
    return result;
}

FileResult SimFiles::write(FileId file, uint64_t offset, ByteView bytes) {
    FileResult result;
    result.error = storage_.write(inode(file), offset, bytes, result.bytes);
    after_power(result.error);
    return result;
}

FileResult SimFiles::sync(FileId file) {
    Inode& it = inode(file);
    return must(storage_.sync(it), "sync", it.path);
}
FileResult SimFiles::sync_dir(std::string_view path) {
    int error = storage_.sync_dir(path);
    return must(error, "sync of directory", path);
}
FileResult SimFiles::rename(std::string_view from, std::string_view to) {
    return after_power(storage_.rename(from, to));
}
FileResult SimFiles::remove(std::string_view path) { return after_power(storage_.remove(path)); }
FileResult SimFiles::make_dir(std::string_view path) { return after_power(storage_.make_dir(path)); }
FileResult SimFiles::size(FileId file) { return {0, inode(file).visible.size()}; }
FileResult SimFiles::resize(FileId file, uint64_t bytes) {
    return after_power(storage_.resize(inode(file), bytes));
}
FileResult SimFiles::drop_cache(FileId file) { return after_power(storage_.drop_cache(inode(file))); }
FileResult SimFiles::fill_zeros(FileId file, uint64_t from, uint64_t to) {
    return after_power(storage_.fill(inode(file), from, to, DiskOp::fill));
}
FileResult SimFiles::allocate(FileId file, uint64_t bytes) {
    return after_power(storage_.fill(inode(file), 0, bytes, DiskOp::allocate));
}

std::vector<std::string> SimFiles::list(std::string_view dir, int& error) {
    std::vector<std::string> names = storage_.list(dir, error);
    after_power(error);
    return names;
}

}  // namespace raftd::sim
