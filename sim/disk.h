// A process's asynchronous disk over its machine's SimStorage. Writes and renames go through one FIFO lane: a
// request changes what is visible when the lane takes it up and is synced when it finishes, so a power cut
// between finds it half done. create, remove and read go beside the lane.
#pragma once

#include <algorithm>
#include <deque>
#include <vector>

#include "io/disk.h"
#include "io/world.h"
#include "sim/kernel.h"
#include "sim/storage.h"

namespace raftd::sim {

/// How fast a machine's disk is, and its weather. Belongs to the machine: it outlives processes.
struct DiskModel {
    Duration write = microseconds(15), sync = microseconds(150), read = microseconds(60),
             create = milliseconds(2);
    double tail = 0.01;                   // chance of a slow operation
    Duration tail_max = milliseconds(5);  // its extra time, at most
    uint64_t bytes_per_second = 400u << 20;
    Instant hung_until{};  // nothing finishes before
    /// When what is held up looks again: the disk may be released early.
    Instant next_look(Instant now) const { return std::min(hung_until, now + milliseconds(100)); }
};

/// Where a process's parts put what has happened to it.
class Inbox {
public:
    virtual ~Inbox() = default;
    /// Lower priorities are handed over first within a turn.
    virtual void post(io::Event&& event, uint8_t priority) = 0;
    static constexpr uint8_t kCompletions = 0, kPeers = 1, kClients = 2;
};

class SimDisk : public io::Disk {
public:
    enum Kind : uint32_t { lane_done = 16, beside_done = 17 };  // of fire()

    SimDisk(Kernel& kernel, uint32_t actor, SimStorage& storage, DiskModel& model, Inbox& inbox,
            uint64_t seed)
        : kernel_(kernel), actor_(actor), storage_(storage), model_(model), inbox_(inbox), random_(seed) {}

    io::FileId open(std::string_view path, int& error) override;
    void write(io::FileId file, uint64_t offset, std::span<const Slice> parts, bool sync,
               io::Token token) override;
    void create(std::string_view path, uint64_t bytes, io::Prefill prefill, bool sync_dir,
                io::Token token) override;
    void rename(std::string_view from, std::string_view to, io::Token token) override;
    void remove(std::string_view path, io::Token token) override;
    void read(io::FileId file, uint64_t offset, Slice into, io::Token token) override;
    void close(io::FileId file) override;
    uint64_t free_bytes() override { return storage_.free_bytes(); }

    void fire(uint32_t kind, uint64_t data);
    size_t in_flight() const { return lane_.size() + beside_count_; }

private:
    struct Op {
        enum Kind : uint8_t { write, create, rename, remove, read } kind{};
        io::Token token{};
        InodeRef file;
        uint64_t offset = 0, bytes = 0;
        bool sync = false;
        io::Prefill prefill{};
        std::vector<Slice> parts;
        Slice into;
        std::string path, to;
        int error = 0;
    };
    void push(Op op);
    void push_beside(Op op, Duration time);
    void start(Op& op);
    void finish(Op& op);
    void finish_create(Op& op, io::Completed& done);
    void must_sync(Inode& file);
    void must_sync_dir(std::string_view path);
    Duration time_for(Duration base, uint64_t bytes);
    io::FileId hand_out(InodeRef file);
    const InodeRef& handle(io::FileId file) const;

    Kernel& kernel_;
    uint32_t actor_;
    SimStorage& storage_;
    DiskModel& model_;
    Inbox& inbox_;
    Random random_;
    std::deque<Op> lane_;  // the first is being done
    std::vector<Op> beside_;
    std::vector<uint32_t> beside_free_;
    size_t beside_count_ = 0;
    std::vector<InodeRef> handles_;
    std::vector<std::byte> scratch_;
};

}  // namespace raftd::sim
