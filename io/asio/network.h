// io::Network over TCP and unix sockets. Asio says which sockets are ready; receiving and sending are plain
// system calls, done in the turn. Nothing here calls the node except deliver(). A Connection is found by its
// id, never kept over a wait, and destroyed at the end of a turn only. Loop thread. Read next:
// frame_reader.h, send_queue.h.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <memory>
#include <unordered_map>

#include "io/asio/connection.h"
#include "io/asio/loop.h"

namespace raftd::io::asio {

/// What a turn may still take in.
struct Budget {
    uint64_t bytes = kTurnBytesMax;
    uint32_t events = kTurnEventsMax;
    bool spent() const { return bytes == 0 || events == 0; }
    void use(uint64_t frame_bytes) {
        bytes -= bytes < frame_bytes ? bytes : frame_bytes;
        if (events > 0) --events;
    }
};

class RealNetwork final : public Network {
public:
    RealNetwork(boost::asio::io_context& context, const LoopOptions& options, LogSink& log,
                LoopCounters& counters);
    ~RealNetwork() override;

    ConnId connect(ConnClass kind, std::string_view address) override;
    int listen(ConnClass kind, std::string_view address) override;
    void send(ConnId conn, std::span<const Slice> parts) override;
    uint64_t queued_bytes(ConnId conn) override;
    uint64_t unacknowledged_bytes(ConnId conn) override;
    void pause_reading(ConnId conn, bool paused) override;
    void close(ConnId conn) override;

    /// True when deliver() has something without waiting.
    bool ready() const;
    /// Hands on what came, within `budget`: openings and closings, then frames, peers' control first.
    void deliver(Handler& handler, Budget& budget);
    /// End of the turn: sends what was queued, and waits for what was handled.
    void flush();
    std::vector<std::string> listening() const;

private:
    struct Listener {
        explicit Listener(boost::asio::io_context& context) : socket(context), timer(context) {}
        ConnClass kind{};
        std::string address, unix_path;
        boost::asio::posix::stream_descriptor socket;
        boost::asio::steady_timer timer;
        bool waiting = false;  // for a connection, or for the timer
        Duration pause{};
    };
    using Notice = std::variant<Opened, Closed, Writable>;
    static constexpr size_t kClasses = 4;

    Connection* find(ConnId conn);
    Connection& add(ConnClass kind, bool accepted);
    // network_connect.cpp: becoming and ceasing to be
    void resolve(Connection& conn, const Address& address);
    static bool attach(Connection& conn, int socket);
    void try_next_address(Connection& conn);
    void on_connected(Connection& conn);
    void opened(Connection& conn, std::string peer);
    void accept_some(Listener& listener);
    void wait_for_connections(Listener& listener);
    void pause_accepting(Listener& listener, Duration pause, const std::string& why);
    bool room_for(ConnClass kind) const;
    void adopt(int socket, const Listener& listener);
    void end(Connection& conn, CloseReason why);
    void drained(Connection& conn);
    void let_go(Connection& conn);
    void set_timer(Connection& conn, Duration after);
    // network.cpp: the hot path
    void wait_readable(Connection& conn);
    void wait_writable(Connection& conn);
    void make_ready(Connection& conn);
    void deliver_notices(Handler& handler, Budget& budget);
    void deliver_frames(Handler& handler, Budget& budget, size_t kind, Budget& total);
    bool receive(Connection& conn, Handler& handler, Budget& budget);
    bool hand_on(Connection& conn, Handler& handler, Budget& budget);
    void discard_input(Connection& conn);
    void write_out(Connection& conn);
    void touch(Connection& conn);

    boost::asio::io_context& context_;
    const LoopOptions options_;
    LogSink& log_;
    LoopCounters& counters_;
    boost::asio::ip::tcp::resolver resolver_;
    BlockPool pool_;
    uint64_t last_id_ = 0;
    std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
    std::vector<std::unique_ptr<Connection>> gone_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::deque<Notice> notices_;
    std::array<std::deque<ConnId>, kClasses> ready_;
    std::vector<ConnId> touched_;
    uint32_t accepted_clients_ = 0, accepted_peers_ = 0, clients_max_ = 0;
};

}  // namespace raftd::io::asio
