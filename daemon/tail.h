// Delivers committed entries to subscribers: from an LSN, an index, the ends or a time; once or following;
// with credit, bounded bytes a turn, and nothing held that isn't on its way. Entries leave exactly as they
// stand in the log. Loop thread only.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "daemon/clients.h"
#include "daemon/log_reader.h"
#include "daemon/state.h"

namespace raftd::daemon {

class Tails {
public:
    Tails(Context& context, Replica& replica, LogReader& reader, Clients& clients, const State& state);

    /// Frames of a client; false when it isn't a proper one (the connection is closed).
    bool open(ClientConn& conn, const io::Frame& frame);
    bool credit(ClientConn& conn, const io::Frame& frame);
    bool close(ClientConn& conn, const io::Frame& frame);
    void conn_closed(io::ConnId conn);
    void writable(io::ConnId conn);

    /// A linearizable read may see the log up to `index`, or none could be confirmed.
    void read_confirmed(ReadId read, Index index);
    void read_failed(ReadId read);
    /// A read from files has ended.
    void read_done(const ReadFor& purpose, wal::ReadResult& result);

    /// The log is known to be committed up to `committed` (in memory and delivered here). Sends what there
    /// is, at most a bounded number of bytes; true when some tail could go on at once in another turn.
    bool serve(const LogPoint& committed);
    /// When a bounded read that waits would be too old.
    Instant deadline() const;
    /// Somebody waits for the next commit.
    bool waiting() const { return waiting_; }
    size_t count() const { return tails_.size(); }

private:
    using Key = std::pair<io::ConnId, uint32_t>;
    /// By both clocks: one that stood still (a machine asleep) or was set back makes nothing look fresher.
    struct Moment {
        Instant at{};
        int64_t wall_ms = 0;
    };
    enum class Phase : uint8_t {
        confirming,  // a ReadIndex is under way
        behind,      // until everything up to read_index is committed here
        locating,    // the first entry is looked up in files
        streaming,
        reading,  // entries come from files
    };
    struct Tail {
        Key key;
        uint64_t generation;  // a result that comes for an older tail of the same name is dropped
        bool follow;
        proto::TailFrom from;
        uint64_t value, to_lsn, credit;
        Phase phase;
        ReadId read{};
        Index read_index{};
        Duration max_lag{};           // 0: none; else what it sees lacks nothing older than that
        Moment asked{};               // when the read began that read_index is from
        bool asked_itself = false;    // not for another tail
        Index next{};                 // entry to be sent next
        Index stop_at{};              // last entry to be sent; ~0 when following
        uint64_t read_bytes;          // of the next read from files, at most
        uint64_t placed_lsn_end = 1;  // behind the committed end when it was placed
        bool announced = false;       // the first frame has gone
        bool done = false;
    };

    void confirm(Tail& tail);
    bool serve_one(Tail& tail, uint64_t& budget);
    bool too_old(const Tail& tail) const;
    Duration age(const Moment& since) const;
    void place(Tail& tail);
    void begin(Tail& tail, Index next);
    void from_first(Tail& tail);
    void locate(Tail& tail, wal::ReadRequest::By by, uint64_t value);
    bool send_from_memory(Tail& tail, uint64_t& budget);
    void read_files(Tail& tail, uint64_t budget);
    void read(Tail& tail, wal::ReadRequest request);
    /// `after`: behind the last of the entries.
    void send(Tail& tail, const LogPoint& before, const LogPoint& after, const std::vector<Slice>& entries);
    void end(Tail& tail, proto::TailCode code, uint64_t lsn);
    bool has_room(const Tail& tail) const;
    Index last_wanted(const Tail& tail, Index last) const;
    /// The first one that may be asked for.
    Lsn first_lsn() const { return std::max(reader_.base().lsn_next, state_.first_lsn()); }
    Tail* find(const Key& key, uint64_t generation);

    Context& context_;
    Replica& replica_;
    LogReader& reader_;
    Clients& clients_;
    const State& state_;
    std::map<Key, Tail> tails_;
    std::map<ReadId, std::pair<Key, uint64_t>> reads_;
    LogPoint committed_;
    uint64_t generation_last_ = 0;
    /// All that was acknowledged before `asked` lies at or below `index`: the newest confirmed read, of any
    /// tail.
    struct Bound {
        Moment asked;
        Index index;
    };
    std::optional<Bound> bound_;
    bool waiting_ = false;
};

}  // namespace raftd::daemon
