#include "tests/model/explore.h"

#include <algorithm>

namespace raftd::raft::model {

namespace {
/// Hashes seen, in one block; 0 isn't kept.
class Seen {
public:
    bool insert(uint64_t hash) {
        if (hash == 0) hash = 1;
        if (count_ * 10 >= slots_.size() * 7) grow();
        return place(hash);
    }

private:
    bool place(uint64_t hash) {
        for (size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
            if (slots_[at] == hash) return false;
            if (slots_[at] != 0) continue;
            slots_[at] = hash;
            ++count_;
            return true;
        }
    }
    void grow() {
        std::vector<uint64_t> old(slots_.empty() ? 1u << 16 : slots_.size() * 2);
        old.swap(slots_);
        count_ = 0;
        for (uint64_t hash : old)
            if (hash != 0) place(hash);
    }
    std::vector<uint64_t> slots_;
    size_t count_ = 0;
};

struct Step {
    uint32_t before;
    Action action;
};

/// Replays the way to a state and puts it into words.
std::string way(Universe& universe, const std::vector<Step>& steps, uint32_t to, const Action* last) {
    std::vector<Action> actions;
    for (uint32_t at = to; at != 0; at = steps[at].before) actions.push_back(steps[at].action);
    std::reverse(actions.begin(), actions.end());
    World world = universe.first();
    std::string out;
    for (const Action& action : actions) {
        out += "  " + universe.text(world, action) + "\n";
        world = universe.canonical(*universe.after(world, action));
        out += universe.text(world);
    }
    if (last != nullptr) out += "  " + universe.text(world, *last) + "\n";
    return out;
}
}  // namespace

Found explore(const Bounds& bounds, uint64_t states_max) {
    Universe universe(bounds);
    Found found;
    Seen seen;
    std::vector<Step> steps{{0, {}}};
    std::vector<std::pair<World, uint32_t>> level{{universe.first(), 0}}, next;
    std::vector<Action> actions;
    seen.insert(level.front().first.hash());
    for (; !level.empty() && steps.size() < states_max; ++found.depth, level.swap(next), next.clear())
        for (const auto& [world, number] : level) {
            universe.actions(world, actions);
            for (const Action& action : actions) {
                ++found.transitions;
                try {
                    const std::optional<World> after = universe.after(world, action);
                    if (!after) continue;
                    const World canonical = universe.canonical(*after);
                    if (!seen.insert(canonical.hash())) continue;
                    steps.push_back({number, action});
                    next.emplace_back(canonical, static_cast<uint32_t>(steps.size() - 1));
                } catch (const Violation& violation) {
                    found.violation = std::string(violation.what()) + "\n" +
                                      "(names change places where it makes no difference)\n" +
                                      way(universe, steps, number, &action);
                    level.clear(), next.clear();
                    break;
                }
            }
            if (!found.violation.empty() || steps.size() >= states_max) break;
        }
    found.states = steps.size();
    found.machines = universe.machine_count();
    found.letters = universe.letter_count();
    found.complete = found.violation.empty() && level.empty() && steps.size() < states_max;
    return found;
}

}  // namespace raftd::raft::model
