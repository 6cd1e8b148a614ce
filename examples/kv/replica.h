// One kvd's copy of the state, and its way to the log. A write is appended, and answered when it comes back
// in the log: what it comes to is decided by its place there, the same in every kvd. A read asks the cluster
// how far the log is committed (ReadIndex), and is answered when this copy has come so far. Both are
// linearizable. One thread; nothing here waits but load().
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "kv/checkpoint.h"

namespace kv {

struct ReplicaOptions {
    raftd::client::SessionOptions session;
    uint64_t checkpoint_every = 10000;  // records between one checkpoint and the next; 0: none are made
};

class Replica {
public:
    /// Called once: in some later turn(), or at once.
    using Done = std::function<void(const Json& answer)>;

    Replica(raftd::client::Client client, ReplicaOptions options, uint64_t instance);

    /// Starts from the newest checkpoint, then follows the log from there. Blocks. Errors: load_newest().
    raftd::Result<void> load();

    void write(Command command, Done done);
    void read(std::string key, Done done);

    /// Sends what was written, takes what has come, and doesn't wait; true: there is more. Errors: nothing
    /// helps but another start.
    raftd::Result<bool> turn();
    /// Readable when turn() has something to do; it needs a call every 100 ms besides.
    int wait_fd() { return client_.wait_fd(); }
    raftd::Lsn applied() const { return applied_; }

private:
    struct Write {
        raftd::Instant until;
        Done done;
    };
    struct Read {
        std::string key;
        raftd::Instant until;
        Done done;
    };
    struct KnownRead {
        raftd::Lsn lsn;  // may be answered once this one is applied
        Read read;
    };

    void take_outcomes();
    size_t take_records();
    void take_read_index();
    void take_answer();
    void answer_reads();
    void give_up();
    raftd::Result<void> follow_on();
    void make_checkpoint();
    void finish(uint64_t number, const Json& answer);

    raftd::client::Client client_;  // before the tails: they end first
    ReplicaOptions options_;
    Uploader uploader_;
    std::string prefix_;  // of the ids of this kvd's own commands
    uint64_t stagger_;    // so that of several kvd one comes first, and the others see its checkpoint
    Store store_;
    raftd::Lsn applied_{};
    raftd::Lsn checkpoint_{};       // the newest one known
    raftd::Lsn next_checkpoint_{};  // when one is tried again
    std::optional<raftd::client::Tail> log_;
    std::map<uint64_t, Write> writes_;      // by number: the order in which they were submitted
    std::map<uint64_t, uint64_t> tickets_;  // ticket -> number
    uint64_t numbers_ = 0;
    std::optional<raftd::client::Tail> asking_;
    std::deque<Read> reads_;       // came after the question under way was asked
    std::deque<Read> asked_;       // the question under way is theirs
    std::deque<KnownRead> known_;  // rising
};

}  // namespace kv
