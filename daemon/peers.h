// Connections between members: one a pair, dialed by the member with the higher id, and by the other one too
// when that doesn't come about (its configuration may be too old to know where I am). A member I don't know
// of is let in: it may be my configuration that is old (H7). Knows the handshake, the newest start seen of
// each peer (on disk before it is answered: H6), redialing, and the answers' trailers. Loop thread only.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/random.h"
#include "daemon/faults.h"
#include "daemon/handshake.h"
#include "daemon/peer_codec.h"

namespace raftd::daemon {

/// A change of the link to a peer that the core must hear of.
struct LinkChange {
    NodeId peer;
    bool up;
};

class Peers {
public:
    explicit Peers(Context& context);

    void start();  // dials whom it must
    bool owns(io::ConnId conn) const { return conns_.contains(conn); }
    /// Takes over a connection that was accepted on the peer listener, or that this class dialed.
    void opened(const io::Opened& opened);
    void closed(const io::Closed& closed);
    /// A frame of one of its connections; a message for the core comes out once the handshake is done.
    struct Incoming {
        NodeId from;
        PeerMessage message;
    };
    std::optional<Incoming> frame(const io::Frame& frame);
    /// A message that a fault has held back and whose time has come.
    std::optional<Incoming> take_late();
    void boots_written(uint64_t version, int error);

    /// Another configuration is in force: dials who is new, and lets go who is gone once it leaves.
    void follow_members();
    /// Shakes hands with whoever answers at `address`, to learn whether it is member `id`, and hangs up.
    /// Returns the probe's number, never given again: an id may be probed at two addresses at a time.
    uint64_t probe(NodeId id, const std::string& address);
    struct Probed {
        uint64_t number;
        NodeId id;
        std::optional<Incarnation> incarnation;  // nothing: `failure` says why
        std::string failure;
    };
    std::optional<Probed> take_probed();

    /// A connection for files of snapshots, beside the one for messages, so that neither waits for the other.
    struct Bulk {
        io::ConnId conn;
        NodeId peer;
        bool accepted;
        bool up;  // false: it ended, or never came up
    };
    /// Dials one; its Bulk follows. Requires: the peer's address is known.
    io::ConnId dial_bulk(NodeId peer);
    std::optional<Bulk> take_bulk();
    /// Whose files travel on this connection; nothing when it is none of these, or isn't up.
    std::optional<NodeId> bulk_peer(io::ConnId conn) const;
    void close_bulk(io::ConnId conn) { drop(conn); }

    /// Sends to a peer; dropped when there is no link (Raft sends again).
    void send(NodeId to, const Slice& head, std::span<const Slice> entries = {});
    bool linked(NodeId peer) const;
    /// All that are linked, members or let in, and whose address is known.
    std::vector<NodeId> sources() const;
    uint64_t queued_bytes(NodeId peer) const;
    const std::optional<proto::Trailer>& trailer(NodeId peer) const;
    /// The newest feature level that the peer takes part in; nothing while it isn't linked.
    std::optional<uint32_t> features(NodeId peer) const;
    std::optional<LinkChange> take_link_change();

    Instant deadline() const;
    void tick(Instant now);
    void close_all();

    /// Of the links, on purpose; only `raftctl fault` sets any.
    Faults& faults() { return faults_; }
    const Faults& faults() const { return faults_; }
    /// After a change of them: whoever couldn't be greeted is dialed anew.
    void faults_changed();
    /// `fault disconnect to n2`, one a kind and direction.
    std::vector<std::string> fault_lines() const;
    /// Why there is no link to a peer, when the last attempt said so; empty while there is one.
    std::string link_failure(NodeId peer) const;

private:
    static constexpr Duration kGreetWithin = seconds(5), kBackoffMax = seconds(1);
    struct Conn {
        io::ConnId id;
        NodeId peer{};  // 0: not known yet
        bool accepted, ready = false;
        Instant greet_by;
        uint64_t boots_needed = 0;  // version of the boots file that must be on disk first
        uint64_t probe = 0;         // its number; 0: none
        bool bulk = false;
    };
    struct Peer {
        NodeId id;
        std::string name, address;
        std::string told{};             // where it said that it is reached, when it dialed
        bool member = true;             // of the configuration in force; else only let in
        io::ConnId conn = io::kNoConn;  // being dialed, shaking hands, or linked
        uint32_t features = 1;          // as it greeted
        bool linked = false;
        Instant dial_at = kNever;
        Duration backoff{};
        std::optional<proto::Trailer> trailer{};
        std::string last_refusal{};  // logged once
        std::string last_failure{};  // of an attempt to link
    };

    Peer* find(NodeId id);
    const Peer* find(NodeId id) const;
    Peer& let_in(NodeId id);
    bool dials_first(NodeId id) const { return id < context_.dir.identity.id; }
    std::optional<Incoming> pass(const io::Frame& frame, NodeId from);
    static void put(io::Network& network, io::ConnId conn, const Slice& head, std::span<const Slice> entries);
    void tick_faults(Instant now);
    void dial(Peer& peer);
    void redial_later(Peer& peer);
    bool may_come(io::ConnId dialed) const;
    void hello(Conn& conn, const io::Frame& frame);
    void hello_ok(Conn& conn, const io::Frame& frame);
    void hello_no(Conn& conn, const io::Frame& frame);
    void probed(Conn& conn, std::optional<Incarnation> incarnation, std::string failure);
    void bulk_greeted(Conn& conn, const Greeting& greeting);
    void greeted(Conn& conn, const Greeting& greeting);
    void finish(Conn& conn);
    void refuse(Conn& conn, const Refusal& refusal);
    void drop(io::ConnId conn);
    void forget(io::ConnId conn);
    void write_boots();

    Context& context_;
    Random random_;
    std::vector<Peer> peers_;           // by id
    std::map<io::ConnId, Conn> conns_;  // ordered: it is walked
    std::vector<LinkChange> changes_;
    std::vector<Bulk> bulks_;
    std::vector<Probed> probed_;
    uint64_t probe_last_ = 0;
    Faults faults_;
    std::vector<io::Frame> late_;
    uint64_t boots_version_ = 0, boots_on_disk_ = 0;
    bool boots_in_flight_ = false;
};

}  // namespace raftd::daemon
