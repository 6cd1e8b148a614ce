// A client of one cluster: appends by the leader, tails from any member, over reconnects and leader changes.
// Sans-io: runs on io::Network and io::Clock alone, so the simulator runs this very code. Events go in by
// handle() and end_turn(); outcomes and records are taken out by the caller, between turns. What is submitted
// or opened between turns leaves with the next end_turn(). Single-threaded. Read next: client/appender.h,
// tail_stream.h.
#pragma once

#include <map>
#include <memory>

#include "client/appender.h"
#include "client/tail_stream.h"

namespace raftd::client {

enum class TailId : uint64_t {};

class Session : public io::Handler {
public:
    Session(io::Network& network, io::Clock& clock, SessionOptions options);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void handle(io::Event& event) override;
    void end_turn(Instant now) override;

    /// A ticket, or 0 when the window is full: nothing was taken then; take outcomes and try again.
    uint64_t submit(Batch batch) { return appender_.submit(std::move(batch), clock_.now()); }
    bool take(Appended& into) { return appender_.take(into); }
    /// Refuses the batches that were never sent, e.g. before giving up.
    void cancel_unsent(const Error& why) { appender_.cancel_unsent(why); }
    const Appender& appends() const { return appender_; }
    /// Registers the producer although nothing is to be sent yet: to see where it stands.
    void want_producer() { appender_.want_producer(); }

    TailId open_tail(TailOptions options);
    /// Requires: open. The reference holds until close_tail.
    TailStream& tail(TailId id) { return *tails_.at(id); }
    void close_tail(TailId id);

    /// Asks the leader something else (client/leader_call.h); one question at a time.
    LeaderCall& question() { return question_; }
    /// Tells the leader that the producer is no longer needed, without waiting for the answer. For a clean
    /// end.
    void say_farewell();

    /// Connects although nothing is asked for yet: to learn limits and members.
    void want_member(bool wanted) { want_member_ = wanted; }
    const Links& links() const { return links_; }
    const SessionOptions& options() const { return options_; }

private:
    io::Network& network_;
    io::Clock& clock_;
    SessionOptions options_;
    Links links_;
    uint32_t requests_ = 0;  // streams of control requests
    Appender appender_;
    LeaderCall question_;
    std::map<TailId, std::unique_ptr<TailStream>> tails_;
    uint64_t last_tail_ = 0;
    uint32_t streams_ = 0x80000000u;  // of tails; those of appends have this bit clear
    bool want_member_ = false;
};

}  // namespace raftd::client
