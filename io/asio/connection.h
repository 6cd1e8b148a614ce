// One connection of RealNetwork: its socket, what it receives, what it still has to send, and which waits are
// under way. Plain data; the rules are in network.cpp. Loop thread.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "io/asio/frame_reader.h"
#include "io/asio/send_queue.h"
#include "io/asio/sockets.h"

namespace raftd::io::asio {

struct Connection {
    Connection(boost::asio::io_context& context, BlockPool& pool, ConnId its_id, ConnClass its_kind,
               FrameReader::Options options)
        : id(its_id), kind(its_kind), socket(context), timer(context), reader(pool, options), queue(pool) {}

    enum class State : uint8_t {
        connecting,  // queues what is sent
        open,
        ended,     // Closed is on its way to the node
        draining,  // the node closed it: its queue still goes out
        emptied,   // all sent, and said so: waits for the other end to close
        gone,      // destroyed at the end of the turn
    };
    bool sendable() const { return state == State::open || state == State::draining; }

    const ConnId id;
    const ConnClass kind;
    bool accepted = false;
    State state = State::connecting;
    boost::asio::posix::stream_descriptor socket;
    boost::asio::steady_timer timer;  // of connecting, then of draining
    FrameReader reader;
    SendQueue queue;
    bool read_wait = false, write_wait = false;  // under way in the reactor
    bool ready = false;                          // in a ready list
    bool touched = false;                        // has something to flush
    bool paused = false;
    bool above_high_water = false;
    int send_error = 0;                  // the sending half is dead; the receiving half will tell
    std::vector<SocketAddress> untried;  // addresses left to connect to
    int connect_error = 0;               // of the last one tried
};

}  // namespace raftd::io::asio
