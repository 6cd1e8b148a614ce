// Gives files of the newest snapshot to members that fetch it, a part at a time, on connections of their own
// (daemon/peers.h). Keeps nothing between two asks: whoever was cut off goes on where it was, here or at
// another member. Loop thread only; files are read on Lane::transfer. Read next: daemon/installer.h.
#pragma once

#include <deque>
#include <map>

#include "daemon/peers.h"
#include "daemon/transfer_pin.h"
#include "proto/peer.h"

namespace raftd::daemon {

class FileServer {
public:
    static constexpr uint32_t kPartBytesMax = 1u << 20;
    static constexpr uint32_t kManifestBytesMax = 16u << 20;
    static constexpr size_t kAsksMax = 16;  // of one connection; beyond, it is closed

    FileServer(Context& context, Peers& peers, TransferPin& pin)
        : context_(context), peers_(peers), pin_(pin) {}

    /// A frame of a connection that another member asks for files on.
    void frame(io::ConnId conn, const io::Frame& frame);
    void closed(io::ConnId conn) { askers_.erase(conn); }
    void completed(io::Completed& done);
    void writable(io::ConnId conn);

private:
    struct Job;
    struct Asker {
        std::deque<proto::FileAsk> asks;
        bool reading = false;
    };
    void read_next(io::ConnId conn, Asker& asker);

    Context& context_;
    Peers& peers_;
    TransferPin& pin_;
    std::map<io::ConnId, Asker> askers_;
    uint64_t jobs_ = 0;
};

}  // namespace raftd::daemon
