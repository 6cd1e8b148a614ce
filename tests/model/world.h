// All members, the letters on their way and what history has to remember, as a handful of numbers: members,
// letters and histories are kept once each and named by number, so that a state costs 64 bytes, and what an
// event does to a member is worked out once.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tests/model/machine.h"

namespace raftd::raft::model {

/// What is explored: every state that can be reached within these bounds.
struct Bounds {
    std::string name;
    Setting setting;
    std::vector<Membership> targets;  // a change of members goes to one of these; none: no change
    std::vector<Renaming> same;  // renamings under which all of it looks the same; the first changes nothing
    uint64_t terms = 2, entries = 3, letters = 3, crashes = 0, doubles = 0;
};

struct World {
    static constexpr size_t kMembers = 3, kLettersMax = 9;
    std::array<uint32_t, kMembers> members{};
    uint32_t history = 0;
    uint8_t crashes = 0, changes = 0, doubles = 0, letter_count = 0;
    std::array<uint32_t, kLettersMax> letters{};  // each once, rising
    uint64_t hash() const;
    bool operator==(const World&) const = default;
};

struct Action {
    enum Kind : uint8_t { tick, deliver, deliver_copy, drop, sync, crash, restart, propose, change } kind;
    uint8_t member;  // by position
    uint8_t which;   // letter by position, or target
};

/// Makes the successors of worlds, and checks each (Violation).
class Universe {
public:
    explicit Universe(const Bounds& bounds);

    World first();
    /// Everything that may happen in `world` within the bounds.
    void actions(const World& world, std::vector<Action>& out) const;
    /// Nothing when it leads out of the bounds.
    std::optional<World> after(const World& world, Action action);
    /// The same for all worlds that differ by names only.
    World canonical(const World& world);
    std::string text(const World& world, Action action) const;
    std::string text(const World& world) const;
    size_t machine_count() const { return machines_.size(); }
    size_t letter_count() const { return letters_.size(); }

private:
    static constexpr uint32_t kUnknown = UINT32_MAX;
    /// What an event did to one member.
    struct Local {
        uint32_t machine = 0;
        std::vector<uint32_t> letters;
        std::string violation;
        bool possible = true, log_changed = false, commit_raised = false;
    };
    struct History {
        std::vector<uint64_t> leaders;  // of each term; 0: none yet
        std::vector<Entry> committed;
        std::vector<uint64_t> committed_in;  // the term of the leader that committed it
    };
    template <class T>
    struct Kept {
        std::vector<std::unique_ptr<T>> items;
        std::vector<std::array<uint32_t, 6>> renamed;
        std::unordered_map<Key, uint32_t, KeyHash> by_key;
        size_t size() const { return items.size(); }
        const T& operator[](uint32_t at) const { return *items[at]; }
        uint32_t keep(const Key& key, T item);
    };

    const Local& local(uint32_t machine, Action action, uint32_t letter);
    Local work_out(uint32_t machine, Action action, uint32_t letter);
    bool useless(uint32_t letter, const World& world) const;
    bool arrive(World& world, const std::vector<uint32_t>& letters) const;
    void check(World& world, const Local& what, uint32_t before);
    void check_leader(const Machine& machine, History& history, bool& changed) const;
    void check_commit(const World& world, const Machine& before, const Machine& machine, History& history,
                      bool& changed) const;
    void check_changes(const Machine& before, const Machine& machine, const History& history) const;
    void check_matching(const World& world, const Machine& machine) const;
    uint32_t renamed_machine(uint32_t machine, size_t by);
    uint32_t renamed_letter(uint32_t letter, size_t by);
    uint32_t renamed_history(uint32_t history, size_t by);
    uint32_t keep(History history);

    Bounds bounds_;
    Kept<Machine> machines_;
    Kept<Letter> letters_;
    Kept<History> histories_;
    std::unordered_map<uint64_t, Local> locals_;
};

}  // namespace raftd::raft::model
