// The client library's face: append records, read them, follow them. Everything runs on the caller's thread
// inside these calls; there are no threads behind it and nothing happens between calls. One Client per
// thread. Promises: client/appender.h (outcomes), client/tail_stream.h (no gap, no repeat, no other history).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "client/types.h"

namespace raftd::client {

class Runner;
class Tail;

/// What is known of the cluster from the members that shook hands.
struct ClusterView {
    struct Member {
        NodeId id{};
        std::string name, address;
        bool connected = false;
        std::string result;  // what became of the last attempt to connect
    };
    std::optional<ClusterId> id;
    std::string name;
    NodeId leader{};  // 0: not known
    Limits limits;
    std::vector<Member> members;
};

class Client {
public:
    /// Names the cluster; connects with the first call that needs it. Errors: bad_input (no endpoint).
    static Result<Client> open(SessionOptions options);
    /// The same over another world, for tests.
    Client(std::unique_ptr<Runner> runner, SessionOptions options);
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    /// Appends one batch, all or nothing, and waits for its outcome. Outcomes of earlier submits stay for
    /// poll(). With `expect` it is refused (conflict, Appended::observed) unless the first record gets that
    /// LSN.
    Appended append(std::span<const std::string_view> records, Lsn expect = {});
    Appended append(std::string_view record, Lsn expect = {}) { return append({&record, 1}, expect); }

    /// Queues one batch; its ticket, or 0 when the window is full: poll() and try again. The next poll()
    /// sends it.
    uint64_t submit(std::span<const std::string_view> records, Lsn expect = {});
    uint64_t submit(std::string_view record) { return submit({&record, 1}); }
    /// Sends what is queued, takes what has come, and gives outcomes in the order of the tickets; waits at
    /// most `wait` for the first one.
    size_t poll(std::span<Appended> out, Duration wait);
    /// Batches without an outcome that poll() gave.
    uint64_t open_appends() const;
    /// Batches that a leader may have and that have no outcome yet.
    Unresolved unresolved() const;
    /// Refuses the batches that were never sent.
    void cancel_unsent();

    /// Opens the session's producer now, instead of with the first append: says where it stands. Waits at
    /// most `wait`; with unavailable and unreachable it goes on with the next call. Errors besides: conflict
    /// (the cluster's feature level is too low), bad_input (the name).
    Result<ProducerFacts> open_producer(Duration wait);
    /// What became of a batch with an unknown outcome, by its producer (a name, or an id in digits) and
    /// sequence. An unnamed producer is opened again for that if need be, so that the answer is final:
    /// nothing of its process lands afterwards. Waits at most the time-out, or until `give_up` says so.
    /// Errors: unavailable, unreachable, not_found (no producer of that name).
    Result<Resolution> resolve(std::string_view producer, uint64_t sequence,
                               const std::function<bool()>& give_up = {});

    // What stays of the log (client/retention.cpp). Each waits at most the time-out. Errors of all:
    // unavailable, unreachable, conflict (the cluster's feature level is too low).
    /// Records below `before` go, as far as holds and the policy let them. Errors besides: not_found (beyond
    /// the end).
    Result<Trimmed> trim(Lsn before);
    Result<RetentionFacts> retention();
    Result<RetentionFacts> set_retention(const RetentionChange& change);
    /// Linearizable. Errors besides: not_found.
    Result<Cursor> cursor(std::string_view name);
    Result<std::vector<Cursor>> cursors();
    /// To `cursor.lsn`, with its hold. Errors besides: not_found (trimmed, beyond the end), unavailable
    /// (full).
    Result<void> set_cursor(const Cursor& cursor);
    /// As set_cursor, but never back, and the hold stays as it is: for a reader that has come so far.
    Result<void> advance_cursor(std::string_view name, Lsn lsn);
    /// Errors besides: not_found.
    Result<void> delete_cursor(std::string_view name);

    // Checkpoints (client/checkpoint.cpp).
    /// Uploads `size` bytes that `read` gives in order: it fills its argument, all of it. Nobody sees it
    /// before it is whole. Errors besides: not_found (`upto` is beyond the end, or trimmed past), conflict
    /// (there is one for as many records), and those of `read`.
    Result<Checkpoint> put_checkpoint(Lsn upto, uint64_t size, const std::array<std::byte, 32>& sha256,
                                      const std::function<Result<void>(MutableBytes)>& read);
    /// Oldest first; uploads too.
    Result<std::vector<Checkpoint>> checkpoints();
    /// Gives the bytes of a whole one to `write`, in order. The caller compares the SHA-256. Errors besides:
    /// not_found (it was dropped meanwhile), damaged, and those of `write`.
    Result<void> get_checkpoint(const Checkpoint& checkpoint,
                                const std::function<Result<void>(ByteView)>& write);

    /// Readable when poll() or Tail::next() has something to do: for a loop of one's own. Time-outs need a
    /// call at least every 100 ms besides, while something is open.
    int wait_fd();

    /// The clocks of these calls: monotonic, and milliseconds since 1970.
    Instant now() const;
    int64_t wall_ms() const;

    /// The tail must not outlive the client.
    Tail tail(const TailOptions& options);

    /// Waits until some member has shaken hands. Errors: unreachable, conflict (another cluster), too_new.
    Result<void> connect(Duration wait);
    /// No waiting will help: another cluster, or (fail_fast) nobody there.
    bool hopeless() const;
    ClusterView cluster() const;

private:
    friend class Tail;
    struct Parts;
    Result<void> change_cursor(std::string request);
    std::unique_ptr<Parts> parts_;
};

class Tail {
public:
    ~Tail();
    Tail(Tail&& other) noexcept;
    Tail& operator=(Tail&&) = delete;

    /// Fills `out` with the next records, waiting at most `wait` for the first; 0: none came, or ended(). The
    /// views are valid until the next call.
    size_t next(std::span<Record> out, Duration wait);
    bool ended() const;
    /// Why it ended early; empty while it goes on, and when all that was asked for has come.
    std::optional<Error> failure() const;
    Lsn nearest() const;  // with not_found: the first LSN there is, or the last
    bool caught_up() const;
    uint64_t commit_lsn() const;  // as of the last bytes that came

private:
    friend class Client;
    Tail(Client::Parts& parts, const TailOptions& options);
    Client::Parts* parts_;
    uint64_t id_;
};

}  // namespace raftd::client
