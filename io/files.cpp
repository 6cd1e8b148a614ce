#include "io/files.h"

#include <cerrno>

namespace raftd::io {

FileResult Files::rename_new(std::string_view from, std::string_view to) {
    int error = 0;
    const FileId there = open(to, OpenMode::read, error);
    if (there != kNoFile) close(there);
    if (there != kNoFile || error != ENOENT) return {EEXIST, 0};
    return rename(from, to);
}

FileResult read_file(Files& files, std::string_view path, uint64_t bytes_max, std::string& into) {
    int error = 0;
    FileId file = files.open(path, OpenMode::read, error);
    if (file == kNoFile) return {error, 0};
    FileResult size = files.size(file);
    if (size.error == 0 && size.bytes > bytes_max) size.error = EFBIG;
    if (size.error == 0) {
        into.resize(size.bytes);
        FileResult got = files.read(file, 0, {reinterpret_cast<std::byte*>(into.data()), into.size()});
        into.resize(got.bytes);
        size = got;
    }
    files.close(file);
    return size;
}

FileResult write_file_atomically(Files& files, std::string_view dir, std::string_view name,
                                 ByteView content) {
    std::string path = std::string(dir) + "/" + std::string(name);
    std::string temporary = path + ".tmp";
    int error = 0;
    FileId file = files.open(temporary, OpenMode::truncate, error);
    if (file == kNoFile) return {error, 0};
    FileResult done = files.write(file, 0, content);
    if (done.error == 0 && done.bytes != content.size()) done.error = ENOSPC;
    if (done.error == 0) done = files.sync(file);
    files.close(file);
    if (done.error == 0) done = files.rename(temporary, path);
    if (done.error == 0) done = files.sync_dir(dir);
    return done;
}

}  // namespace raftd::io
