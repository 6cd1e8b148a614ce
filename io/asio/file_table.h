// Open descriptors by FileId, shared by Files (start-up and jobs) and Disk. A file closes when the table and
// the last request have let go of it, so a close never overtakes a write. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "io/files.h"

namespace raftd::io::asio {

struct OpenFile {
    OpenFile(int opened, std::string_view name) : descriptor(opened), path(name) {}
    ~OpenFile();
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    const int descriptor;
    const std::string path;  // for error texts only
};

class FileTable {
public:
    FileId add(std::shared_ptr<OpenFile> file);
    /// Null when there is no such file.
    std::shared_ptr<OpenFile> find(FileId file);
    std::shared_ptr<OpenFile> remove(FileId file);

private:
    std::mutex mutex_;
    uint32_t last_ = 0;
    std::unordered_map<uint32_t, std::shared_ptr<OpenFile>> files_;
};

}  // namespace raftd::io::asio
