// What goes from the loop thread to the disk or pool thread and comes back. A request is made and destroyed
// on the loop thread, so it may hold counted slices; the other thread reads and writes bytes through it, and
// never copies or drops a slice. CompletionQueue is the way back.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/asio/file_table.h"
#include "io/world.h"

namespace raftd::io::asio {

struct Request {
    enum class Kind : uint8_t { write, rename, create, remove, read, job, close, free_bytes };

    Kind kind = Kind::write;
    Lane lane = Lane::read;
    bool sync = false;  // of write: afterwards; of create: the directory too
    Prefill prefill = Prefill::zeros;
    Token token{};
    uint64_t offset = 0;
    int64_t not_before_ns = 0;       // of the next piece of a create
    bool direct = false;             // its pieces pass the page cache
    uint64_t bytes = 0;              // of create
    std::shared_ptr<OpenFile> file;  // dropped by the thread that did the work
    std::vector<Slice> parts;        // of write; of read: the one to fill
    std::string path, path_to;
    std::unique_ptr<Job> job;
    // the answer
    int error = 0;
    uint64_t done = 0;
    FileId made = kNoFile;

    bool silent() const { return kind == Kind::close || kind == Kind::free_bytes; }
};
using RequestPtr = std::unique_ptr<Request>;

/// Many threads put, the loop takes all at once. The descriptor becomes readable on the edge from empty to
/// non-empty only: a busy loop pays no system call for a completion.
class CompletionQueue {
public:
    CompletionQueue();
    ~CompletionQueue();
    CompletionQueue(const CompletionQueue&) = delete;
    CompletionQueue& operator=(const CompletionQueue&) = delete;

    void put(RequestPtr request);
    /// Loop thread. Swaps everything out into `into`, which must be empty.
    void take(std::vector<RequestPtr>& into);
    int descriptor() const { return descriptor_; }
    uint64_t wakeups();

private:
    std::mutex mutex_;
    std::vector<RequestPtr> done_;
    uint64_t wakeups_ = 0;
    int descriptor_;
};

}  // namespace raftd::io::asio
