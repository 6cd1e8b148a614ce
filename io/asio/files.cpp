#include "io/asio/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "io/asio/posix.h"

namespace raftd::io::asio {

OpenFile::~OpenFile() { ::close(descriptor); }

FileId FileTable::add(std::shared_ptr<OpenFile> file) {
    std::lock_guard lock(mutex_);
    files_.emplace(++last_, std::move(file));
    return FileId{last_};
}

std::shared_ptr<OpenFile> FileTable::find(FileId file) {
    std::lock_guard lock(mutex_);
    auto found = files_.find(static_cast<uint32_t>(file));
    return found == files_.end() ? nullptr : found->second;
}

std::shared_ptr<OpenFile> FileTable::remove(FileId file) {
    std::lock_guard lock(mutex_);
    auto node = files_.extract(static_cast<uint32_t>(file));
    return node.empty() ? nullptr : std::move(node.mapped());
}

namespace {

int flags_of(OpenMode mode) {
    switch (mode) {
        case OpenMode::read: return O_RDONLY;
        case OpenMode::read_write: return O_RDWR;
        case OpenMode::create_new: return O_RDWR | O_CREAT | O_EXCL;
        case OpenMode::truncate: return O_RDWR | O_CREAT | O_TRUNC;
    }
    UNREACHABLE();
}

FileResult result_of(int returned) { return {returned == 0 ? 0 : errno, 0}; }

}  // namespace

FileId PosixFiles::open(std::string_view path, OpenMode mode, int& error) {
    int descriptor = posix::open_file(path, flags_of(mode), error);
    if (descriptor < 0) return kNoFile;
    return table_.add(std::make_shared<OpenFile>(descriptor, path));
}

void PosixFiles::close(FileId file) { table_.remove(file); }

FileResult PosixFiles::read(FileId file, uint64_t offset, MutableBytes into) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    return posix::read_at(found->descriptor, offset, into);
}

FileResult PosixFiles::write(FileId file, uint64_t offset, ByteView bytes) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    return posix::write_at(found->descriptor, offset, bytes);
}

FileResult PosixFiles::sync(FileId file) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    posix::sync_all(found->descriptor, found->path);
    return {};
}

FileResult PosixFiles::sync_dir(std::string_view path) { return {posix::sync_dir(path), 0}; }

FileResult PosixFiles::rename(std::string_view from, std::string_view to) {
    return {posix::rename_file(from, to), 0};
}

FileResult PosixFiles::rename_new(std::string_view from, std::string_view to) {
    return {posix::rename_new_file(from, to), 0};
}

FileResult PosixFiles::remove(std::string_view path) {
    return result_of(::unlink(std::string(path).c_str()));
}

FileResult PosixFiles::make_dir(std::string_view path) {
    return result_of(::mkdir(std::string(path).c_str(), 0700));
}

FileResult PosixFiles::size(FileId file) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    struct stat about {};
    if (::fstat(found->descriptor, &about) != 0) return {errno, 0};
    return {0, static_cast<uint64_t>(about.st_size)};
}

FileResult PosixFiles::resize(FileId file, uint64_t bytes) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    return result_of(::ftruncate(found->descriptor, static_cast<off_t>(bytes)));
}

FileResult PosixFiles::drop_cache(FileId file) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    return {::posix_fadvise(found->descriptor, 0, 0, POSIX_FADV_DONTNEED), 0};
}

FileResult PosixFiles::fill_zeros(FileId file, uint64_t from, uint64_t to) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    FileResult all;
    for (uint64_t offset = from; offset < to && all.error == 0;) {
        uint64_t piece = std::min<uint64_t>(to - offset, posix::zeros().size());
        FileResult one = posix::write_at(found->descriptor, offset, posix::zeros().first(piece));
        all.error = one.error;
        all.bytes += one.bytes;
        offset += piece;
    }
    return all;
}

FileResult PosixFiles::allocate(FileId file, uint64_t bytes) {
    auto found = table_.find(file);
    if (!found) return {EBADF, 0};
    return {::posix_fallocate(found->descriptor, 0, static_cast<off_t>(bytes)), 0};
}

std::vector<std::string> PosixFiles::list(std::string_view dir, int& error) {
    std::vector<std::string> names;
    DIR* opened = ::opendir(std::string(dir).c_str());
    if (opened == nullptr) {
        error = errno;
        return names;
    }
    errno = 0;
    while (const dirent* entry = ::readdir(opened)) {  // one thread, one stream: safe
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    error = errno;
    ::closedir(opened);
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace raftd::io::asio
