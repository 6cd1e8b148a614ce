// Blocking files (io/files.h) over POSIX calls: for recovery, before the loop runs, and for jobs on the pool
// thread.
#pragma once

#include "io/asio/file_table.h"

namespace raftd::io::asio {

class PosixFiles final : public Files {
public:
    explicit PosixFiles(FileTable& table) : table_(table) {}

    FileId open(std::string_view path, OpenMode mode, int& error) override;
    void close(FileId file) override;
    FileResult read(FileId file, uint64_t offset, MutableBytes into) override;
    FileResult write(FileId file, uint64_t offset, ByteView bytes) override;
    FileResult sync(FileId file) override;
    FileResult sync_dir(std::string_view path) override;
    FileResult rename(std::string_view from, std::string_view to) override;
    FileResult rename_new(std::string_view from, std::string_view to) override;
    FileResult remove(std::string_view path) override;
    FileResult make_dir(std::string_view path) override;
    FileResult size(FileId file) override;
    FileResult resize(FileId file, uint64_t bytes) override;
    FileResult drop_cache(FileId file) override;
    FileResult fill_zeros(FileId file, uint64_t from, uint64_t to) override;
    FileResult allocate(FileId file, uint64_t bytes) override;
    std::vector<std::string> list(std::string_view dir, int& error) override;

private:
    FileTable& table_;
};

}  // namespace raftd::io::asio
