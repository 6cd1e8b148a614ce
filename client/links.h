// Connections to the members of one cluster: dials the endpoints (staggered, with back-off), shakes hands,
// learns members, limits and who is believed to lead, and notices when a connection in use has gone silent.
// Promises: never talks to another cluster than the one asked for or first found; each attempt ends within
// dial_timeout. Single-threaded, sans-io. Read next: client/appender.h, client/tail_stream.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/seam.h"
#include "client/types.h"
#include "io/world.h"

namespace raftd::pb {
class HelloOk;
}

namespace raftd::client {

/// What the parts of a session need at the moment.
struct Wants {
    bool any = false;  // some member
    bool leader = false;
    std::string_view node;            // this one
    io::ConnId beside = io::kNoConn;  // some member other than the one on this connection
};

class Links {
public:
    enum class State : uint8_t {
        idle,      // may be dialed from `until` on
        dialing,   // must be up by `until`
        greeting,  // Hello sent; must be answered by `until`
        ready,
        barred,  // another cluster or version: never dialed again
    };
    static constexpr Duration kEndless{INT64_MAX};
    struct Link {
        std::string address;
        NodeId id{};  // 0: not known yet
        std::string name;
        State state = State::idle;
        io::ConnId conn = io::kNoConn;
        Instant until{INT64_MIN};
        Instant heard{};              // ready: when the last frame came, or bytes were seen to go over
        uint64_t unacknowledged = 0;  // silent: bytes on their way at the end of the last turn
        bool wanted = false;          // somebody waits for this connection, this turn
        bool watched = false;         // and the turn before
        bool pinged = false;
        Duration asked_patience = kEndless,
                 patience = kEndless;  // silence that it is allowed, this turn and before
        uint32_t leaderless = 0;       // answers to pings in a row that knew of no leader
        bool given = false;            // by the user; others come from the members' list
        uint32_t refusals = 0;         // connects in a row that found nobody
        Duration backoff{};
        Errc error = Errc::unreachable;
        std::string result;  // what became of the last attempt
    };

    Links(io::Network& network, const SessionOptions& options);

    /// Takes the events of connections and handshakes; true for a frame that belongs to somebody else.
    bool handle(io::Event& event);
    /// Ends attempts that took too long and watched connections that went silent.
    void expire(Instant now);
    /// Silence after which a member that is asked something is given up, where that does no harm: two
    /// election timeouts of the cluster, and a quarter of the time-out at most.
    Duration patience() const;
    /// Said each turn by who waits for frames of this connection: it is pinged when silent, and ended when it
    /// stays so for `patience` (at most the time-out). While bytes sent still go over it isn't silent: a
    /// large batch may take longer than that, and what stands still behind it ends the connection all the
    /// same.
    void watch(Link& link, Duration patience = kEndless) {
        link.wanted = true;
        link.asked_patience = std::min(link.asked_patience, std::min(patience, options_.timeout));
    }
    /// Once a turn, at its end: dials what is wanted and may be dialed now.
    void dial(Instant now, const Wants& wants);
    Instant deadline() const { return deadline_; }  // as of dial()

    /// The link of a connection that is up, else nullptr: a ConnId is never reused, so who holds one may ask.
    Link* ready(io::ConnId conn);
    Link* ready_leader();
    Link* ready_named(std::string_view name);
    /// The next one that is up, in turn; nullptr when there is none.
    Link* next_ready();
    bool any_ready(io::ConnId beside = io::kNoConn) const;
    bool has_name(std::string_view name) const;

    NodeId leader() const { return leader_; }
    /// The newest term that a member named a leader of; 0: none did.
    uint64_t leader_term() const { return leader_term_; }
    /// A leader is known by name, and its link isn't up, but may be soon.
    bool leader_may_come();
    /// From an answer; 0: not known.
    void suggest_leader(NodeId id) { leader_ = id; }
    /// The other end broke the protocol, or is of no use: ends the connection and backs off.
    void fail(Link& link, Instant now, Errc code, std::string_view why);

    const Limits& limits() const { return limits_; }
    /// The cluster's feature level: the highest that a member told; it never falls.
    uint32_t feature_level() const { return feature_level_; }
    /// Where the cluster's chain changes, since it was restored.
    const std::vector<Seam>& seams() const { return seams_; }
    bool met() const { return met_; }  // some member has shaken hands
    const std::optional<ClusterId>& cluster() const { return cluster_; }
    const std::string& cluster_name() const { return cluster_name_; }
    const std::vector<Link>& all() const { return links_; }
    /// All endpoints are barred, or (fail_fast) nobody is there: no waiting helps.
    std::optional<Error> hopeless() const;
    /// What became of each endpoint, as one clause.
    std::string summary() const;

private:
    Link* find(io::ConnId conn);
    Link* find_id(NodeId id);
    Link* next_idle(Instant now);
    void connect(Link& link, Instant now);
    void greet(Link& link);
    void take_hello_ok(Link& link, Instant now, ByteView payload);
    void take_pong(Link& link, ByteView payload);
    void take_hello_no(Link& link, Instant now, ByteView payload);
    void bar(Link& link, Errc code, std::string why);
    void ping(Link& link);
    void take_frame(Link& link, io::Frame& frame, Instant now, bool& for_others);
    void take_members(NodeId self, const pb::HelloOk& ok);
    void drop_removed(const pb::HelloOk& ok);
    Instant deadline_of(Link& link, Instant now, bool enough);
    bool silent(const Link& link, Instant now) const { return now >= link.heard + link.patience / 4; }

    io::Network& network_;
    const SessionOptions& options_;
    Random random_;
    std::vector<Link> links_;
    std::optional<ClusterId> cluster_;
    std::string cluster_name_;
    Limits limits_;
    uint32_t feature_level_ = 1;
    std::vector<Seam> seams_;
    uint64_t config_index_ = 0;  // of the newest list of members seen
    NodeId leader_{};
    uint64_t leader_term_ = 0;
    Duration election_timeout_{};  // as told; 0: not told
    bool met_ = false;
    size_t turn_ready_ = 0, turn_idle_ = 0;
    Instant next_dial_{INT64_MIN};
    Instant deadline_ = kNever;
};

}  // namespace raftd::client
