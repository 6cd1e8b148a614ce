// The simulated network: connections of whole frames between hosts. Inside one living connection frames are
// never lost nor reordered, as with TCP; what goes wrong is delay (loss costs a retransmission), cuts of one
// direction, resets, half-open connections, a peer that stops reading. A flipped bit costs the connection
// when it hits what the frame's checksum covers, else it arrives (bodies have their own checksums). Beside
// that a *datagram* fault drops, doubles and reorders frames between members, which TCP never does, since the
// core has to stand it. A killed process resets its connections; a host without power says nothing, and its
// peers time out.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "proto/frame.h"
#include "sim/machine.h"

namespace raftd::sim {

/// How the network behaves; may change while it runs.
struct NetModel {
    Duration delay_min = microseconds(50), delay_spread = microseconds(150);
    double tail = 0.001;  // chance of a slow way
    Duration tail_max = milliseconds(20);
    double loss = 0;  // chance that a frame waits for a retransmission
    Duration retransmit = milliseconds(200);
    double reset = 0;    // chance, a frame, that its connection breaks
    double corrupt = 0;  // chance, a frame, that one of its bits arrives flipped
    double datagram_drop = 0, datagram_double = 0, datagram_reorder = 0;
    double append_double = 0;            // of a client's numbered append: only those bear it
    Duration stray_max = seconds(2);     // how late a doubled or reordered frame comes, at most
    Duration user_timeout = seconds(3);  // unacknowledged for longer: the connection is given up
    uint64_t bytes_per_second = 100u << 20;
    uint64_t kernel_bytes = 256u << 10;  // buffers of both kernels together, a direction
};

struct NetTotals {
    uint64_t frames = 0, bytes = 0, dropped = 0, doubled = 0, reordered = 0, delayed = 0, resets = 0,
             timed_out = 0, connections = 0, corrupted = 0, appends_doubled = 0;
};

/// Sees each frame when it leaves and when it arrives. For checkers and traces.
class FrameWatcher {
public:
    virtual ~FrameWatcher() = default;
    virtual void sent(uint32_t from, uint32_t to, io::ConnClass kind, const proto::FrameHeader& header,
                      ByteView payload) = 0;
    virtual void arrived(uint32_t from, uint32_t to, const proto::FrameHeader& header, ByteView payload) {
        static_cast<void>(from), static_cast<void>(to), static_cast<void>(header), static_cast<void>(payload);
    }
};

class SimNetwork : public Fabric, public Actor {
public:
    SimNetwork(Kernel& kernel, uint64_t seed) : kernel_(kernel), actor_(kernel.add(this)), random_(seed) {}
    ~SimNetwork() override { kernel_.remove(actor_); }

    std::unique_ptr<Wire> attach(Machine& machine) override;
    void fire(uint32_t kind, uint64_t data) override;

    NetModel model;
    NetTotals totals;
    FrameWatcher* watcher = nullptr;

    /// From now on nothing gets from `from` to `to` (one way).
    void cut(uint32_t from, uint32_t to, bool on);
    bool is_cut(uint32_t from, uint32_t to) const { return cuts_.contains({from, to}); }
    size_t cut_count() const { return cuts_.size(); }
    void heal_all();
    /// Heals all and behaves well from now on; what is under way arrives soon.
    void calm(const NetModel& good);
    /// More delay on one way.
    void slow(uint32_t from, uint32_t to, Duration extra);
    /// Without power a host neither answers nor resets anything.
    void set_host_up(uint32_t host, bool up);
    /// Breaks each connection of `a` and `b` (or of `a` with anybody, when equal).
    void reset_between(uint32_t a, uint32_t b);

private:
    class Endpoint;
    struct Parcel {
        Instant at;
        Slice frame;  // header included; empty: the connection's end
        io::CloseReason why{};
    };
    struct End {
        Endpoint* endpoint = nullptr;  // null: closed, or its process is gone
        uint32_t host = 0;
        io::ConnClass kind{};
        bool up = false;                                                 // Opened was given
        bool reading_paused = false, above_high = false, armed = false;  // armed: an arrival is scheduled
        std::vector<Slice> leaving;                                      // sent in this turn
        std::vector<std::byte> unfinished;  // of a frame whose rest is still to come in this turn
        std::deque<Parcel> out;             // sent by this end, not yet taken by the other
        uint64_t out_bytes = 0;
        Instant arrival_last{};
        Instant unheard_since = kNever;  // something of mine is unacknowledged since
    };
    struct Conn {
        uint64_t serial = 0;
        uint32_t slot = 0;
        bool used = false, dialing = false;
        std::string address;
        End ends[2];  // 0 dialed, 1 accepted
    };
    enum Kind : uint32_t { arrive, syn, syn_answer, dial_over, stray, patrol };
    struct Stray {
        uint64_t conn;
        Slice frame;
    };

    static uint64_t id_of(const Conn& conn, size_t end) { return conn.serial << 17 | conn.slot << 1 | end; }
    Conn* find(uint64_t id);
    // network.cpp: connections begin and end
    uint64_t dial(Endpoint& dialer, io::ConnClass kind, std::string_view address);
    void answer_syn(Conn& conn);
    void finish_dial(Conn& conn);
    void close_end(Conn& conn, size_t end, io::CloseReason why);
    void gone(Conn& conn, size_t end);
    void leave(Endpoint& endpoint);
    void check_times(Conn& conn);
    void check_time(Conn& conn, size_t end);
    void want_patrol();
    void settle_touched();
    bool host_up(uint32_t host) const { return !down_.contains(host); }
    // flow.cpp: frames on their way
    Duration delay(uint32_t from, uint32_t to);
    void enqueue(Conn& conn, size_t end, std::span<const Slice> frames);
    void enqueue_end(Conn& conn, size_t end, io::CloseReason why);
    bool astray(Conn& conn, size_t end, const Slice& frame);
    bool doubled_append(const Slice& frame);
    void arm(Conn& conn, size_t end, Instant at);
    void kick(Conn& conn, size_t end, Duration wait);
    void take_arrived(Conn& conn, size_t end);
    void deliver(Conn& conn, size_t to_end, const Slice& sent);
    bool corrupted(Conn& conn, size_t to_end, Slice& frame);

    Kernel& kernel_;
    uint32_t actor_;
    Random random_;
    std::deque<Conn> conns_;  // stable places
    std::vector<uint32_t> free_;
    uint64_t serial_ = 0;
    std::map<std::string, Endpoint*, std::less<>> listeners_;
    std::map<std::string, uint32_t, std::less<>> address_hosts_;  // who has ever listened there
    std::set<std::pair<uint32_t, uint32_t>> cuts_;
    std::map<std::pair<uint32_t, uint32_t>, Duration> slow_;
    std::set<uint32_t> down_;
    std::vector<Stray> strays_;
    Instant strays_until_ = kNever;
    std::vector<uint32_t> strays_free_;
    std::vector<Endpoint*> touched_;  // got events in this fire: their turn comes at its end
    bool patrolling_ = false;
};

}  // namespace raftd::sim
