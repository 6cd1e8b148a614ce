// What really happened in a run, kept outside the members, and the invariants checked against it after each
// turn. Costs O(what changed): a turn that changed nothing is a few compares. A violated invariant throws
// Violation.
// - leaders: one a term, for ever (I1), elected by a majority of each half; has all that was committed in
//   earlier terms (I5); never cuts its own log (I3)
// - logs: one chain for a (term, index) over all members and all time (I4): the chain names the whole prefix
// - commit: rises within a life, lies within the log (I7), is the same everywhere (I6), begins with an entry
// of
//   the leader's own term that a majority of each half of the configuration in force holds durably (I8)
// - promises: terms said never fall, one vote a term over restarts (I2); a start finds all that was promised:
//   term, vote, acknowledged entries (I10)
// - reads: a follower's is confirmed only by replies to what was sent after it came (I19)
// - old images: a member that runs on an old image of its disk promises nothing (I18)
// - state: a function of the applied prefix: equal wherever the applied index is
// - configurations: I15, I16 (sim/config_truth.h); only a committed one silences whom it leaves out
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "daemon/node.h"
#include "sim/config_truth.h"
#include "sim/log_time.h"
#include "sim/network.h"
#include "sim/reach.h"
#include "sim/read_proof.h"
#include "sim/violation.h"

namespace raftd::sim {

class Truth : public FrameWatcher {
public:
    /// Members are hosts 1..count, by their ids. `lag_max`: entries that a new voter may lack.
    Truth(Kernel& kernel, uint32_t count, const LogPoint& base, const daemon::Configuration& genesis,
          uint64_t lag_max, Reached& reached);

    /// The next host may be a member from now on.
    void add_member();

    /// A member is up again, recovered; its node hasn't been given an event yet.
    void started(uint32_t member, const daemon::Node& node);
    void after_turn(uint32_t member, const daemon::Node& node);
    void ended(uint32_t member);
    /// An old image was put in the place of its disk: it may run, but must never vote nor acknowledge again.
    void put_back(uint32_t member) { members_[member].stale = true; }
    /// Counts the terms that nobody won. For the end of a run.
    void count_lost_terms();
    /// Whoever has applied as much has the same replicated state.
    void check_state(uint32_t member, const daemon::State& state);
    /// Archives that begin at one entry are the same on all members (H13).
    void check_archives(uint32_t member, const std::vector<snapshot::ArchiveInfo>& archives);
    void sent(uint32_t from, uint32_t to, io::ConnClass kind, const proto::FrameHeader& header,
              ByteView payload) override;
    void arrived(uint32_t from, uint32_t to, const proto::FrameHeader& header, ByteView payload) override;
    /// Told of each frame between members when it arrives; for traces.
    std::function<void(uint32_t from, uint32_t to, const std::string& text)> on_frame;
    /// Told when a member has just promised something: a vote, or that it holds entries.
    std::function<void(uint32_t member, bool vote)> on_promise;
    /// Checks what a start would find, against what was promised: for the copy of a disk after a power cut.
    void check_promises(uint32_t member, const HardState& hard, const LogPoint& last) const;

    LogTimeCheck log_time;
    ConfigTruth configs;

    // What the rest asks.
    uint64_t committed() const { return committed_.size() - 1; }  // highest committed index
    Lsn committed_lsn_end() const { return lsn_end_; }            // behind the last committed record
    Lsn trimmed() const { return trimmed_; }  // the first record that every member must still have
    uint64_t commit_chain(uint64_t index) const { return committed_[index]; }
    /// The living leader of the highest term; 0: nobody leads.
    uint32_t leader() const;
    uint64_t committed_time_ms() const;  // stamp of the last committed entry
    Term term_max() const { return term_max_; }
    uint64_t elections() const { return leaders_.size(); }
    Term term_of(uint32_t member) const { return members_[member].term; }
    bool leads(uint32_t member) const { return members_[member].role == raft::Role::leader; }
    Instant commit_moved_at() const { return commit_moved_at_; }
    /// A living leader with nothing in its log that isn't committed.
    bool leader_is_idle() const;

private:
    struct Version {  // one entry that ever stood at an index
        Term term;
        uint64_t chain, before;
        Lsn lsn_next;
        uint64_t timestamp_ms = 0;
        Instant stamped_at{};  // when the first entry with this stamp was made, so far without a gap
    };
    struct Member {
        bool alive = false, stale = false;
        std::vector<uint64_t> chains;  // of its log, by index, from that of the base on
        // Of the newest turn: where it cut the log, if it did, and where the log ended before.
        uint64_t cut_to = UINT64_MAX, last_before_turn = 0;
        Term term{};
        raft::Role role{};
        Index commit{}, applied{}, removed_at{};
        // Said to others, and to be kept over restarts.
        Term said{}, said_before{};  // said_before: before this instant
        Instant said_at{};
        std::map<Term, NodeId> votes;
        uint64_t ok_index = 0, ok_chain = 0;
    };

    [[noreturn]] void violated(uint32_t member, const std::string& what) const;
    const Version* version(uint64_t index, uint64_t chain) const;
    void follow_log(uint32_t number, Member& member, const daemon::Node& node, const LogPoint& end);
    void learn(uint32_t number, const LogPoint& point, uint64_t chain_before);
    void became_leader(uint32_t number, const Member& member);
    void note_commit(uint32_t number, Member& member, const daemon::Node& node, Index commit,
                     Term led_before);
    void check_majority(uint32_t number, uint64_t index, const daemon::Node& node) const;
    void check_elected(uint32_t number, const Member& member) const;
    void follow_configs(uint32_t number, Member& member, const daemon::Node& node, uint64_t keep);
    void check_removed(uint32_t by, uint32_t number, Index at) const;
    /// By a majority of each half of what is in force at this member, or was when its turn began.
    bool majority_at(uint32_t number, const std::function<bool(NodeId)>& yes) const;
    uint64_t lag(uint32_t number, NodeId of) const;
    std::vector<uint32_t> voters_at(uint32_t number) const;
    void said_term(uint32_t number, Term term);
    void said_vote(uint32_t number, Term term, NodeId to);
    void check_not_stale(uint32_t number) const;
    void arrived_at_member(uint32_t from, uint32_t to, const proto::FrameHeader& header, ByteView payload);
    /// Chain at `index` of the log that ends with `end`.
    std::optional<uint64_t> chain_at(uint64_t index, const LogPoint& end) const;

    Kernel& kernel_;
    Reached& reached_;
    LogPoint base_;
    uint64_t lag_max_;
    std::vector<Member> members_;                 // [0] unused
    std::vector<std::vector<Version>> versions_;  // by index
    std::vector<uint64_t> committed_;             // chain by index, from that of the base on
    std::map<Term, uint32_t> leaders_;
    std::map<Term, uint64_t> commit_by_term_;  // highest index committed by the leader of a term
    ReadProof reads_;
    Lsn lsn_end_{1}, trimmed_{1};
    Term term_max_{};
    struct Applied {
        uint64_t digest;
        uint32_t member;  // who was there first
    };
    std::map<Index, Applied> states_;
    struct Archived {
        snapshot::ArchiveInfo archive;
        uint32_t member;  // whose was seen first
    };
    std::map<Index, Archived> archives_;  // by first entry
    Instant commit_moved_at_{};
};

}  // namespace raftd::sim
