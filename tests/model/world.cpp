#include "tests/model/world.h"

#include <algorithm>

#include "base/check.h"
#include "base/checksum.h"
#include "raft/quorum.h"
#include "raft/text.h"

namespace raftd::raft::model {

namespace {
void check_fails_the_search(std::string_view message) { throw Violation(std::string(message)); }
}  // namespace

uint64_t World::hash() const {
    uint32_t words[kMembers + 2 + kLettersMax];
    std::copy(members.begin(), members.end(), words);
    words[kMembers] = history;
    words[kMembers + 1] =
        crashes | static_cast<uint32_t>(changes) << 8 | static_cast<uint32_t>(doubles) << 16;
    std::copy_n(letters.begin(), letter_count, words + kMembers + 2);
    return checksum(std::as_bytes(std::span(words, kMembers + 2 + letter_count)));
}

template <class T>
uint32_t Universe::Kept<T>::keep(const Key& key, T item) {
    const auto [at, fresh] = by_key.emplace(key, static_cast<uint32_t>(items.size()));
    if (fresh) {
        items.push_back(std::make_unique<T>(std::move(item)));
        renamed.push_back({at->second, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown});
    }
    return at->second;
}

Universe::Universe(const Bounds& bounds) : bounds_(bounds) {}

World Universe::first() {
    World world;
    keep(History{std::vector<uint64_t>(bounds_.terms + 1), {}, {}});
    for (uint64_t id = 1; id <= World::kMembers; ++id) {
        Machine machine(NodeId{id}, bounds_.setting);
        std::vector<Letter> out;
        machine.start(out);
        const Key key = machine.key();
        world.members[id - 1] = machines_.keep(key, std::move(machine));
    }
    return canonical(world);
}

// --- what may happen
// ----------------------------------------------------------------------------------------------

void Universe::actions(const World& world, std::vector<Action>& out) const {
    out.clear();
    for (uint8_t at = 0; at < World::kMembers; ++at) {
        const Machine& machine = machines_[world.members[at]];
        if (!machine.up()) {
            out.push_back({Action::restart, at, 0});
            continue;
        }
        out.push_back({Action::tick, at, 0});
        if (machine.writing()) out.push_back({Action::sync, at, 0});
        if (world.crashes < bounds_.crashes) out.push_back({Action::crash, at, 0});
        if (!machine.core().accepting()) continue;
        if (raw(machine.core().last()) < bounds_.entries) out.push_back({Action::propose, at, 0});
        for (uint8_t target = 0; target < bounds_.targets.size() && world.changes == 0; ++target)
            out.push_back({Action::change, at, target});
    }
    for (uint8_t at = 0; at < world.letter_count; ++at) {
        const auto to = static_cast<uint8_t>(raw(letters_[world.letters[at]].to) - 1);
        // To be lost is to be left where it is; only for the sake of room it has to go.
        if (world.letter_count + 2u > bounds_.letters) out.push_back({Action::drop, to, at});
        if (!machines_[world.members[to]].up()) continue;
        out.push_back({Action::deliver, to, at});
        if (world.doubles < bounds_.doubles) out.push_back({Action::deliver_copy, to, at});
    }
}

Universe::Local Universe::work_out(uint32_t machine, Action action, uint32_t letter) {
    Local result;
    std::vector<Letter> out;
    const Machine& before = machines_[machine];
    Machine after = before;
    set_check_hook(check_fails_the_search);
    try {
        switch (action.kind) {
            case Action::tick: after.tick(out); break;
            case Action::deliver:
            case Action::deliver_copy: after.deliver(letters_[letter], out); break;
            case Action::sync: after.sync(out); break;
            case Action::crash: after.crash(); break;
            case Action::restart: after.start(out); break;
            case Action::propose: after.propose(out); break;
            case Action::change:
                if (before.core().may_change(bounds_.targets[action.which])) {
                    result.possible = false;
                    return result;
                }
                after.change(bounds_.targets[action.which], out);
                break;
            case Action::drop: break;
        }
    } catch (const Violation& violation) {
        result.violation = violation.what();
        return result;
    }
    if (after.up() && (raw(after.core().term()) > bounds_.terms || after.log().size() > bounds_.entries)) {
        result.possible = false;
        return result;
    }
    result.log_changed = after.log() != before.log();
    result.commit_raised = after.up() && (!before.up() || after.core().commit() > before.core().commit());
    for (Letter& letter_out : out) {
        const Key key = key_of(letter_out);
        result.letters.push_back(letters_.keep(key, std::move(letter_out)));
    }
    const Key key = after.key();
    result.machine = machines_.keep(key, std::move(after));
    return result;
}

const Universe::Local& Universe::local(uint32_t machine, Action action, uint32_t letter) {
    const uint64_t argument = action.kind == Action::change ? action.which : letter;
    const uint64_t kind =
        action.kind == Action::deliver_copy ? uint64_t{Action::deliver} : uint64_t{action.kind};
    const uint64_t event = (uint64_t{machine} << 32) | (argument << 4) | kind;
    const auto known = locals_.find(event);
    if (known != locals_.end()) return known->second;
    return locals_.emplace(event, work_out(machine, action, letter)).first->second;
}

/// An answer of a term that is over for good says nothing any more.
bool Universe::useless(uint32_t number, const World& world) const {
    const Letter& letter = letters_[number];
    const Term term = std::visit([](const auto& any) { return any.term; }, letter.message);
    const auto* vote = std::get_if<msg::VoteOk>(&letter.message);
    const bool answer = std::holds_alternative<msg::AppendOk>(letter.message) ||
                        std::holds_alternative<msg::AppendNo>(letter.message) || vote != nullptr;
    return answer && term < machines_[world.members[raw(letter.to) - 1]].durable_term();
}

bool Universe::arrive(World& world, const std::vector<uint32_t>& letters) const {
    auto* kept = std::remove_if(world.letters.begin(), world.letters.begin() + world.letter_count,
                                [&](uint32_t letter) { return useless(letter, world); });
    std::fill(kept, world.letters.begin() + world.letter_count, 0u);
    world.letter_count = static_cast<uint8_t>(kept - world.letters.begin());
    for (uint32_t letter : letters) {
        auto* end = world.letters.begin() + world.letter_count;
        auto* at = std::lower_bound(world.letters.begin(), end, letter);
        if ((at != end && *at == letter) || useless(letter, world)) continue;
        if (world.letter_count >= bounds_.letters) return false;
        std::copy_backward(at, end, end + 1);
        *at = letter;
        ++world.letter_count;
    }
    return true;
}

std::optional<World> Universe::after(const World& before, Action action) {
    World world = before;
    uint32_t letter = 0;
    if (action.kind == Action::deliver || action.kind == Action::deliver_copy ||
        action.kind == Action::drop) {
        letter = world.letters[action.which];
        if (action.kind != Action::deliver_copy) {
            std::copy(world.letters.begin() + action.which + 1, world.letters.begin() + world.letter_count,
                      world.letters.begin() + action.which);
            world.letters[--world.letter_count] = 0;
        }
    }
    if (action.kind == Action::drop) return world;
    if (action.kind == Action::crash) ++world.crashes;
    if (action.kind == Action::change) ++world.changes;
    if (action.kind == Action::deliver_copy) ++world.doubles;
    const uint32_t machine = world.members[action.member];
    const Local& what = local(machine, action, letter);
    if (!what.violation.empty()) throw Violation(what.violation);
    if (!what.possible) return std::nullopt;
    world.members[action.member] = what.machine;
    if (!arrive(world, what.letters)) return std::nullopt;
    check(world, what, machine);
    return world;
}

// --- what must hold (known-bugs I1, I3-I8, I10, I15, I16)
// ----------------------------------------------------------------

void Universe::check(World& world, const Local& what, uint32_t before) {
    const Machine& machine = machines_[what.machine];
    if (what.log_changed) check_matching(world, machine);
    if (!machine.up()) return;
    const bool leads = machine.core().role() == Role::leader;
    if (!leads && !what.commit_raised) return;
    History history = histories_[world.history];
    bool changed = false;
    if (leads) check_leader(machine, history, changed);
    if (what.commit_raised) check_commit(world, machines_[before], machine, history, changed);
    if (leads && what.log_changed) check_changes(machines_[before], machine, history);
    if (changed) world.history = keep(std::move(history));
}

void Universe::check_leader(const Machine& machine, History& history, bool& changed) const {
    uint64_t& leader = history.leaders[raw(machine.core().term())];
    if (leader == raw(machine.id())) return;
    if (leader != 0) throw Violation("two leaders in a term (I1)");
    leader = raw(machine.id());
    changed = true;
    for (size_t at = 0; at < history.committed.size(); ++at)
        if (history.committed_in[at] < raw(machine.core().term()) &&
            (at >= machine.log().size() || machine.log()[at] != history.committed[at]))
            throw Violation(raft::text(machine.id()) + " leads without a committed entry (I5)");
}

void Universe::check_commit(const World& world, const Machine& before, const Machine& machine,
                            History& history, bool& changed) const {
    const size_t commit = raw(machine.core().commit());
    for (size_t at = 0; at < std::min(commit, history.committed.size()); ++at)
        if (machine.log()[at] != history.committed[at])
            throw Violation(raft::text(machine.id()) + " commits another entry (I6)");
    if (commit <= history.committed.size()) return;
    if (machine.core().role() != Role::leader)
        throw Violation(raft::text(machine.id()) + " commits what no leader has committed (B23)");
    if (machine.log()[commit - 1].id.term != machine.core().term())
        throw Violation("an older term is committed by counting (I8)");
    const bool led = before.up() && before.core().role() == Role::leader;
    for (size_t at = history.committed.size(); at < commit; ++at) {
        const Entry& entry = machine.log()[at];
        auto holds = [&](NodeId id) -> uint64_t {
            return machines_[world.members[raw(id) - 1]].has_durable(entry) ? 1 : 0;
        };
        // Up to the configuration of before it was that one which decided; behind it, perhaps its successor.
        const bool old = led && at < raw(before.core().view().membership.index);
        const Machine& decider = old ? before : machine;
        if (quorum_reaches(decider.core().view().membership.members, holds) != 1)
            throw Violation("committed without a durable majority of each half (I8)");
        history.committed.push_back(entry);
        history.committed_in.push_back(raw(machine.core().term()));
    }
    changed = true;
}

void Universe::check_changes(const Machine& before, const Machine& machine, const History& history) const {
    const std::vector<Entry>& log = machine.log();
    const size_t known = before.up() ? before.log().size() : 0;
    const Membership* in_force = &bounds_.setting.genesis;
    size_t index = 0;
    for (size_t at = 0; at < log.size(); ++at) {
        if (!log[at].members) continue;
        const bool mine = at >= known && log[at].maker == machine.id();
        if (mine && index > history.committed.size())
            throw Violation("a change behind one that isn't committed (I15)");
        auto own_term = [&](const Entry& entry) { return entry.id.term == machine.core().term(); };
        if (mine && std::none_of(history.committed.begin(), history.committed.end(), own_term))
            throw Violation("a change before an entry of the own term is committed (B35)");
        if (mine && !may_follow(*in_force, *log[at].members))
            throw Violation(raft::text(*log[at].members) + " behind " + raft::text(*in_force) + " (I16)");
        in_force = &*log[at].members;
        index = at + 1;
    }
}

void Universe::check_matching(const World& world, const Machine& machine) const {
    for (uint32_t number : world.members) {
        const Machine& other = machines_[number];
        bool met = false;
        for (size_t at = std::min(machine.log().size(), other.log().size()); at-- > 0;) {
            const Entry &mine = machine.log()[at], &its = other.log()[at];
            if (mine.id == its.id && mine != its)
                throw Violation("two entries of one id: " + raft::text(mine.id) + " (I4)");
            if (met && mine.id != its.id) throw Violation("logs don't match (I4)");
            met = met || mine.id == its.id;
        }
    }
}

// --- worlds that differ by names only
// ------------------------------------------------------------------------------------

uint32_t Universe::keep(History history) {
    std::vector<uint64_t> numbers = history.leaders;
    numbers.insert(numbers.end(), history.committed_in.begin(), history.committed_in.end());
    const Key key = key_of(history.committed, numbers);
    return histories_.keep(key, std::move(history));
}
uint32_t Universe::renamed_machine(uint32_t machine, size_t by) {
    if (machines_.renamed[machine][by] != kUnknown) return machines_.renamed[machine][by];
    Machine other = machines_[machine].renamed(bounds_.same[by]);
    const Key key = other.key();
    const uint32_t number = machines_.keep(key, std::move(other));
    return machines_.renamed[machine][by] = number;
}
uint32_t Universe::renamed_letter(uint32_t letter, size_t by) {
    if (letters_.renamed[letter][by] != kUnknown) return letters_.renamed[letter][by];
    Letter other = renamed(letters_[letter], bounds_.same[by]);
    const Key key = key_of(other);
    const uint32_t number = letters_.keep(key, std::move(other));
    return letters_.renamed[letter][by] = number;
}
uint32_t Universe::renamed_history(uint32_t history, size_t by) {
    if (histories_.renamed[history][by] != kUnknown) return histories_.renamed[history][by];
    History other = histories_[history];
    for (uint64_t& leader : other.leaders) leader = raw(bounds_.same[by][leader]);
    for (Entry& entry : other.committed) entry = renamed(entry, bounds_.same[by]);
    const uint32_t number = keep(std::move(other));
    return histories_.renamed[history][by] = number;
}

World Universe::canonical(const World& world) {
    World best = world;
    for (size_t by = 1; by < bounds_.same.size(); ++by) {
        World other = world;
        for (size_t at = 0; at < World::kMembers; ++at)
            other.members[raw(bounds_.same[by][at + 1]) - 1] = renamed_machine(world.members[at], by);
        if (other.members > best.members) continue;
        other.history = renamed_history(world.history, by);
        for (size_t at = 0; at < world.letter_count; ++at)
            other.letters[at] = renamed_letter(world.letters[at], by);
        std::sort(other.letters.begin(), other.letters.begin() + world.letter_count);
        auto rank = [](const World& w) { return std::tie(w.members, w.history, w.letters); };
        if (rank(other) < rank(best)) best = other;
    }
    return best;
}

// --- in words
// -------------------------------------------------------------------------------------------------------

std::string Universe::text(const World& world, Action action) const {
    static const char* const kNames[] = {"tick",  "deliver", "deliver a copy of", "lose",  "sync",
                                         "crash", "restart", "propose",           "change"};
    std::string out = kNames[action.kind];
    const NodeId id = machines_[world.members[action.member]].id();
    if (action.kind >= Action::deliver && action.kind <= Action::drop) {
        const Letter& letter = letters_[world.letters[action.which]];
        out +=
            " " + raft::text(letter.from) + " -> " + raft::text(letter.to) + " " + raft::text(letter.message);
        return out;
    }
    out += " " + raft::text(id);
    if (action.kind == Action::change) out += " to " + raft::text(bounds_.targets[action.which]);
    return out;
}

std::string Universe::text(const World& world) const {
    std::string out;
    for (uint32_t number : world.members) {
        const Machine& machine = machines_[number];
        out += "    " + raft::text(machine.id()) + " ";
        out += machine.up() ? raft::text(machine.core().view()) : "down";
        std::vector<EntryMeta> entries;
        for (const Entry& entry : machine.log()) entries.push_back({entry.id, 0, nullptr});
        out += " " + raft::text(std::span<const EntryMeta>(entries)) + "\n";
    }
    return out;
}

}  // namespace raftd::raft::model
