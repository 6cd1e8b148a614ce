#include "cli/unfinished.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace raftd::cli {
namespace {

Error io_error(const char* verb, const std::string& path, int number) {
    return error(Errc::io, std::string("can't ") + verb + " " + path + ": " + std::strerror(number));
}

}  // namespace

std::string unfinished_name(const std::string& folder) { return folder + ".unfinished"; }

std::string folder_above(const std::string& path) {
    std::string above = std::filesystem::path(path).parent_path().string();
    return above.empty() ? "." : above;
}

Result<void> make_dir(io::Files& files, const std::string& path) {
    if (int failed = files.make_dir(path).error; failed != 0) return io_error("make", path, failed);
    return {};
}

Result<void> write_text(io::Files& files, const std::string& folder, const char* name,
                        const std::string& text) {
    io::FileResult done = io::write_file_atomically(files, folder, name, as_bytes(text));
    if (done.error != 0) return io_error("write", folder + "/" + name, done.error);
    return {};
}

Result<void> begin_unfinished(io::Files& files, const std::string& folder, const std::string& command,
                              const std::string& hint) {
    int failed = 0;
    const std::vector<std::string> there = files.list(folder, failed);
    if (failed != ENOENT && (failed != 0 || !there.empty()))
        return error(Errc::conflict, folder + " exists already", hint);
    const std::string temporary = unfinished_name(folder);
    // It is asked for by making it: whoever looks first and makes it then may find another's.
    failed = files.make_dir(temporary).error;
    if (failed == EEXIST)
        return error(Errc::conflict,
                     temporary + " is there: another " + command +
                         " fills it at this moment, or one that was interrupted left it",
                     "if no other one runs: rm -r " + temporary);
    if (failed != 0) return io_error("make", temporary, failed);
    return {};
}

Result<void> finish_unfinished(io::Files& files, const std::string& folder,
                               const std::vector<std::string>& synced, const std::string& hint) {
    const std::string temporary = unfinished_name(folder);
    for (const std::string& path : synced)
        if (int failed = files.sync_dir(path).error; failed != 0) return io_error("sync", path, failed);
    for (const std::string& path : {temporary, folder_above(temporary)})
        if (int failed = files.sync_dir(path).error; failed != 0) return io_error("sync", path, failed);
    const int taken = files.rename(temporary, folder).error;  // in place of an empty one at most
    if (taken == ENOTEMPTY || taken == EEXIST || taken == ENOTDIR)
        return error(Errc::conflict, folder + " exists already", hint);
    if (taken != 0) return io_error("rename", temporary, taken);
    if (int failed = files.sync_dir(folder_above(folder)).error; failed != 0)
        return io_error("sync", folder_above(folder), failed);
    return {};
}

}  // namespace raftd::cli
