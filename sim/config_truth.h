// Which configurations the log has held, and what is in force where: the part of Truth that knows who
// belongs. Judges each configuration entry when a leader makes it (I15, I16): one uncommitted at a time,
// after a commit of the leader's own term; C_old,new is followed by C_new alone, once it is committed; voters
// change by a joint step alone; a new voter has nearly all of the log; ids and incarnations never return.
// Counts majorities by voters of both halves, by code of its own.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/members.h"
#include "sim/reach.h"

namespace raftd::sim {

/// One configuration entry that ever stood in a log; the first is the genesis.
struct ConfigEntry {
    uint64_t index = 0, chain = 0;
    Term term{};
    uint32_t maker = 0;  // the member that appended it; 0: the genesis
    daemon::Configuration what;
    NodeId ids_upto{};  // the highest id named so far, in the log that it stands in
    uint32_t before = 0;
    std::map<NodeId, uint32_t> intended{};  // learners that are to be promoted: who appended that
};

class ConfigTruth {
public:
    using Ref = uint32_t;  // stable: entries are never forgotten
    ConfigTruth(const daemon::Configuration& genesis, uint64_t chain, Reached& reached);

    void add_member();
    const ConfigEntry& at(Ref ref) const { return all_[ref]; }
    /// The newest configuration that is committed.
    Ref settled() const { return settled_.back(); }
    /// The newest at or below this committed index.
    const ConfigEntry& settled_at(uint64_t index) const;
    const std::vector<Ref>& settled_all() const { return settled_; }
    /// Of this member's log; before: as its present turn, or the one before, began.
    Ref in_force(uint32_t member) const { return stacks_[member].back(); }
    Ref in_force_before(uint32_t member) const { return before_[member]; }
    const std::vector<Ref>& stack(uint32_t member) const { return stacks_[member]; }
    void turn(uint32_t member) { before_[member] = stacks_[member].back(); }

    /// This member's log ends at `keep` from here on. Says how many configurations went.
    size_t cut(uint32_t member, uint64_t keep);
    /// A snapshot of everything up to `base` replaced this member's log.
    void install(uint32_t member, uint64_t base);
    /// What a leader knew when it made an entry.
    struct Maker {
        uint32_t member = 0;
        Term term{};
        uint64_t commit = 0;
        bool own_term = false;  // what lies at its commit index is of its own term
        /// How many entries a member lacks, by what it has acknowledged.
        std::function<uint64_t(NodeId)> lag;
        uint64_t lag_max = 0;
    };
    /// The entry at `index` of this member's log is a configuration; the first to have it made it. Says what
    /// is wrong with it.
    std::optional<std::string> push(uint32_t member, uint64_t index, uint64_t chain,
                                    const Membership& membership, const daemon::MemberInfos* infos,
                                    const Maker& maker);
    /// This member's log is committed up to there, as none was before.
    void committed(uint32_t member, uint64_t upto);
    std::function<void(const ConfigEntry&)> on_settled;
    std::function<void(const ConfigEntry&)> on_made;

    /// Whether one at a higher index, committed or not, makes this member a voter.
    bool made_voter_behind(uint64_t index, NodeId id) const;
    /// Whether a majority of the voters of each half says yes.
    static bool majority(const Membership& membership, const std::function<bool(NodeId)>& yes);
    static bool votes(const Membership& membership, NodeId id);
    static bool names(const Membership& membership, NodeId id);

private:
    std::optional<std::string> judge(const ConfigEntry& before, const ConfigEntry& made,
                                     const Maker& maker) const;
    std::optional<std::string> judge_step(const Membership& before, const Membership& after) const;
    std::optional<std::string> judge_ids(const ConfigEntry& before, const ConfigEntry& made) const;
    std::optional<std::string> judge_names(const ConfigEntry& made) const;
    void note_intents(const ConfigEntry& before, ConfigEntry& made);
    void note_settled(uint32_t member, const ConfigEntry& entry);

    Reached& reached_;
    std::vector<ConfigEntry> all_;
    std::map<std::pair<uint64_t, uint64_t>, Ref> known_;  // by index and chain
    std::vector<Ref> settled_;                            // in order
    std::vector<std::vector<Ref>> stacks_;                // by member; [0] unused
    std::vector<Ref> before_;
};

}  // namespace raftd::sim
