#include "io/asio/threads.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/check.h"
#include "io/asio/posix.h"

namespace raftd::io::asio {
namespace {

constexpr int64_t kFreeBytesEveryNs = 1'000'000'000;
// Zero-filling goes in pieces that delay a sync by little, four times as fast as the log grows, or as fast as
// the disk can while nobody writes to it (then a full log may be waiting for this very file).
constexpr uint64_t kPieceBytes = 256u << 10;
constexpr uint64_t kFillRateMin = 32u << 20;
constexpr uint64_t kFillFactor = 4;
constexpr int64_t kDiskIdleNs = 5'000'000;
constexpr int64_t kRateWindowNs = 50'000'000;
constexpr int64_t kSecondNs = 1'000'000'000;

int64_t monotonic_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

void note_free_bytes(ThreadStats& stats, int descriptor, int64_t now_ns) {
    uint64_t bytes = 0;
    if (now_ns - stats.free_bytes_at_ns < kFreeBytesEveryNs) return;
    if (posix::free_bytes_at(descriptor, bytes)) stats.free_bytes = bytes;
    stats.free_bytes_at_ns = now_ns;
}

/// Behind everyone else on this machine's processors and disk: appends never wait for a fill.
void be_polite() {
    auto thread_id = static_cast<id_t>(::syscall(SYS_gettid));
    ::setpriority(PRIO_PROCESS, thread_id, 10);
    constexpr int kOfThread = 1, kBestEffortLowest = (2 << 13) | 7;
    ::syscall(SYS_ioprio_set, kOfThread, thread_id, kBestEffortLowest);
}

}  // namespace

std::thread start_thread(const char* name, std::function<void()> body) {
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread([name, body = std::move(body)] {
        ::pthread_setname_np(::pthread_self(), name);
        body();
    });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

DiskThread::DiskThread(CompletionQueue& done, ThreadStats& stats)
    : done_(done), stats_(stats), thread_(start_thread("raftd-disk", [this] { run(); })) {}

DiskThread::~DiskThread() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_.notify_one();
    thread_.join();
}

void DiskThread::put(RequestPtr request) {
    bool was_empty = false;
    {
        std::lock_guard lock(mutex_);
        was_empty = queue_.empty();
        queue_.push_back(std::move(request));
    }
    if (was_empty) work_.notify_one();
}

void DiskThread::run() {
    std::vector<RequestPtr> taken;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (queue_.empty()) return;
            taken.swap(queue_);
        }
        for (RequestPtr& request : taken) {
            stats_.writing = true;
            carry_out(*request);
            stats_.writing = false;
            request->file.reset();
            done_.put(std::move(request));
        }
        taken.clear();
    }
}

void DiskThread::carry_out(Request& request) {
    if (request.kind == Request::Kind::rename) {
        request.error = posix::rename_file(request.path, request.path_to);
        if (request.error != 0) return;
        std::string to = posix::parent_of(request.path_to), from = posix::parent_of(request.path);
        request.error = posix::sync_dir(to);
        if (from != to && request.error == 0) request.error = posix::sync_dir(from);
        return;
    }
    CHECK(request.kind == Request::Kind::write);
    if (!request.file) {
        request.error = EBADF;
        return;
    }
    std::array<iovec, 64> few;
    std::vector<iovec> many;
    std::span<iovec> parts(few);
    if (request.parts.size() > few.size()) {
        many.resize(request.parts.size());
        parts = many;
    }
    size_t count = 0;
    for (const Slice& part : request.parts)
        if (!part.empty()) parts[count++] = {part.data(), part.size()};
    parts = parts.first(count);
    uint64_t calls = 0;
    FileResult written = posix::write_parts_at(request.file->descriptor, request.offset, parts, calls);
    request.error = written.error;
    request.done = written.bytes;
    stats_.written_at_ns = monotonic_ns();
    stats_.write_calls += calls;
    stats_.write_bytes += written.bytes;
    if (request.sync && request.error == 0) {
        int64_t before = monotonic_ns();
        posix::sync_data(request.file->descriptor, request.file->path);
        int64_t after = monotonic_ns();
        stats_.written_at_ns = after;
        ++stats_.syncs;
        stats_.sync_ns += static_cast<uint64_t>(after - before);
        note_free_bytes(stats_, request.file->descriptor, after);
    }
}

PoolThread::PoolThread(CompletionQueue& done, FileTable& table, Files& files, ThreadStats& stats,
                       std::string data_dir)
    : done_(done),
      table_(table),
      files_(files),
      stats_(stats),
      data_dir_(std::move(data_dir)),
      thread_(start_thread("raftd-pool", [this] { run(); })) {}

PoolThread::~PoolThread() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_.notify_one();
    thread_.join();
}

size_t PoolThread::queue_of(const Request& request) {
    switch (request.kind) {
        case Request::Kind::read: return 0;
        case Request::Kind::job: return 2 + static_cast<size_t>(request.lane);
        default: return 1;
    }
}

void PoolThread::put(RequestPtr request) {
    {
        std::lock_guard lock(mutex_);
        queues_[queue_of(*request)].push_back(std::move(request));
    }
    work_.notify_one();
}

/// The queue whose turn it is; null when all are empty or wait, then until when.
std::deque<RequestPtr>* PoolThread::next_queue(int64_t& not_before_ns) {
    int64_t now = monotonic_ns();
    not_before_ns = INT64_MAX;
    for (size_t i = 1; i <= kQueues; ++i) {
        std::deque<RequestPtr>& queue = queues_[(turn_ + i) % kQueues];
        if (queue.empty()) continue;
        if (queue.front()->not_before_ns > now) {
            not_before_ns = std::min(not_before_ns, queue.front()->not_before_ns);
            continue;
        }
        turn_ = (turn_ + i) % kQueues;
        return &queue;
    }
    return nullptr;
}

void PoolThread::run() {
    be_polite();
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        int64_t not_before_ns = 0;
        std::deque<RequestPtr>* queue = next_queue(not_before_ns);
        if (queue == nullptr) {
            if (not_before_ns == INT64_MAX)
                work_.wait(lock);
            else
                work_.wait_for(lock, std::chrono::nanoseconds(not_before_ns - monotonic_ns()));
            continue;
        }
        // It stays at the front of its queue while its pieces are done: only this thread takes from the
        // front.
        Request& request = *queue->front();
        lock.unlock();
        bool finished = carry_out(request);
        lock.lock();
        if (!finished) continue;
        RequestPtr back = std::move(queue->front());
        queue->pop_front();
        lock.unlock();
        back->file.reset();
        done_.put(std::move(back));
        lock.lock();
    }
    for (RequestPtr& request : queues_[1])
        if (request->kind == Request::Kind::create && request->file) ::unlink(request->path.c_str());
}

bool PoolThread::carry_out(Request& request) {
    switch (request.kind) {
        case Request::Kind::create: return fill_next_piece(request);
        case Request::Kind::remove:
            request.error = ::unlink(request.path.c_str()) == 0 ? 0 : errno;
            if (request.error == 0) request.error = posix::sync_dir(posix::parent_of(request.path));
            return true;
        case Request::Kind::read: {
            if (!request.file) {
                request.error = EBADF;
                return true;
            }
            FileResult got =
                posix::read_at(request.file->descriptor, request.offset, request.parts[0].writable());
            request.error = got.error;
            request.done = got.bytes;
            return true;
        }
        case Request::Kind::job: request.job->run(files_); return true;
        case Request::Kind::free_bytes: {
            uint64_t bytes = 0;
            if (posix::free_bytes_at(data_dir_, bytes)) stats_.free_bytes = bytes;
            stats_.free_bytes_at_ns = monotonic_ns();
            return true;
        }
        case Request::Kind::close: return true;  // dropping the descriptor is the work
        case Request::Kind::write:
        case Request::Kind::rename: break;
    }
    UNREACHABLE();
}

bool PoolThread::fill_next_piece(Request& request) {
    if (!request.file) {
        int descriptor = posix::open_file(request.path, O_RDWR | O_CREAT | O_EXCL, request.error);
        if (descriptor < 0) return true;
        request.file = std::make_shared<OpenFile>(descriptor, request.path);
        if (request.prefill == Prefill::allocated)
            request.error = ::posix_fallocate(descriptor, 0, static_cast<off_t>(request.bytes));
    }
    if (request.prefill == Prefill::zeros && request.error == 0 && request.done < request.bytes) {
        if (request.done == 0) request.direct = posix::set_direct(request.file->descriptor, true);
        int64_t began = monotonic_ns();
        uint64_t piece = std::min<uint64_t>(request.bytes - request.done, kPieceBytes);
        request.error = write_zeros(request, piece);
        request.done += piece;
        if (request.error == 0 && request.done < request.bytes) {
            request.not_before_ns = next_piece_at(began, piece);
            return false;
        }
    }
    finish_create(request);
    return true;
}

/// Past the page cache where that can be done: through it, a piece took twice as long on busy processors, the
/// next segment wasn't ready when the log came to its end, and every append waited.
int PoolThread::write_zeros(Request& request, uint64_t bytes) {
    int descriptor = request.file->descriptor;
    ByteView piece = posix::zeros().first(bytes);
    if (request.direct && bytes % posix::kDirectAlign == 0) {
        int error = posix::write_at(descriptor, request.done, piece).error;
        if (error != EINVAL) return error;  // that: a file system that promised more than it does
    }
    if (request.direct) request.direct = !posix::set_direct(descriptor, false);
    if (int error = posix::write_at(descriptor, request.done, piece).error; error != 0) return error;
    // Sends each piece to the disk before the next is made: a sync of the log never waits behind a whole
    // segment of dirty zeros. No durability rests on this; the fsync at the end decides.
    ::sync_file_range(descriptor, static_cast<off_t>(request.done), static_cast<off_t>(bytes),
                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    return 0;
}

void PoolThread::measure_log_rate(int64_t now) {
    int64_t since = now - rate_from_ns_;
    if (since <= kRateWindowNs) return;
    uint64_t written = stats_.write_bytes;
    bytes_a_second_ = (written - rate_from_bytes_) * kSecondNs / static_cast<uint64_t>(since);
    rate_from_ns_ = now;
    rate_from_bytes_ = written;
}

int64_t PoolThread::next_piece_at(int64_t began_ns, uint64_t piece_bytes) {
    int64_t now = monotonic_ns();
    measure_log_rate(now);
    if (!stats_.writing && now - stats_.written_at_ns > kDiskIdleNs) return now;
    uint64_t rate = std::max(kFillRateMin, kFillFactor * bytes_a_second_);
    return began_ns + static_cast<int64_t>(piece_bytes * kSecondNs / rate);
}

void PoolThread::finish_create(Request& request) {
    if (request.direct) request.direct = !posix::set_direct(request.file->descriptor, false);
    if (request.direct) request.error = EINVAL;  // the log's groups are written through the cache
    if (request.error == 0) {
        posix::sync_all(request.file->descriptor, request.path);
        if (request.sync) request.error = posix::sync_dir(posix::parent_of(request.path));
    }
    if (request.error == 0)
        request.made = table_.add(request.file);
    else
        ::unlink(request.path.c_str());
}

}  // namespace raftd::io::asio
