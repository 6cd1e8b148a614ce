// One tail: entries from any member, checked, turned into records.
// Promises: records come in order of LSN, without gap or repeat, over any number of members and reconnects;
// each entry's body, place and chain are checked here, whatever the member checked (H24: another history is
// an error and never goes on silently). Unconsumed bytes are bounded by the window. Single-threaded, sans-io.
#pragma once

#include <deque>
#include <optional>
#include <span>

#include "base/entry.h"
#include "client/links.h"
#include "proto/client.h"

namespace raftd::client {

class TailStream {
public:
    /// `streams`: the session's counter of stream numbers.
    TailStream(io::Network& network, Links& links, const SessionOptions& options, TailOptions tail,
               uint32_t& streams);

    /// Fills `out` with what has arrived; the views are valid until the next call. 0: nothing yet, or
    /// ended().
    size_t next(std::span<Record> out);
    /// No more records will come (all that arrived have been taken).
    bool ended() const { return finished_ && queue_.empty(); }
    /// Why it ended early; codes: not_found (trimmed, beyond), unreachable, unavailable, damaged, bad_input.
    const std::optional<Error>& failure() const { return failure_; }
    /// With not_found: the first LSN there is, or the last one.
    Lsn nearest() const { return nearest_; }
    Lsn next_lsn() const { return next_lsn_; }  // of the record that next() returns next; 0: not known
    uint64_t commit_lsn() const { return commit_lsn_; }  // as of the last frame
    bool caught_up() const { return caught_up_ && queue_.empty(); }

    bool owns(uint32_t stream) const { return stream == stream_ && open_; }
    void receive(io::ConnId conn, io::Frame& frame, Instant now);
    void run(Instant now);
    /// Tells the member that no more is wanted.
    void close();
    uint64_t queued_bytes() const { return queued_bytes_; }
    void add_wants(Wants& wants) const;
    Instant deadline() const;

private:
    struct Run {
        Slice frame;       // keeps the bytes
        ByteView entries;  // not yet turned into records
        uint64_t bytes;
    };

    void open(Links::Link& link);
    void take_data(Slice payload, Instant now);
    void take_end(ByteView payload, Instant now);
    /// Place of the first entry against what is known; the fault as a text, nullptr if there is none.
    const char* check_place(const proto::TailData& data);
    const char* check_entries(ByteView entries);
    void settle_start(const proto::TailData& data, ByteView payload);
    void distrust(const char* fault, Instant now);
    void retry(Instant now, Errc code, std::string why);
    void end(std::optional<Error> failure);
    void end_trimmed(Lsn first);
    bool next_entry();
    bool wanted(const EntryHeader& header) const;
    void grant(Links::Link& link);
    bool give_up(Instant now);
    Links::Link* choose();

    io::Network& network_;
    Links& links_;
    const SessionOptions& options_;
    TailOptions tail_;
    io::ConnId conn_ = io::kNoConn;
    io::ConnId avoid_ = io::kNoConn;  // what didn't work last time
    bool wants_leader_ = false;       // nor would another one that is cut off from whoever leads
    uint32_t& streams_;
    uint32_t stream_ = 0;
    bool open_ = false;      // asked for on conn_
    bool was_open_ = false;  // at least once
    bool touched_ = false;   // next() gave something since the last turn
    bool finished_ = false;
    bool caught_up_ = false;
    std::optional<LogPoint> point_;  // behind the last entry that arrived; empty: nothing arrived yet
    std::deque<Run> queue_;
    uint64_t queued_bytes_ = 0;
    std::vector<Slice> held_;  // of the views handed out last
    uint64_t consumed_ = 0;    // bytes turned into records and not yet granted again
    Lsn first_lsn_{};          // that there was when it began; 0: not said
    Lsn next_lsn_{};           // records before this one are passed over; 0: not known
    uint64_t commit_lsn_ = 0;
    Lsn nearest_{};
    std::optional<Error> failure_, last_trouble_;
    uint32_t faults_ = 0;
    Instant progress_{INT64_MIN};
    Instant retry_at_{INT64_MIN};
    Instant alone_at_{INT64_MIN};  // from here on the member of avoid_ will do, if there is no other
    Duration backoff_{};
    // Walk over the records of the entry that next() is in.
    EntryHeader header_{};
    ByteView body_;  // in the frame at the front of queue_
    std::optional<RecordReader> reader_;
    Lsn record_lsn_{};
};

}  // namespace raftd::client
