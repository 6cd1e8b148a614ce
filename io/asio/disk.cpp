#include "io/asio/disk.h"

#include <fcntl.h>

#include "io/asio/posix.h"

namespace raftd::io::asio {
namespace {
constexpr size_t kSpareRequests = 64;
constexpr int64_t kFreeBytesStaleNs = 1'500'000'000;
}  // namespace

RealDisk::RealDisk(std::string data_dir) : data_dir_(std::move(data_dir)) {
    uint64_t bytes = 0;
    if (!data_dir_.empty() && posix::free_bytes_at(data_dir_, bytes)) stats_.free_bytes = bytes;
}

RealDisk::~RealDisk() {
    // The threads end first; what they had is then dropped here, on the thread that owns its slices and jobs.
    disk_.reset();
    pool_.reset();
    done_.take(taken_);
}

DiskThread& RealDisk::disk() {
    if (!disk_) disk_ = std::make_unique<DiskThread>(done_, stats_);
    return *disk_;
}

PoolThread& RealDisk::pool() {
    if (!pool_) pool_ = std::make_unique<PoolThread>(done_, table_, files_, stats_, data_dir_);
    return *pool_;
}

RequestPtr RealDisk::make(Request::Kind kind, Token token) {
    if (spare_.empty()) spare_.push_back(std::make_unique<Request>());
    RequestPtr request = std::move(spare_.back());
    spare_.pop_back();
    request->kind = kind;
    request->token = token;
    return request;
}

void RealDisk::recycle(RequestPtr request) {
    if (spare_.size() >= kSpareRequests) return;
    std::vector<Slice> parts = std::move(request->parts);
    parts.clear();
    *request = Request{};
    request->parts = std::move(parts);  // keeps its room
    spare_.push_back(std::move(request));
}

FileId RealDisk::open(std::string_view path, int& error) {
    return files_.open(path, OpenMode::read_write, error);
}

void RealDisk::write(FileId file, uint64_t offset, std::span<const Slice> parts, bool sync, Token token) {
    RequestPtr request = make(Request::Kind::write, token);
    request->file = table_.find(file);
    request->offset = offset;
    request->parts.assign(parts.begin(), parts.end());
    request->sync = sync;
    disk().put(std::move(request));
}

void RealDisk::create(std::string_view path, uint64_t bytes, Prefill prefill, bool sync_dir, Token token) {
    RequestPtr request = make(Request::Kind::create, token);
    request->path = path;
    request->bytes = bytes;
    request->prefill = prefill;
    request->sync = sync_dir;
    pool().put(std::move(request));
}

void RealDisk::rename(std::string_view from, std::string_view to, Token token) {
    RequestPtr request = make(Request::Kind::rename, token);
    request->path = from;
    request->path_to = to;
    disk().put(std::move(request));
}

void RealDisk::remove(std::string_view path, Token token) {
    RequestPtr request = make(Request::Kind::remove, token);
    request->path = path;
    pool().put(std::move(request));
}

void RealDisk::read(FileId file, uint64_t offset, Slice into, Token token) {
    RequestPtr request = make(Request::Kind::read, token);
    request->file = table_.find(file);
    request->offset = offset;
    request->parts.push_back(std::move(into));
    pool().put(std::move(request));
}

void RealDisk::close(FileId file) {
    RequestPtr request = make(Request::Kind::close, Token{});
    request->file = table_.remove(file);
    pool().put(std::move(request));
}

uint64_t RealDisk::free_bytes() { return stats_.free_bytes.load(std::memory_order_relaxed); }

void RealDisk::refresh_free_bytes(Instant now) {
    if (asked_free_bytes_ || data_dir_.empty()) return;
    if (now.ns - stats_.free_bytes_at_ns.load(std::memory_order_relaxed) <= kFreeBytesStaleNs) return;
    asked_free_bytes_ = true;
    pool().put(make(Request::Kind::free_bytes, Token{}));
}

void RealDisk::submit(Lane lane, std::unique_ptr<Job> job, Token token) {
    RequestPtr request = make(Request::Kind::job, token);
    request->lane = lane;
    request->job = std::move(job);
    pool().put(std::move(request));
}

void RealDisk::take(std::deque<Completed>& into) {
    done_.take(taken_);
    for (RequestPtr& request : taken_) {
        if (request->kind == Request::Kind::free_bytes) asked_free_bytes_ = false;
        if (!request->silent()) {
            Completed completed{request->token, request->error, {}, request->made, std::move(request->job)};
            if (request->kind == Request::Kind::read)
                completed.bytes = request->parts[0].part(0, static_cast<uint32_t>(request->done));
            into.push_back(std::move(completed));
        }
        recycle(std::move(request));
    }
    taken_.clear();
}

}  // namespace raftd::io::asio
