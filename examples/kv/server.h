// Lines over TCP: one JSON command in, one answer out, in the order of the commands. Many connections, each
// with many commands under way, and each with bounded memory. One thread.
#pragma once

#include <csignal>
#include <list>
#include <memory>
#include <string>

#include "kv/replica.h"

namespace kv {

/// One client. What its commands do is what they would do one after the other: reads are under way together,
/// and writes are, but never a read beside a write.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    explicit Connection(int fd) : fd_(fd) {}
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    int fd() const { return fd_; }
    /// What to poll() for.
    short wanted(bool stopping) const;
    void receive();
    /// Hands whole lines to the replica, as many as may be under way; true: there were some.
    bool run(Replica& replica);
    void send();
    /// Everything is answered and sent, and nothing more will come; or it is broken.
    bool over(bool stopping) const;

private:
    struct Slot {
        std::string answer;  // a line; empty: not there yet
    };

    Replica::Done answer_into_next();
    void refuse(const std::string& why);
    void move_answers();

    int fd_;
    std::string in_, out_;
    std::deque<Slot> open_;    // commands without an answer sent, in order
    uint64_t first_open_ = 0;  // number of the first of them
    bool writing_ = false;     // those in open_ are writes; else reads
    bool ended_ = false;       // nothing more comes in
    bool broken_ = false;
};

class Server {
public:
    /// Errors: bad_input (HOST:PORT), io.
    static raftd::Result<Server> listen(const std::string& host_port);
    Server(Server&& other) noexcept;
    ~Server();

    /// HOST:PORT, with the port that port 0 became.
    const std::string& address() const { return address_; }
    /// Serves until `stopping`, then answers what is under way. Errors: Replica::turn().
    raftd::Result<void> run(Replica& replica, const volatile sig_atomic_t& stopping);

private:
    Server(int fd, std::string address) : fd_(fd), address_(std::move(address)) {}
    void wait(Replica& replica, bool stopping, bool more);
    void accept_all();

    int fd_;
    std::string address_;
    std::list<std::shared_ptr<Connection>> connections_;
};

}  // namespace kv
