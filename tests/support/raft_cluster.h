// A cluster of bare cores with its own network and disks, for tests of raft/: no daemon, no bytes. Nothing
// happens by itself: messages wait on their link until delivered, writes wait on their disk until persisted,
// time stands. Every step is followed by checks against a truth kept outside the members (known-bugs I1-I8,
// I10, I15, I16): a violation throws Violation with a text.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "raft/core.h"

namespace raftd::raft::test {

struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Entry {
    EntryId id;
    uint32_t bytes = 0;
    uint64_t value = 0;  // stands for the payload
    std::optional<Membership> membership;
};

struct Letter {
    NodeId from, to;
    msg::Any message;
    std::vector<Entry> entries;
};

/// What survives a crash.
struct Image {
    HardState hard;
    EntryId base;
    ConfigAt base_config;
    std::vector<Entry> entries;  // behind base
    EntryId snapshot;            // what CURRENT names: wins over a log that ends before it or contradicts it
    ConfigAt snapshot_config;
    std::optional<Entry> at(Index index) const;
    Index last() const { return base.index + entries.size(); }
    /// All that a start would find.
    Index end() const { return std::max(last(), snapshot.index); }
};

struct Member_ {
    struct Write {
        Output::Write what;
        std::optional<EntryId> reset;
        ConfigAt reset_config;
        std::vector<Entry> entries;
    };
    NodeId id;
    Options options;
    Image disk;              // synced
    std::vector<Entry> log;  // in memory, behind disk.base or the newest reset
    EntryId log_base;
    ConfigAt base_config;
    std::deque<Write> writes;  // asked for, not synced
    std::deque<Send> parked;   // wait for a write
    std::optional<Core> core;  // nothing: down
    bool healthy = true;
    uint64_t boot = 0;
    Health health;
    Index commit_seen;                    // of this life
    std::map<ReadId, Index> reads_begun;  // with what was committed by anyone then
    std::vector<std::pair<ReadId, Index>> reads_done;
    std::vector<ReadId> reads_failed;
    std::optional<Output::TransferEnd> transfer;
    std::optional<Index> lost_after, diverged;
    const Entry& at(Index index) const;
    Index last() const { return log_base.index + log.size(); }
};

class Cluster {
public:
    /// The members of the genesis, and `spares` more with the ids that follow: they have the same genesis,
    /// and belong to nothing until a change names them.
    Cluster(std::vector<Member> members, const Options& options, uint64_t seed, size_t spares = 0);

    void start(NodeId id);
    /// The first `keep` unsynced writes reach the disk all the same; the rest and all memory are lost.
    void crash(NodeId id, size_t keep);
    void step(NodeId id, const std::vector<Entry>& entries, Event event);
    void tick(NodeId id);
    bool propose(NodeId id, size_t count, uint32_t bytes);
    void read(NodeId id, ReadId read);
    /// Syncs the oldest `count` writes of a member and reports them at once.
    size_t persist(NodeId id, size_t count);
    /// Hands over the letter at `position` of a link.
    bool deliver(NodeId from, NodeId to, size_t position, bool keep_a_copy);
    /// A snapshot up to what is committed and durable there: the entries go.
    void compact(NodeId id);
    void drop(NodeId from, NodeId to, size_t position);
    /// Calls collect and performs it.
    void turn(NodeId id);
    /// Nobody fails, nothing is lost: runs until all is quiet or `longest` has passed.
    void settle(Duration longest);
    /// A turn of the whole cluster: delivers and persists all there is at this instant.
    bool flush();
    /// Moves the clock to the next deadline, at most to `until`.
    void advance(Instant until);

    /// A disk that isn't empty at the first start.
    void set_log(NodeId id, const std::vector<Term>& terms, HardState hard);
    /// The entry of that id, made now if nobody did.
    Entry known(EntryId id);
    void fetch(NodeId id, const Output::Fetch& what);

    Member_& member(NodeId id) { return *members_.at(id); }
    std::deque<Letter>& link(NodeId from, NodeId to) { return links_[{from, to}]; }
    std::vector<NodeId> ids() const;
    std::optional<NodeId> leader() const;  // of the newest term, if up
    Index committed() const { return Index{truth_.empty() ? first_truth_ : first_truth_ + truth_.size()}; }
    void check_log_matching() const;

    Instant now{0};
    std::set<std::pair<NodeId, NodeId>> cut;  // letters vanish when sent
    bool hold_fetches = false;
    bool checks_vote_durability = true;
    std::deque<std::pair<NodeId, Output::Fetch>> fetches;
    std::vector<std::string>* trace = nullptr;              // texts of outputs go here
    std::function<void(NodeId, const Event&)> on_step;      // before each
    std::function<void(NodeId, const Output&)> on_collect;  // after each
    uint64_t append_messages = 0;
    uint64_t changes_committed = 0;  // configurations that aren't joint
    /// The newest committed configuration.
    const Membership& committed_members() const { return truth_members_.members; }
    size_t uncommitted_configs(const Member_& member) const;

private:
    void perform(Member_& member, Output& output);
    void send(Member_& member, const Send& send);
    void check_leader(Member_& member);
    void check_commit(Member_& member, Index commit);
    void check_change(const Member_& member, const ConfigAt& before, const Entry& change) const;
    void check_config(const Member_& member) const;
    void note(const Member_& member, const std::string& line);
    void install(Member_& member, const Output::Install& what);
    bool durable_on(NodeId id, const Entry& entry) const;

    uint64_t seed_;
    std::map<NodeId, std::unique_ptr<Member_>> members_;
    std::map<std::pair<NodeId, NodeId>, std::deque<Letter>> links_;
    std::map<Term, NodeId> leaders_;
    std::map<std::pair<NodeId, Term>, NodeId> votes_;  // said aloud
    std::map<EntryId, uint64_t> values_;
    std::vector<Entry> truth_;       // committed, from first_truth_ + 1 on
    std::vector<Term> truth_terms_;  // of the leaders that committed them
    uint64_t first_truth_ = 0;
    ConfigAt truth_members_;          // the newest in truth_, else the genesis'
    std::set<NodeId> ids_committed_;  // of any committed configuration
    uint64_t next_value_ = 1;
    Output output_;
};

}  // namespace raftd::raft::test
