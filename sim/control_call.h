// One control request at a time to whoever leads, over real connections of a client (client/links.h): follows
// redirects, goes elsewhere when the connection is lost, asks again until it is answered or dropped. What
// raftctl does in a loop of its own, as a process of the simulator.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/links.h"
#include "proto/control.pb.h"
#include "sim/machine.h"
#include "sim/network.h"

namespace raftd::sim {

class ControlCall : public io::Handler {
public:
    /// `host` in the network, beside those of clients.
    ControlCall(Kernel& kernel, SimNetwork& network, uint32_t host);
    ~ControlCall() override;

    /// A new process that knows these client addresses; what was asked is forgotten.
    void begin(std::vector<std::string> endpoints);
    void ask(pb::Request request);
    bool asking() const { return asking_; }
    /// The answer, once it is there; unavailable ones are asked again, and never come out.
    std::optional<pb::Answer> take();
    /// Somebody else leads, says the answer.
    void suggest_leader(NodeId leader) { links_->suggest_leader(leader); }
    /// Who answered last.
    NodeId answered_by() const { return answered_by_; }
    /// Asked again since begin() because a connection or an answer was lost, or somebody else leads.
    uint64_t again() const { return again_; }
    Instant now() const { return kernel_.now(); }

    void handle(io::Event& event) override;
    void end_turn(Instant now) override;

private:
    void run(Instant now);
    void receive(const io::Frame& frame, Instant now);

    Kernel& kernel_;
    SimNetwork& network_;
    uint32_t host_;
    Random random_;
    SimStorage storage_;
    DiskModel disk_;
    ClockModel clock_;
    std::unique_ptr<Machine> machine_;
    client::SessionOptions options_;
    std::unique_ptr<client::Links> links_;
    bool asking_ = false;
    std::string request_;
    std::optional<pb::Answer> answer_;
    io::ConnId conn_ = io::kNoConn;
    NodeId asked_{}, answered_by_{};
    uint32_t stream_ = 0;
    Instant asked_at_{}, retry_at_{INT64_MIN};
    uint64_t again_ = 0;
};

}  // namespace raftd::sim
