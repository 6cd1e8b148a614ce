// The loop thread's face of the two threads: io::Disk and io::Worker. Makes requests, hands them over, and
// turns what comes back into io::Completed. Request objects are used again.
#pragma once

#include "io/asio/files.h"
#include "io/asio/threads.h"

namespace raftd::io::asio {

class RealDisk final : public Disk, public Worker {
public:
    explicit RealDisk(std::string data_dir);
    ~RealDisk() override;

    FileId open(std::string_view path, int& error) override;
    void write(FileId file, uint64_t offset, std::span<const Slice> parts, bool sync, Token token) override;
    void create(std::string_view path, uint64_t bytes, Prefill prefill, bool sync_dir, Token token) override;
    void rename(std::string_view from, std::string_view to, Token token) override;
    void remove(std::string_view path, Token token) override;
    void read(FileId file, uint64_t offset, Slice into, Token token) override;
    void close(FileId file) override;
    uint64_t free_bytes() override;
    void submit(Lane lane, std::unique_ptr<Job> job, Token token) override;

    Files& files() { return files_; }
    /// Once a turn: has the free space looked up again when what is known is old.
    void refresh_free_bytes(Instant now);
    /// Becomes readable when take() has something.
    int descriptor() const { return done_.descriptor(); }
    /// Appends all that has come back.
    void take(std::deque<Completed>& into);
    const ThreadStats& stats() const { return stats_; }
    uint64_t wakeups() { return done_.wakeups(); }

private:
    DiskThread& disk();
    PoolThread& pool();
    RequestPtr make(Request::Kind kind, Token token);
    void recycle(RequestPtr request);

    const std::string data_dir_;
    ThreadStats stats_;
    FileTable table_;
    PosixFiles files_{table_};
    CompletionQueue done_;
    std::vector<RequestPtr> taken_, spare_;
    // Started when first used: a client has neither.
    std::unique_ptr<PoolThread> pool_;
    std::unique_ptr<DiskThread> disk_;
    bool asked_free_bytes_ = false;
};

}  // namespace raftd::io::asio
