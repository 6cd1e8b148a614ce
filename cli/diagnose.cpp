// From what the members say to reasons: cli/why.h.
#include <algorithm>

#include "cli/why.h"

namespace raftd::cli {
namespace {

struct Alarm {
    const char* word;
    const char* what;
    const char* hint;
};
constexpr Alarm kAlarms[] = {
    {"disk_full", "has too little disk space left", "make room on its disk; appends resume by themselves"},
    {"disk_stalled", "has a disk that doesn't finish writing",
     "raftctl doctor on its machine measures the disk"},
    {"clock_skew", "has a clock that differs from the others' too much",
     "set the clock (NTP) on that machine"},
    {"chain_mismatch", "saw another history than its own from a peer",
     "compare the members with raftctl status -o json before anything else; don't remove data"},
    {"archive_mismatch", "has another archive than a member that it compared with",
     "raftctl verify --deep says whose files differ, and where; nothing is removed meanwhile"},
    {"state_mismatch", "has another replicated state than a member that it compared with",
     "raftctl verify --deep says which members differ; nothing is removed meanwhile"},
    {"damaged", "has a file that isn't what it was",
     "the others have the same entries: raftctl member replace makes the member anew from them"},
    {"repair_waits", "has a damaged file, and no room to write it anew",
     "make room on its disk; the repair goes on by itself"},
    {"frozen", "compacts and removes nothing for a while, so its disk fills", "raftctl thaw ends that"},
    {"state_store", "can't write its replicated state's store; nothing is lost, the log has it all",
     "make room on its disk, and look at its permissions: raftctl doctor"},
};

std::string seconds_text(uint64_t ms) { return text_of_duration(milliseconds(static_cast<int64_t>(ms))); }

class Diagnosis {
public:
    Diagnosis(const ClusterView& view, const std::map<std::string, LastWords>& words)
        : view_(view), words_(words) {}

    std::vector<Finding> run(uint64_t lsn) {
        if (view_.up() == 0) {
            nobody_answers();
        } else if (view_.leader == nullptr) {
            no_leader();
        } else if (view_.leader->status->transfer_to() != 0) {
            transfer();
        }
        halves();
        for (const MemberView& member : view_.members) look_at(member);
        if (view_.leader != nullptr) behind();
        if (lsn != 0) record(lsn);
        std::stable_sort(found_.begin(), found_.end(),
                         [](const Finding& a, const Finding& b) { return a.blocks > b.blocks; });
        return std::move(found_);
    }

private:
    void add(Finding finding) { found_.push_back(std::move(finding)); }

    static bool reachable(const MemberView& member) { return member.status.has_value(); }
    const MemberView* find(uint64_t id) const {
        for (const MemberView& member : view_.members)
            if (member.id == id) return &member;
        return nullptr;
    }

    void nobody_answers() {
        bool here =
            std::any_of(words_.begin(), words_.end(), [](const auto& one) { return one.second.here; });
        add({"nobody_answers", "", "no member of the cluster answers",
             here ? "raftctl start" : "start the members on their machines: raftctl start", true});
    }

    void transfer() {
        const MemberView* to = find(view_.leader->status->transfer_to());
        std::string name = to != nullptr ? to->name : "another member";
        add({"transfer", name,
             view_.leader->name + " hands leadership over to " + name +
                 ": appends wait until it leads, and go on after " +
                 seconds_text(view_.leader->status->election_timeout_ms()) + " at the latest",
             "raftctl wait leader", true});
    }

    /// The newest configuration that anybody tells of.
    const pb::Status* newest() const {
        const pb::Status* found = nullptr;
        for (const MemberView& member : view_.members)
            if (member.status && (found == nullptr || member.status->config_index() > found->config_index()))
                found = &*member.status;
        return found;
    }

    void no_leader() {
        if (newest()->config_joint() && !joint_whole()) return;  // halves() says what is missing
        size_t voters = 0, up = 0;
        for (const MemberView& member : view_.members)
            voters += member.voter, up += member.voter && reachable(member);
        if (up * 2 <= voters)
            return add({"no_quorum", "",
                        "only " + std::to_string(up) + " of " + std::to_string(voters) + " voters answer, " +
                            std::to_string(voters / 2 + 1) + " are needed",
                        start_hint(), true});
        add({"no_leader", "",
             "a majority answers, and none leads: an election is under way, or they can't reach each other",
             "raftctl wait leader; if that ends in vain, look at raftctl logs for peer_lost and peer_refused",
             true});
    }

    std::string start_hint() const {
        std::string names;
        for (const auto& [name, words] : words_)
            if (words.here && !words.runs) names += " " + name;
        return names.empty()
                   ? "bring the missing members back; for good lost ones: raftctl member replace NAME"
                   : "raftctl start" + names;
    }

    struct Half {
        std::string missing;
        bool decides = false;
    };
    template <class Ids>
    Half half_of(const Ids& ids) const {
        Half half;
        int up = 0;
        for (uint64_t id : ids) {
            const MemberView* member = find(id);
            bool there = member != nullptr && reachable(*member);
            up += there;
            if (!there)
                half.missing += (half.missing.empty() ? "" : ", ") +
                                (member != nullptr ? member->name : "member " + std::to_string(id));
        }
        half.decides = up * 2 > ids.size();
        return half;
    }
    bool joint_whole() const {
        return half_of(newest()->voters()).decides && half_of(newest()->next_voters()).decides;
    }

    /// A joint configuration needs a majority of each half.
    void halves() {
        if (newest() == nullptr || !newest()->config_joint()) return;
        for (bool is_new : {false, true}) {
            Half half = half_of(is_new ? newest()->next_voters() : newest()->voters());
            if (half.decides) continue;
            add({"joint_half", "",
                 std::string("the change of members waits for a majority of its ") +
                     (is_new ? "new" : "old") + " half; missing: " + half.missing,
                 start_hint(), true});
        }
    }

    void look_at(const MemberView& member) {
        if (!reachable(member)) return down(member);
        if (member.silent)
            silent(member);
        else if (!member.linked && view_.leader != nullptr && !belongs(member))
            add({"not_a_member", member.name,
                 member.name + " runs and is no member: its addition was cut short",
                 "the same raftctl member add goes on with it"});
        else if (!member.linked && view_.leader != nullptr)
            add({"not_connected", member.name,
                 member.name + " is up and " + member.failure + " (" + view_.leader->name + ")",
                 "raftctl events " + member.name + " shows its links; check the network between them"});
        if (member.status->has_install()) fetches(member);
        for (const std::string& alarm : member.status->alarms()) look_at(member, alarm);
    }

    /// As the leader has the members.
    bool belongs(const MemberView& member) const {
        const auto& members = view_.leader->status->members();
        return std::any_of(members.begin(), members.end(),
                           [&](const pb::MemberInfo& one) { return one.id() == member.id; });
    }
    /// Its log ends below the leader's: it comes back by a snapshot.
    void fetches(const MemberView& member) {
        const pb::InstallStatus& install = member.status->install();
        const MemberView* from = find(install.from());
        std::string what =
            member.name + " fetches a snapshot from " + (from != nullptr ? from->name : "the leader") + ": " +
            std::to_string(percent_of(install)) + " % of " + text_of_bytes(install.bytes_total());
        if (!install.why().empty()) what += "; it waits: " + install.why();
        add({"snapshot_install", member.name, what, "raftctl wait caught-up " + member.name});
    }

    /// Which way is cut is told by the member: whether it hears who leads.
    void silent(const MemberView& member) {
        const std::string& leader = view_.leader->name;
        bool hears = member.status->leader() == view_.leader->id &&
                     member.status->term() == view_.leader->status->term();
        add({"link_cut", member.name,
             "nothing gets from " +
                 (hears ? member.name + " to the leader " + leader
                        : "the leader " + leader + " to " + member.name) +
                 ", though they are connected",
             "raftctl events " + member.name + " shows its links; check that way of the network"});
    }

    void look_at(const MemberView& member, const std::string& alarm) {
        std::string word = alarm.substr(0, alarm.find(' '));
        if (word == "fault")
            return add({word, member.name, member.name + "'s links are worsened on purpose: " + alarm,
                        "raftctl fault clear " + member.name});
        auto known = std::find_if(std::begin(kAlarms), std::end(kAlarms),
                                  [&](const Alarm& one) { return word == one.word; });
        if (known == std::end(kAlarms))
            return add(
                {word, member.name, member.name + " has the alarm " + alarm, "raftctl logs " + member.name});
        bool blocks = &member == view_.leader && (word == "disk_full" || word == "disk_stalled");
        std::string more = word == alarm ? "" : " (" + alarm.substr(word.size() + 1) + ")";
        if (word == "disk_stalled" && member.status->unsynced_ms() != 0)
            more = " (a write waits for its sync for " + seconds_text(member.status->unsynced_ms()) + ")";
        if (word == "disk_full") more = " (" + text_of_bytes(member.status->disk_free_bytes()) + ")";
        add({word, member.name, member.name + " " + known->what + more, known->hint, blocks});
    }

    void down(const MemberView& member) {
        auto words = words_.find(member.name);
        if (member.other_cluster)
            return add({"other_cluster", member.name,
                        "at " + member.name + "'s address " + member.client +
                            " another cluster answers: it " + member.failure,
                        "stop that one, or give the member another address: raftctl member set " +
                            member.name + " --peer HOST:PORT --client HOST:PORT"});
        if (words == words_.end() || !words->second.here)
            return add({"member_down", member.name,
                        member.name + " at " + member.client + " doesn't answer: " + member.failure,
                        "raftctl start " + member.name + " on its machine"});
        if (words->second.runs)
            return add({"member_silent", member.name,
                        member.name + " runs and doesn't answer: " + member.failure +
                            "; it is stopped by a signal, hangs, or its machine is overloaded",
                        "raftctl restart " + member.name});
        if (!words->second.said.empty())
            return add({"member_ended", member.name, member.name + " ended by itself: " + words->second.said,
                        "raftctl logs " + member.name});
        add({"member_down", member.name, member.name + " isn't running", "raftctl start " + member.name});
    }

    void behind() {
        const pb::Status& leader = *view_.leader->status;
        for (const auto& follower : leader.followers()) {
            const MemberView* member = find(follower.id());
            if (member == nullptr || !reachable(*member) || !follower.connected()) continue;
            uint64_t missing = leader.last_index() - std::min(leader.last_index(), follower.match_index());
            if (missing < 1000) continue;
            add({member->voter ? "follower_behind" : "learner_behind", member->name,
                 member->name + " is " + std::to_string(missing) + " entries behind" +
                     (member->voter ? "" : "; it votes once it has caught up"),
                 "raftctl wait caught-up " + member->name});
        }
    }

    /// Who has most of the log: the leader, if there is one.
    const MemberView* longest() const {
        const MemberView* best = view_.leader;
        for (const MemberView& member : view_.members)
            if (view_.leader == nullptr && member.status &&
                (best == nullptr || member.status->last_lsn() > best->status->last_lsn()))
                best = &member;
        return best;
    }

    void record(uint64_t lsn) {
        const MemberView* best = longest();
        if (best == nullptr) return;
        const pb::Status& status = *best->status;
        std::string name = "record " + std::to_string(lsn);
        if (lsn < status.first_lsn())
            add({"lsn_trimmed", "",
                 name + " was trimmed; the first there is has LSN " + std::to_string(status.first_lsn()),
                 "raftctl tail --from first"});
        else if (lsn <= status.commit_lsn())
            add({"lsn_committed", "", name + " is committed", "raftctl get " + std::to_string(lsn)});
        else if (lsn > status.last_lsn())
            add({"lsn_beyond_end", "",
                 name + " doesn't exist: the last one has LSN " + std::to_string(status.last_lsn()),
                 "raftctl tail -n 1"});
        else
            add({"lsn_waits", "",
                 name + " is in the log of " + best->name + " and not known to be on a majority: " +
                     (view_.leader == nullptr ? "nobody leads" : holders(lsn, status)),
                 "raftctl wait lsn " + std::to_string(lsn), true});
    }

    std::string holders(uint64_t lsn, const pb::Status& leader) const {
        std::string without;
        for (const auto& follower : leader.followers()) {
            const MemberView* member = find(follower.id());
            if (member != nullptr && member->voter && follower.match_lsn() < lsn)
                without += (without.empty() ? "" : ", ") + member->name;
        }
        return without.empty() ? "the leader's own disk is behind" : "missing on " + without;
    }

    const ClusterView& view_;
    const std::map<std::string, LastWords>& words_;
    std::vector<Finding> found_;
};

}  // namespace

std::vector<Finding> diagnose(const ClusterView& view, const std::map<std::string, LastWords>& words,
                              uint64_t lsn) {
    return Diagnosis(view, words).run(lsn);
}

}  // namespace raftd::cli
