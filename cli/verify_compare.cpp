// From what the members say to the first difference: cli/verify.h. Pure but for the questions it asks.
#include <algorithm>
#include <map>

#include "base/uuid.h"
#include "cli/verify.h"

namespace raftd::cli {
namespace {

constexpr size_t kHashDigits = 32;

std::string number(uint64_t value) { return std::to_string(value); }

/// The log of one member against that of another.
class Bisection {
public:
    Bisection(const VerifyMember& reference, const VerifyMember& member, const AskChain& ask,
              Comparison& into)
        : reference_(reference), member_(member), ask_(ask), into_(into) {}

    void run(uint64_t from_lsn) {
        const uint64_t end = std::min(reference_.chain->commit_index(), member_.chain->commit_index());
        uint64_t begin = std::max(reference_.chain->base_index(), member_.chain->base_index());
        auto at_end = both(end);
        if (!at_end || at_end->same()) return;
        if (from_lsn != 0) begin = std::max(begin, index_before(from_lsn));
        auto at_begin = both(begin);
        if (!at_begin) return;
        if (!at_begin->same()) return found(*at_begin, true);
        bisect(begin, std::move(*at_end));
    }

private:
    struct Pair {
        pb::Chain reference, member;
        bool same() const { return reference.chain() == member.chain(); }
    };

    void not_compared(const std::string& why) { into_.not_compared.push_back({member_.name, "log", why}); }

    /// The entry on both; nothing when that can't be told, which is then said.
    std::optional<Pair> both(uint64_t index) {
        pb::ChainRequest request;
        request.set_index(index);
        Pair pair;
        for (const VerifyMember* of : {&reference_, &member_}) {
            pb::Chain& chain = of == &reference_ ? pair.reference : pair.member;
            if (index == 0) {  // before the first entry there is the genesis
                chain = *of->chain;
                chain.set_chain(chain.base_chain());
                continue;
            }
            auto answer = ask_(*of, request);
            if (!answer) {
                not_compared(of->name + ": " + answer.error().what);
                return std::nullopt;
            }
            chain = std::move(*answer);
            if (!usable(*of, chain)) return std::nullopt;
        }
        return pair;
    }
    bool usable(const VerifyMember& of, const pb::Chain& chain) {
        if (chain.has() == pb::Chain::YES) return true;
        const std::string at = "entry " + number(chain.index());
        if (chain.has() == pb::Chain::DAMAGED)
            into_.differences.push_back(
                {"damage", of.name, "", chain.index(), 0, chain.file(), chain.what()});
        else if (chain.has() == pb::Chain::TRIMMED)
            not_compared(of.name + " has no " + at + " any more");
        else
            not_compared(of.name + " can't tell of " + at +
                         (chain.what().empty() ? "" : ": " + chain.what()));
        return false;
    }
    uint64_t index_before(uint64_t lsn) {
        pb::ChainRequest request;
        request.set_lsn(lsn);
        auto answer = ask_(reference_, request);
        return answer && answer->has() == pb::Chain::YES ? answer->index() - 1 : 0;
    }

    /// Invariant: at `same` both logs are the same, at `differs` they aren't.
    void bisect(uint64_t same, Pair differs) {
        uint64_t index = std::min(reference_.chain->commit_index(), member_.chain->commit_index());
        while (index - same > 1) {
            const uint64_t middle = same + (index - same) / 2;
            auto pair = both(middle);
            if (!pair) return;
            if (pair->same())
                same = middle;
            else
                index = middle, differs = std::move(*pair);
        }
        found(differs, false);
    }
    void found(const Pair& at, bool or_before) {
        const pb::Chain& mine = at.member;
        std::string what =
            member_.name + " has " + text_of(mine) + ", " + reference_.name + " has " + text_of(at.reference);
        if (or_before) what += "; the entries that it lies in or behind can't be compared any more";
        into_.differences.push_back({"chain", member_.name, reference_.name, mine.index(), mine.lsn_first(),
                                     mine.file(), std::move(what)});
    }
    static std::string text_of(const pb::Chain& entry) {
        std::string text = "term " + number(entry.term()) + ", ";
        text += entry.records() == 0 ? "no record"
                                     : number(entry.records()) + " from LSN " + number(entry.lsn_first());
        return text + ", body " + to_hex(entry.body_checksum()) + ", chain " + to_hex(entry.chain());
    }

    const VerifyMember& reference_;
    const VerifyMember& member_;
    const AskChain& ask_;
    Comparison& into_;
};

/// One of the largest group that agrees, and of those the one that is furthest.
const VerifyMember* reference_of(const std::vector<const VerifyMember*>& members,
                                 const std::map<const VerifyMember*, uint64_t>& chains) {
    const VerifyMember* best = nullptr;
    auto rank = [&](const VerifyMember* member) {
        const auto mine = chains.find(member);
        const auto votes =
            mine == chains.end() ? 0 : std::count_if(chains.begin(), chains.end(), [&](const auto& other) {
                return other.second == mine->second;
            });
        return std::pair(votes, member->chain->commit_index());
    };
    for (const VerifyMember* member : members)
        if (best == nullptr || rank(member) > rank(best)) best = member;
    return best;
}

/// Members by what they have of one thing: those of the largest group, then the others.
template <class Value>
struct Vote {
    std::map<Value, std::vector<const VerifyMember*>> groups;
    const VerifyMember* most() const {
        auto largest = std::max_element(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
            return a.second.size() < b.second.size();
        });
        return largest->second.front();
    }
};

void compare_states(const std::vector<VerifyMember>& members, uint64_t (*index)(const pb::Verified&),
                    uint64_t (*digest)(const pb::Verified&), const char* where,
                    std::map<std::string, bool>& compared, Comparison& into) {
    std::map<uint64_t, Vote<uint64_t>> at;
    for (const VerifyMember& member : members)
        if (member.read && index(*member.read) != 0)
            at[index(*member.read)].groups[digest(*member.read)].push_back(&member);
    for (const auto& [entry, vote] : at) {
        size_t count = 0;
        for (const auto& [value, group] : vote.groups) count += group.size();
        if (count < 2) continue;
        for (const auto& [value, group] : vote.groups)
            for (const VerifyMember* member : group) {
                compared[member->name] = true;
                const VerifyMember* most = vote.most();
                if (value == digest(*most->read)) continue;
                into.differences.push_back(
                    {"state", member->name, most->name, entry, 0,
                     std::string(where) == "snapshot" ? "snapshot/state-" + number(entry) : "",
                     "its replicated state at entry " + number(entry) + " has digest " + to_hex(value) +
                         ", that of " + most->name + " " + to_hex(digest(*most->read))});
            }
    }
}

/// Sorts by how far they are. Whoever ends before another one begins has nothing in common with it.
void drop_those_behind(std::vector<const VerifyMember*>& members, Comparison& into) {
    std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
        return a->chain->commit_index() < b->chain->commit_index();
    });
    auto behind = [&](const VerifyMember* member) {
        return std::find_if(members.begin(), members.end(), [&](const VerifyMember* other) {
            return other->chain->base_index() > member->chain->commit_index();
        });
    };
    while (!members.empty()) {
        const VerifyMember* member = members.front();
        auto other = behind(member);
        if (other == members.end()) return;
        into.not_compared.push_back({member->name, "log",
                                     "it ends at entry " + number(member->chain->commit_index()) + ", and " +
                                         (*other)->name + " begins behind " +
                                         number((*other)->chain->base_index())});
        members.erase(members.begin());
    }
}

}  // namespace

void compare_chains(const std::vector<VerifyMember>& members, uint64_t from_lsn, const AskChain& ask,
                    Comparison& into) {
    std::vector<const VerifyMember*> there;
    for (const VerifyMember& member : members)
        if (member.chain) there.push_back(&member);
    drop_those_behind(there, into);
    if (there.empty()) return;
    const VerifyMember* least = there.front();
    into.index = least->chain->commit_index();
    into.lsn = least->chain->commit_lsn();
    std::map<const VerifyMember*, uint64_t> chains;
    pb::ChainRequest request;
    request.set_index(into.index);
    for (const VerifyMember* member : there) {
        auto answer = ask(*member, request);
        if (answer && answer->has() == pb::Chain::YES) chains[member] = answer->chain();
    }
    const VerifyMember* reference = reference_of(there, chains);
    for (const VerifyMember* member : there)
        if (member != reference) Bisection(*reference, *member, ask, into).run(from_lsn);
}

void compare_archives(const std::vector<VerifyMember>& members, uint64_t from_lsn, Comparison& into) {
    using Archive = std::pair<uint64_t, std::string>;  // its last entry, its hash
    std::map<uint64_t, Vote<Archive>> by_first;
    std::map<uint64_t, uint64_t> lsns;
    for (const VerifyMember& member : members) {
        if (!member.snapshots) continue;
        for (const pb::Archive& archive : member.snapshots->archives()) {
            if (archive.lsn_next() <= from_lsn) continue;
            by_first[archive.first()].groups[{archive.last(), archive.hash()}].push_back(&member);
            lsns[archive.first()] = archive.lsn_first();
        }
    }
    auto name = [](uint64_t first, const Archive& archive) {
        return number(first) + "-" + number(archive.first) + "-" + archive.second.substr(0, kHashDigits);
    };
    for (const auto& [first, vote] : by_first) {
        if (vote.groups.size() < 2) continue;
        const VerifyMember* most = vote.most();
        const auto of_most = std::find_if(vote.groups.begin(), vote.groups.end(), [&](const auto& group) {
            return std::find(group.second.begin(), group.second.end(), most) != group.second.end();
        });
        for (const auto& [archive, group] : vote.groups)
            for (const VerifyMember* member : group)
                if (archive != of_most->first)
                    into.differences.push_back({"archive", member->name, most->name, first, lsns[first],
                                                "snapshot/" + name(first, archive) + ".zst",
                                                "it has " + name(first, archive) + ", " + most->name +
                                                    " has " + name(first, of_most->first)});
    }
}

void compare_read(const std::vector<VerifyMember>& members, Comparison& into) {
    size_t read = 0;
    for (const VerifyMember& member : members) {
        if (!member.read) continue;
        ++read;
        for (const pb::Damage& damage : member.read->damages())
            into.differences.push_back(
                {"damage", member.name, "", damage.first(), damage.lsn(), damage.file(), damage.what()});
    }
    std::map<std::string, bool> compared;
    compare_states(
        members, [](const pb::Verified& v) { return v.state_index(); },
        [](const pb::Verified& v) { return v.state_digest(); }, "snapshot", compared, into);
    compare_states(
        members, [](const pb::Verified& v) { return v.applied_index(); },
        [](const pb::Verified& v) { return v.applied_digest(); }, "memory", compared, into);
    for (const VerifyMember& member : members)
        if (member.read && !compared[member.name] && read > 1)
            into.not_compared.push_back({member.name, "state",
                                         "no other member's was at the same entry (its snapshot is at " +
                                             number(member.read->state_index()) + ")",
                                         false});
}

}  // namespace raftd::cli
