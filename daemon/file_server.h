// Gives files of the newest snapshot to members that fetch it, a part at a time, on connections of their own
// (daemon/peers.h). A name `entries-FIRST-LAST` asks for a stretch of the log, for a member whose own bytes
// of it are damaged. Keeps nothing between two asks: whoever was cut off goes on where it was, here or at
// another member. Loop thread only; files are read on Lane::transfer. Read next: daemon/installer.h.
#pragma once

#include <deque>
#include <map>

#include "daemon/compaction.h"
#include "daemon/peers.h"
#include "daemon/transfer_pin.h"
#include "proto/peer.h"

namespace raftd::daemon {

class FileServer {
public:
    static constexpr uint32_t kPartBytesMax = 1u << 20;
    static constexpr uint32_t kManifestBytesMax = 16u << 20;
    static constexpr size_t kAsksMax = 16;  // of one connection; beyond, it is closed

    FileServer(Context& context, Peers& peers, TransferPin& pin, LogReader& reader,
               const Compaction& compaction)
        : context_(context), peers_(peers), pin_(pin), reader_(reader), compaction_(compaction) {}

    /// A frame of a connection that another member asks for files on.
    void frame(io::ConnId conn, const io::Frame& frame);
    void closed(io::ConnId conn) { askers_.erase(conn); }
    void completed(io::Completed& done);
    /// Entries that were asked for.
    void read_done(const ReadFor& purpose, const wal::ReadResult& result);
    void writable(io::ConnId conn);

private:
    struct Job;
    struct Asker {
        std::deque<proto::FileAsk> asks;
        bool reading = false;
    };
    void read_next(io::ConnId conn, Asker& asker);
    bool read_entries(io::ConnId conn, const proto::FileAsk& ask);
    void answer(io::ConnId conn, const proto::FilePart& part, const Slice& bytes);

    Context& context_;
    Peers& peers_;
    TransferPin& pin_;
    LogReader& reader_;
    const Compaction& compaction_;
    std::map<io::ConnId, Asker> askers_;
    uint64_t jobs_ = 0;
};

}  // namespace raftd::daemon
