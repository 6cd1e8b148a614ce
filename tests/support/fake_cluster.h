// A cluster as a client sees it, in memory and in virtual time: members that shake hands, take appends into
// one shared log and serve tails from it, and can be told to misbehave. Frames travel in order, each after
// `latency`.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/entry.h"
#include "io/world.h"
#include "proto/client.h"
#include "proto/frame.h"
#include "tests/support/fake_log.h"

namespace raftd::fakes {

class FakeCluster;

struct FakeMember {
    enum class Reach : uint8_t { up, refuses, silent };
    uint64_t id = 0;
    std::string address, name;
    Reach reach = Reach::up;
    ClusterId cluster{7, 9};
    uint64_t leader = 1;  // whom it believes to lead
    bool mute = false;    // takes frames and answers none
    uint32_t feature_level = 1;
    bool deaf_to_requests = false;  // carries requests of producers out and doesn't answer
    bool opens_unknown = false;     // carries one opening out, and says that it lost office
    bool unknown_lands = false;     // a scripted `unknown` is in the log all the same
    Duration refusal_delay{};       // of refusals that rest on the log
    FakeLog* log = nullptr;
    std::vector<uint64_t> members;             // whom it tells of; empty: all
    uint64_t config_index = 0;                 // of that list
    std::vector<proto::AppendCode> script;     // codes of the next appends, before the usual behaviour
    uint32_t answers_left = UINT32_MAX;        // appends behind these get no answer
    std::optional<proto::TailCode> tail_code;  // each tail is answered with this, and nothing else
    bool hold = false;                         // appends go to the log, and are answered by release()
    uint64_t frame_bytes_max = 64u << 10;      // of one TailData
    std::function<void(std::vector<std::byte>&)> spoil;  // changes the entries of TailData on their way
    std::function<void(proto::TailData&)> misplace;

    // What it saw.
    uint32_t hellos = 0, appends = 0, tails = 0, pings = 0, opens = 0, closes = 0, queries = 0;
    uint64_t uncredited_max = 0;  // largest debt: bytes sent beyond the credit
    std::vector<proto::TailOpen> opened;

    struct Tail {
        io::ConnId conn;
        uint32_t stream;
        size_t next;  // entry
        size_t stop;  // one behind the last; SIZE_MAX: follows
        int64_t credit;
        uint64_t commit_lsn;
        bool announced;
    };
    std::vector<Tail> streams;
    std::vector<std::pair<io::ConnId, proto::AppendDoneItem>> held;
    std::map<io::ConnId, bool> run_ended;
};

class FakeCluster : public io::Network, public io::Clock {
public:
    explicit FakeCluster(int members);
    FakeMember& member(uint64_t id) { return members_[id - 1]; }
    FakeLog& log() { return log_; }
    std::vector<std::string> addresses() const;
    void attach(io::Handler& handler) {
        handler_ = &handler;
        others_.clear();
    }
    /// One more client beside the attached one; each gets the events of its own connections.
    void attach_beside(io::Handler& handler) { others_.push_back(&handler); }

    /// Turns until `done`, at most `limit` of virtual time; whether it came true.
    bool run_until(const std::function<bool()>& done, Duration limit = seconds(60));
    void run_for(Duration time);
    /// One turn: all that is due at the next instant something is, but not beyond `until`.
    bool turn(Instant until);
    /// Time passes in which the client isn't called; what arrives waits for the next turn.
    void pass(Duration time) { now_ = now_ + time; }
    /// Ends all connections of a member; `reach` is what a dial meets from now on.
    void cut(uint64_t id, FakeMember::Reach reach = FakeMember::Reach::refuses);
    /// The same, but what the client had sent still reaches the member, `after` a while; nobody hears the
    /// answers.
    void strand(uint64_t id, Duration after);
    void set_feature_level(uint32_t level);
    void release(uint64_t id);  // answers what was held
    void serve_tails();
    void set_leader(uint64_t id);
    /// The member says its list of members again, to all that are connected.
    void tell_members(uint64_t id);
    size_t connections(uint64_t id) const;
    Duration latency = microseconds(100);
    uint64_t bytes_per_second = 0;                      // that a connection takes from the client; 0: at once
    uint64_t leader_term = 0, election_timeout_ms = 0;  // as members tell; 0: they don't
    /// Changes what members send, after it was made.
    std::function<void(uint16_t& type, uint32_t& stream, std::vector<std::byte>& payload)> mangle;

    // io::Network, io::Clock
    io::ConnId connect(io::ConnClass kind, std::string_view address) override;
    int listen(io::ConnClass, std::string_view) override { return 95; }
    void send(io::ConnId conn, std::span<const Slice> parts) override;
    uint64_t queued_bytes(io::ConnId) override { return 0; }
    uint64_t unacknowledged_bytes(io::ConnId conn) override;
    void pause_reading(io::ConnId, bool) override {}
    void close(io::ConnId conn) override;
    Instant now() override { return now_; }
    int64_t wall_ms() override { return 1'000'000 + now_.ns / 1'000'000; }
    void wake_at(Instant at) override { wake_ = std::min(wake_, at); }

private:
    void later(std::function<void()> what);
    void to_client(io::Event event, io::ConnId conn);
    void end_turns();
    void answer(FakeMember& member, io::ConnId conn, const Slice& frame);
    void receive(io::ConnId conn, Slice frame);
    void hello(FakeMember& member, io::ConnId conn, ByteView payload);
    Slice hello_ok(const FakeMember& member) const;
    void append(FakeMember& member, io::ConnId conn, uint32_t stream, ByteView payload);
    void request(FakeMember& member, io::ConnId conn, uint32_t stream, ByteView payload);
    void tail_open(FakeMember& member, io::ConnId conn, uint32_t stream, ByteView payload);
    void serve(FakeMember& member, FakeMember::Tail& tail);
    void done(FakeMember& member, io::ConnId conn, const proto::AppendDoneItem& item);

    std::vector<FakeMember> members_;
    FakeLog log_;
    io::Handler* handler_ = nullptr;
    std::vector<io::Handler*> others_;
    io::Handler* running_ = nullptr;  // whose turn it is
    std::map<io::ConnId, io::Handler*> owners_;
    Instant now_{1'000'000'000};
    Instant wake_ = kNever;
    uint64_t last_conn_ = 0;
    std::map<io::ConnId, uint64_t> conns_;  // to which member
    std::map<io::ConnId, std::pair<uint64_t, Duration>> stranded_;
    std::map<io::ConnId, Instant> sent_by_;  // slow: when the last byte has gone over
    std::multimap<Instant, std::function<void()>> queue_;
};

}  // namespace raftd::fakes
