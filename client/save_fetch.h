// Fetches a save from one member: says what to ask next, and gives what came to a sink, in the order of the
// files. Sans-io and single-threaded; whoever uses it sends each request and hands in each answer, in that
// order. Memory: a window of parts that are under way.
#pragma once

#include <deque>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "proto/control.pb.h"

namespace raftd::client {

/// Takes the files as they come: CURRENT first, then what it leads to.
class SaveSink {
public:
    virtual ~SaveSink() = default;
    /// The next file. The name is the member's word, and no path before it was looked at.
    virtual Result<void> begin(std::string_view name, uint64_t bytes) = 0;
    virtual Result<void> add(ByteView bytes) = 0;
};

class SaveFetch {
public:
    static constexpr uint32_t kPartBytes = 512u << 10;
    static constexpr size_t kWindow = 8;  // parts under way

    SaveFetch(pb::SaveBegun begun, SaveSink& sink) : begun_(std::move(begun)), sink_(sink) {}

    /// Gives CURRENT to the sink. Call it once, before the rest.
    Result<void> begin();
    /// The next request to be sent; nothing: enough is under way, or all was asked for.
    std::optional<pb::Request> next();
    /// The answer to the oldest request without one. Errors: the member's, damaged (not what was asked for),
    /// and the sink's.
    Result<void> take(const pb::Answer& answer);
    bool done() const { return asked_file_ == begun_.files_size() && open_.empty(); }
    uint64_t bytes_taken() const { return taken_; }
    const pb::SaveBegun& begun() const { return begun_; }

private:
    struct Part {
        int file;
        uint64_t offset;
        uint32_t bytes;
    };

    pb::SaveBegun begun_;
    SaveSink& sink_;
    std::deque<Part> open_;
    int asked_file_ = 0;
    uint64_t asked_offset_ = 0, taken_ = 0;
};

}  // namespace raftd::client
