// All that a Core is. Private to raft/: core.cpp (the door, dispatch, output), election.cpp, replication.cpp,
// reads.cpp, membership.cpp each define the member functions of their part. What only one role needs lives in
// that role's struct and dies with it. Every field is a plain value: copying the state copies the member.
#pragma once

#include <algorithm>
#include <variant>
#include <vector>

#include "base/planted.h"
#include "base/random.h"
#include "raft/core.h"
#include "raft/log.h"
#include "raft/progress.h"
#include "raft/quorum.h"

namespace raftd::raft {

inline constexpr Term kTermMax{uint64_t{1} << 62};  // from it on a message is nonsense

/// Who answered a (pre-)vote, and how.
struct Votes {
    struct Answer {
        NodeId from;
        bool granted;
        template <class Archive>
        void fields(Archive& archive) {
            archive(from, granted);
        }
    };
    std::vector<Answer> answers;

    void add(NodeId from, bool granted) {
        for (const Answer& answer : answers)
            if (answer.from == from) return;  // the first one counts; duplicates change nothing
        answers.push_back({from, granted});
    }
    int of(NodeId id) const {
        for (const Answer& answer : answers)
            if (answer.from == id) return answer.granted ? 1 : -1;
        return 0;
    }
    template <class Archive>
    void fields(Archive& archive) {
        archive(answers);
    }
};

struct Follower {
    NodeId leader{};         // 0: not known
    Instant heard_at;        // from that leader
    Duration timeout;        // the draw of this stretch
    Instant election_at;     // campaign then
    bool link_lost = false;  // the leader's connection ended: stickiness is void
    template <class Archive>
    void fields(Archive& archive) {
        archive(leader, heard_at, timeout, election_at, link_lost);
    }
};
struct PreCandidate {
    Votes votes;
    Instant retry_at;
    template <class Archive>
    void fields(Archive& archive) {
        archive(votes, retry_at);
    }
};
struct Candidate {
    Votes votes;
    Instant retry_at;
    bool transfer = false;
    template <class Archive>
    void fields(Archive& archive) {
        archive(votes, retry_at, transfer);
    }
};

/// A linearizable read that waits for its proof. `from` 0: mine, else the follower that asked.
struct PendingRead {
    ReadId id;
    NodeId from;
    Index index;     // commit when it was taken; 0: not taken yet (no own-term commit)
    uint64_t round;  // confirmed by a quorum's echo of this round or a later one; 0: not started
    Instant ends_at;
    template <class Archive>
    void fields(Archive& archive) {
        archive(id, from, index, round, ends_at);
    }
};
struct Leader {
    std::vector<Progress> followers;  // by id; all members but me, and for a while those just removed
    uint64_t round = 1;
    Instant heartbeat_at;
    std::vector<PendingRead> reads;
    struct Handover {
        NodeId to;
        Instant ends_at;
        bool told = false;        // TimeoutNow is out
        bool must_leave = false;  // step down when it fails
        bool asked = false;       // by ev::Transfer: its end is reported
        template <class Archive>
        void fields(Archive& archive) {
            archive(to, ends_at, told, must_leave, asked);
        }
    };
    std::optional<Handover> handover;
    std::optional<Membership> wanted;  // asked for, or due by intent; not in the log yet
    Instant preference_at;             // no handing over for priority before
    template <class Archive>
    void fields(Archive& archive) {
        archive(followers, round, heartbeat_at, reads, handover, wanted, preference_at);
    }
};

/// A write that was asked for and isn't durable; `last` falls when the log is cut below it, so that its
/// completion can't vouch for entries that are gone (no ABA).
struct PendingWrite {
    WriteId id;
    Index last;
    Instant at;
    template <class Archive>
    void fields(Archive& archive) {
        archive(id, last, at);
    }
};

/// A read of mine that the leader was asked about.
struct AskedRead {
    ReadId id;
    ReadId asked;  // id on the wire; 0: not sent yet
    Instant ends_at;
    template <class Archive>
    void fields(Archive& archive) {
        archive(id, asked, ends_at);
    }
};

struct Core::State {
    State(const Options& options_in, NodeId self_in, const Restart& restart, uint64_t seed, Instant now_in);
    explicit State(const Options& options_in)  // to be filled by record.cpp
        : options(options_in), random(0), log(options_in.in_flight_bytes_max) {}

    // --- core.cpp: the door
    // ---------------------------------------------------------------------------------
    Taken step(const Event& event);
    void collect(Output& output);
    Instant deadline() const;
    View view() const;

    void on(const ev::Tick&);
    void on(const ev::Durable&);
    void on(const ev::Health&);
    void on(const ev::Peer&);
    void on(const ev::Link&);
    void on(const ev::Contradicted&);
    void on(const ev::Mended&);
    void on(const ev::Readers& event) { readers_waiting = event.waiting; }
    void on(const ev::Heard&);
    Taken on(const ev::Message&);
    Taken dispatch(const ev::Message&);
    /// True when the message is of no use any more (it was answered if an answer helps).
    bool term_rule(const ev::Message&);
    void answer_stale(const ev::Message&);

    bool hard_durable() const { return !hard_dirty && hard_write <= durable_write; }
    bool disk_stalled(Duration longest) const { return !writes.empty() && now - writes.front().at > longest; }
    WriteId wait_for_hard() const { return hard_write > durable_write ? hard_write : WriteId{}; }
    WriteId wait_for_entries(Index upto) const;
    /// A message that carries my term: leaves once the term and vote are durable.
    void say(NodeId to, const msg::Any& message) { waiting.push_back({to, message, true}); }
    /// One that promises nothing.
    void say_now(NodeId to, const msg::Any& message) { waiting.push_back({to, message, false}); }
    void cut_log(Index keep);
    void raise_commit(Index to);
    template <class Role>
    Role* as() {
        return std::get_if<Role>(&role);
    }
    template <class Role>
    const Role* as() const {
        return std::get_if<Role>(&role);
    }
    bool leads() const { return std::holds_alternative<Leader>(role); }
    NodeId leader() const;
    const Membership& membership() const { return log.config().members; }
    bool peer_may_lead(NodeId id) const {
        return std::find(unfit_peers.begin(), unfit_peers.end(), id) == unfit_peers.end();
    }

    // --- election.cpp
    // ---------------------------------------------------------------------------------------
    Duration draw() {
        return half() + Duration{static_cast<int64_t>(
                            random.below(static_cast<uint64_t>((options.election_timeout - half()).ns)))};
    }
    Duration half() const { return options.election_timeout / 2; }
    bool may_campaign() const;
    bool needed() const;
    bool may_lead() const { return health.may_lead && health.hole_first == Index{}; }
    /// Somebody of the configuration is there (min_members).
    void meet(NodeId peer);
    /// A leader of the present term was heard so recently that votes against it are refused.
    bool sticky() const;
    void become_follower(Term term, NodeId of);
    void heard_leader(NodeId from);
    void election_due();
    void pre_campaign();
    void campaign(bool transfer);
    void count_votes();
    void become_leader();
    void leave_office();
    void on_vote(NodeId from, const msg::Vote& vote);
    void on_vote_ok(NodeId from, const msg::VoteOk& answer);
    void on_timeout_now(NodeId from);
    Index removed_at(NodeId id) const;

    // --- replication.cpp
    // ------------------------------------------------------------------------------------
    Taken on(const ev::Propose&);
    void on(const ev::Fetched&);
    struct Fit {
        enum class Kind : uint8_t { malformed, conflict, diverged, no_room, repairing, good } kind;
        Index keep;        // of my log
        size_t first_new;  // in the entries; entries.size(): none is new
        Index verified;    // equal to the leader's up to here once this is taken
    };
    Fit judge(const msg::Append& append, std::span<const EntryMeta> entries) const;
    /// Damaged, and of unknown term.
    bool in_gap(Index index) const { return index >= health.hole_first && index < health.known_from; }
    /// Whether my log holds this entry can't be told before the repair. If it does, what lies behind may have
    /// been acknowledged and stays; if not, all of that goes: so nothing may be decided by a guess.
    bool in_doubt(EntryId id) const {
        return in_gap(id.index) && id.term >= log.term_at(health.hole_first - 1) &&
               id.term <= log.term_at(health.known_from);
    }
    size_t first_difference(std::span<const EntryMeta> entries) const;
    Taken on_append(const ev::Message& event, const msg::Append& append);
    void answer_append(Output& output);
    void on_append_ok(NodeId from, const msg::AppendOk& answer);
    void on_append_no(NodeId from, const msg::AppendNo& answer);
    Index own_match() const;
    void advance_commit();
    Progress* follower(NodeId id);
    void heartbeat_due();
    bool quorum_active() const;
    void send_appends(Output& output);
    void send_to(Progress& to, Output& output);
    void send_snapshot(Progress& to, Output& output);
    Index next_batch(Progress& to, uint64_t& bytes, Output& output);

    // --- reads.cpp
    // ------------------------------------------------------------------------------------------
    void on(const ev::Read&);
    void on_read_index(NodeId from, const msg::ReadIndex& ask);
    void on_read_index_ok(NodeId from, const msg::ReadIndexOk& answer);
    void add_read(Leader& leader, ReadId id, NodeId from);
    /// Takes indexes and starts a round for reads that have none. Before appends are sent.
    void start_reads(Leader& leader);
    void finish_reads(Leader& leader);
    void ask_leader();
    void fail_asked_reads();
    void expire_reads();

    // --- membership.cpp
    // -------------------------------------------------------------------------------------
    std::optional<Refusal> may_change(const Membership& target) const;
    void on(const ev::ProposeMembership&);
    bool answers(const Progress& to, Duration within) const;
    bool near_end(const Progress& to) const;
    bool half_answers(const std::vector<Member>& half, bool near) const;
    void begin_change(const std::vector<Member>& target);
    void follow_up();
    void promote_learners();
    void prefer_higher_priority();
    void tell_the_removed();
    void follow(NodeId id);
    void on(const ev::Transfer&);
    void on(const ev::SnapshotEnded&);
    void on(const ev::Installed&);
    void on(const ev::Compacted&);
    void on_snapshot(NodeId from, const msg::Snapshot& offer);
    void configuration_changed();
    void want_entries(Output& output);
    bool fit_to_lead(const Leader& leader, NodeId id) const;
    void hand_over(NodeId to, bool asked, bool must_leave);
    void drive_handover();
    void end_handover(Output::TransferEnd how);
    NodeId best_successor() const;
    void leave_if_removed();

    // --- what a member is
    // --------------------------------------------------------------------------------------
    Options options;
    NodeId self{};
    Random random;
    Instant now{};  // of the newest event; never falls
    Health health;
    uint64_t boot = 0;

    HardState hard;
    bool hard_dirty = false;  // changed since the last Output::write
    WriteId hard_write{};     // carries it
    Log log;
    Index commit{};
    Index durable{};  // Invariant: base <= durable <= last; entries up to here are synced, as the log is now
    std::variant<Follower, PreCandidate, Candidate, Leader> role;

    WriteId last_write{}, durable_write{};
    Ring<PendingWrite> writes;
    Index written{};  // end of the log at the last Output::write
    Index kept{};     // lowest end since then

    Index promised{};          // the match that this term's leader was, or will be, told
    Index removed_at_index{};  // a committed configuration from here on excludes me
    bool counted_on = false;   // one with an older log asked for my vote, and no leader was heard since
    std::vector<NodeId> unfit_peers, met_peers;
    bool readers_waiting = false;
    uint64_t read_counter = 0, fetch_counter = 0;
    Ring<AskedRead> asked_reads;

    // --- owed at the next collect
    // ------------------------------------------------------------------------------
    struct Waiting {
        NodeId to;
        msg::Any message;
        bool after_hard;
        template <class Archive>
        void fields(Archive& archive) {
            archive(to, message, after_hard);
        }
    };
    struct Answer {   // to the leader's appends of this turn, merged
        NodeId to{};  // 0: none
        Index verified{};
        uint64_t round = 0;
        template <class Archive>
        void fields(Archive& archive) {
            archive(to, verified, round);
        }
    };
    std::vector<Waiting> waiting;
    Answer answer;
    std::optional<EntryId> reset;
    std::optional<Output::Install> install;
    std::optional<Index> lost_after, diverged;
    std::optional<Output::TransferEnd> transfer_end;
    std::vector<std::pair<ReadId, Index>> reads_done;
    std::vector<ReadId> reads_failed;
    Output::RoleChange role_told{};
    uint64_t config_told = 0;
    bool checking = false;
};

}  // namespace raftd::raft
