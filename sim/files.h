// A process's blocking view of its machine's disk. A failed sync ends the process (ProcessEnded); inside a
// job, which may not throw, it ends when the job has returned (`ended`).
#pragma once

#include <optional>

#include "io/files.h"
#include "sim/process.h"
#include "sim/storage.h"

namespace raftd::sim {

class SimFiles : public io::Files {
public:
    explicit SimFiles(SimStorage& storage) : storage_(storage) {}

    io::FileId open(std::string_view path, io::OpenMode mode, int& error) override;
    void close(io::FileId file) override;
    io::FileResult read(io::FileId file, uint64_t offset, MutableBytes into) override;
    io::FileResult write(io::FileId file, uint64_t offset, ByteView bytes) override;
    io::FileResult sync(io::FileId file) override;
    io::FileResult sync_dir(std::string_view path) override;
    io::FileResult rename(std::string_view from, std::string_view to) override;
    io::FileResult remove(std::string_view path) override;
    io::FileResult make_dir(std::string_view path) override;
    io::FileResult size(io::FileId file) override;
    io::FileResult resize(io::FileId file, uint64_t bytes) override;
    io::FileResult drop_cache(io::FileId file) override;
    io::FileResult fill_zeros(io::FileId file, uint64_t from, uint64_t to) override;
    io::FileResult allocate(io::FileId file, uint64_t bytes) override;
    std::vector<std::string> list(std::string_view dir, int& error) override;

    uint32_t open_count() const;  // handles not closed yet
    void set_in_job(bool in_job) { in_job_ = in_job; }
    /// Why the process has to end, if a job met it.
    const std::optional<ProcessEnded>& ended() const { return ended_; }

private:
    Inode& inode(io::FileId file);
    io::FileResult must(int error, const char* what, std::string_view path);
    io::FileResult after_power(int error);

    SimStorage& storage_;
    std::vector<InodeRef> handles_;  // FileId is the place + 1
    bool in_job_ = false;
    std::optional<ProcessEnded> ended_;
};

}  // namespace raftd::sim
