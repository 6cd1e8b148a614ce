// The two threads beside the loop. DiskThread does writes and renames strictly in order, so that a sync
// covers all that was written before it. PoolThread does everything slow, politely: reads, zero-filling,
// removal and jobs, each kind in order, kinds in turn; a long fill is cut into pieces so that a read never
// waits for a whole file.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "io/asio/request.h"

namespace raftd::io::asio {

/// What the threads tell about themselves; any thread may read it.
struct ThreadStats {
    std::atomic<uint64_t> write_calls{0}, write_bytes{0}, syncs{0}, sync_ns{0};
    std::atomic<bool> writing{false};
    std::atomic<int64_t> written_at_ns{0};  // when the disk thread last ended a write
    std::atomic<uint64_t> free_bytes{UINT64_MAX};
    std::atomic<int64_t> free_bytes_at_ns{0};
};

class DiskThread {
public:
    DiskThread(CompletionQueue& done, ThreadStats& stats);
    /// Carries out what is queued, then ends.
    ~DiskThread();

    void put(RequestPtr request);

private:
    void run();
    void carry_out(Request& request);

    CompletionQueue& done_;
    ThreadStats& stats_;
    std::mutex mutex_;
    std::condition_variable work_;
    std::vector<RequestPtr> queue_;
    bool stopping_ = false;
    std::thread thread_;  // last: it uses the others
};

class PoolThread {
public:
    PoolThread(CompletionQueue& done, FileTable& table, Files& files, ThreadStats& stats,
               std::string data_dir);
    /// Ends after the piece of work at hand; what is queued is dropped, a half-made file removed.
    ~PoolThread();

    void put(RequestPtr request);

private:
    static constexpr size_t kQueues = 6;  // disk reads, file changes, and one a lane

    static size_t queue_of(const Request& request);
    std::deque<RequestPtr>* next_queue(int64_t& not_before_ns);
    int64_t next_piece_at(int64_t began_ns, uint64_t piece_bytes);
    void measure_log_rate(int64_t now);
    void run();
    /// True when the request is finished; false to be called again for the next piece.
    bool carry_out(Request& request);
    bool fill_next_piece(Request& request);
    int write_zeros(Request& request, uint64_t bytes);
    void finish_create(Request& request);

    CompletionQueue& done_;
    FileTable& table_;
    Files& files_;
    ThreadStats& stats_;
    const std::string data_dir_;
    std::mutex mutex_;
    std::condition_variable work_;
    std::array<std::deque<RequestPtr>, kQueues> queues_;
    size_t turn_ = 0;
    int64_t rate_from_ns_ = 0;  // what the disk thread writes a second, as last seen
    uint64_t rate_from_bytes_ = 0, bytes_a_second_ = 0;
    bool stopping_ = false;
    std::thread thread_;  // last
};

/// Starts a thread that no signal is delivered to.
std::thread start_thread(const char* name, std::function<void()> body);

}  // namespace raftd::io::asio
