// One process's end of the simulated network (inside sim/network only).
#pragma once

#include "sim/network.h"

namespace raftd::sim {

class SimNetwork::Endpoint : public Wire {
public:
    Endpoint(SimNetwork& network, Machine& machine) : network_(network), machine_(machine) {}
    ~Endpoint() override { network_.leave(*this); }

    io::ConnId connect(io::ConnClass kind, std::string_view address) override;
    int listen(io::ConnClass kind, std::string_view address) override;
    void send(io::ConnId conn, std::span<const Slice> parts) override;
    uint64_t queued_bytes(io::ConnId conn) override;
    uint64_t unacknowledged_bytes(io::ConnId conn) override;
    void pause_reading(io::ConnId conn, bool paused) override;
    void close(io::ConnId conn) override;
    void flush() override;
    void resumed() override;

    Machine& machine() { return machine_; }
    io::ConnClass kind_of(std::string_view address) const { return listening_.find(address)->second; }
    void post(io::Event&& event, io::ConnClass kind);

private:
    /// The connection and which end of it is mine; null when it has ended for me.
    Conn* mine(io::ConnId id, size_t& end);
    void flush_conn(Conn& conn, size_t end);

    SimNetwork& network_;
    Machine& machine_;
    std::map<std::string, io::ConnClass, std::less<>> listening_;
    std::vector<uint64_t> dirty_;  // connections with frames to leave at the end of the turn
    std::vector<std::byte> scratch_;
};

}  // namespace raftd::sim
