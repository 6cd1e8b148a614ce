// Gives clients the files of this member's newest snapshot, part by part: what `raftctl snapshot save` makes
// a file of. Whoever asks paces it. The files stay while it goes on (daemon/compaction.h), for a bounded time
// and for few at once; nothing else waits for it: parts are read on Lane::transfer. Loop thread only.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "daemon/clients.h"
#include "daemon/compaction.h"

namespace raftd::pb {
class ReadSave;
class Request;
}  // namespace raftd::pb

namespace raftd::daemon {

class Saves {
public:
    static constexpr uint32_t kPartBytesMax = 512u << 10;
    static constexpr size_t kAtOnce = 4;    // saves; more are told `unavailable`
    static constexpr size_t kAsksMax = 16;  // parts of one save; beyond, it ends
    static constexpr Duration kIdleMax = seconds(60);
    // In all: so much, and a second for each MiB.
    static constexpr Duration kTimeMax = seconds(600);

    Saves(Context& context, Clients& clients, const State& state, Compaction& compaction)
        : context_(context), clients_(clients), state_(state), compaction_(compaction) {}

    /// True when `request` was one of these; it is answered now, or when the part was read.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request);
    void completed(io::Completed& done);
    /// Once a turn: ends what has taken too long or lost its connection, and goes on with the rest.
    void turn();
    Instant deadline() const;

private:
    struct Job;
    struct Ask {
        uint32_t stream = 0, file = 0, bytes_max = 0;
        uint64_t offset = 0;
    };
    struct File {
        std::string name;
        uint64_t bytes = 0;
    };
    struct Save {
        io::ConnId conn;
        std::vector<File> files;
        std::deque<Ask> asks;
        bool reading = false;
        Instant idle_at{}, end_at{};  // it ends then
    };
    void begin(const ClientConn& conn, uint32_t stream, Index index_min);
    void read(const ClientConn& conn, uint32_t stream, const pb::ReadSave& wanted);
    void read_next(uint64_t id, Save& save);
    void end(uint64_t id, std::string_view why);
    Save* find(uint64_t id, io::ConnId conn);

    Context& context_;
    Clients& clients_;
    const State& state_;
    Compaction& compaction_;
    std::map<uint64_t, Save> saves_;
    uint64_t last_id_ = 0;
};

}  // namespace raftd::daemon
