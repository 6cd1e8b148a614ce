// One real member, n1, in a world where the test plays everybody else: the other members of its cluster and
// its clients. What n1 sends is kept as the very memory that it sent, so that a test can also spoil that.
// The other members do as they should until they are told otherwise: they dial, shake hands, vote for n1 and
// acknowledge what they are sent.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "daemon/node.h"
#include "daemon/peer_codec.h"
#include "sim/machine.h"
#include "sim/process.h"
#include "sim/store.h"
#include "tests/support/frames.h"

namespace raftd::sim {

class Stage : public Fabric {
public:
    /// A frame that n1 sent.
    struct Sent {
        io::ConnId conn;
        proto::FrameHeader header;
        std::vector<Slice> parts;  // header included
        proto::FrameType type() const { return static_cast<proto::FrameType>(header.type); }
        Slice payload() const;  // a copy, in one piece
    };
    struct Peer {
        NodeId id;
        io::ConnId conn{};
        bool linked = false;
        bool mute = false;               // takes frames and answers none
        bool grants = true;              // its vote
        Index acks_upto{~0ull};          // acknowledges nothing behind this
        uint32_t flags = 0;              // of its trailers
        std::optional<LogPoint> claims;  // what its trailers say of its log; else n1's own genesis
        proto::Trailer adds{};           // what else its trailers say: archives, freezes
        Index match{};                   // acknowledged by it so far
        std::vector<proto::FrameType> got;
        /// Sees each message first; true: it is answered already.
        std::function<bool(Peer& peer, const Sent& sent, const daemon::PeerMessage& message)> instead;
    };

    explicit Stage(uint32_t members = 3);
    ~Stage() override;

    daemon::NodeOptions options;  // before start()
    SimStorage storage;
    SimStoreDisk store;
    DiskModel disk;
    Kernel kernel{77};
    snapshot::Manifest manifest;

    /// Makes the data directory if there is none, starts n1, and connects the others.
    void start();
    const daemon::Node& node() const { return *node_; }
    const std::optional<ProcessEnded>& ended() const { return machine_->ended(); }
    Peer& peer(uint64_t id) { return peers_.at(NodeId{id}); }
    /// Somebody whom no configuration names yet dials too.
    Peer& add_peer(uint64_t id);
    /// The peer dials, and says that it listens at `address`.
    void connect(Peer& peer, const std::string& address = {});
    /// What n1 dialed, oldest first. Nobody answers by itself.
    struct Dialed {
        io::ConnId conn;
        io::ConnClass kind;
        std::string address;
    };
    std::vector<Dialed> dialed;
    /// The peer answers at the connection that n1 dialed.
    void take_dial(Peer& peer, io::ConnId conn);
    void hang_up(Peer& peer);
    void say(Peer& peer, const raft::msg::Any& message);
    /// Sends an append with these entries, encoded end to end.
    void say_append(Peer& peer, const raft::msg::Append& append, uint32_t count, ByteView entries);

    void run_for(Duration time);
    /// At most 30 s; whether it came true.
    bool until(const std::function<bool()>& done);
    bool lead();  // waits until n1 leads and the no-op of its reign is committed

    Heard heard;  // by the one client
    uint32_t append(const Draft& draft);
    uint32_t ask(const pb::Request& request);
    /// Appends or asks, and waits for the answer; code `unknown` when none comes.
    proto::AppendDoneItem appended(const Draft& draft);
    pb::Answer asked(const pb::Request& request);

    /// A change to these members, from the configuration in force.
    pb::Request members_wanted(const std::vector<uint64_t>& voters, const std::vector<uint64_t>& learners);

    io::ConnId dial_client();
    void deliver(io::ConnId conn, const Slice& frame, bool from_peer);
    /// Frames that went to nobody whom the stage plays by itself.
    std::deque<Sent> others;

private:
    class HandWire;
    std::unique_ptr<Wire> attach(Machine& machine) override;
    template <class Greeting>
    void introduce(const Peer& peer, Greeting& hello) const;
    void play();
    void play(Peer& peer, const Sent& sent);
    proto::Trailer trailer(const Peer& peer) const;

    ClockModel clock_;
    std::map<NodeId, Peer> peers_;
    std::unique_ptr<SimStoreMaker> maker_;
    std::unique_ptr<Machine> machine_;
    std::unique_ptr<daemon::Node> node_;
    std::deque<Sent> sent_;
    io::ConnId client_{};
    uint64_t conn_last_ = 0;
    uint32_t stream_ = 0;
};

}  // namespace raftd::sim
