#include "tests/support/raft_script.h"

#include <functional>

#include "raft/quorum.h"
#include "raft/text.h"
#include "tests/support/raft_cluster.h"
#include "tests/support/raft_words.h"

namespace raftd::raft::test {

namespace {

class Script {
public:
    std::vector<std::string> run(const std::string& line) {
        trace_.clear();
        const Command command(line);
        const auto found = commands_.find(command.word(0));
        if (found == commands_.end()) throw Wrong("no such command: " + command.word(0));
        (this->*found->second)(command);
        if (cluster_) cluster_->check_log_matching();
        return trace_;
    }

    // Whatever the script did: once nothing fails any more, the cluster works.
    void converge() {
        Cluster& c = cluster();
        c.cut.clear();
        c.hold_fetches = false;
        for (NodeId id : c.ids()) {
            Member_& member = c.member(id);
            if (gone_.count(id) != 0) {
                if (member.core) c.crash(id, 0);
                continue;
            }
            if (!member.core) c.start(id);
            c.step(id, {}, {c.now, Health{}});
            for (NodeId peer : c.ids()) c.step(id, {}, {c.now, ev::Peer{peer, true}});
            c.turn(id);
        }
        c.settle(seconds(10));
        const auto leader = c.leader();
        if (!leader) throw Wrong("no leader after all healed");
        if (!c.propose(*leader, 1, 100)) throw Wrong("the leader takes nothing");
        c.turn(*leader);
        c.settle(seconds(2));
        c.check_log_matching();
        const Membership members = c.member(*leader).core->view().membership.members;
        for (NodeId id : c.ids()) {
            if (gone_.count(id) != 0 || !is_member(members, id)) continue;  // removed ones hear no more
            const Member_& member = c.member(id);
            if (member.core->commit() != c.member(*leader).core->last())
                throw Wrong(text(id) + " doesn't catch up: " + text(member.core->view()));
            if (!member.reads_begun.empty()) throw Wrong(text(id) + " has a read that never ends");
        }
    }
    bool made() const { return cluster_ != nullptr; }

private:
    Cluster& cluster() {
        if (!cluster_) throw Wrong("no cluster yet");
        return *cluster_;
    }
    void say(const std::string& line) { trace_.push_back(line); }
    std::vector<NodeId> nodes(const Command& command, size_t from) {
        std::vector<NodeId> out;
        for (size_t at = from; at < command.words.size(); ++at) out.push_back(node(command.words[at]));
        return out.empty() ? cluster().ids() : out;
    }

    void do_cluster(const Command& command) {
        Options options;
        options.batch_bytes_max = command.number("batch", 1000);
        options.in_flight_bytes_max = command.number("window", 4000);
        options.pre_vote = command.number("pre_vote", 1) != 0;
        options.check_quorum = command.number("check_quorum", 1) != 0;
        std::vector<Member> members;
        const uint64_t voters = command.number("nodes", 3), learners = command.number("learners", 0);
        options.min_members = static_cast<uint32_t>(command.number("min", 0));
        options.members_max = static_cast<uint32_t>(command.number("max", options.members_max));
        options.voters_max = static_cast<uint32_t>(command.number("voters_max", options.voters_max));
        for (uint64_t id = 1; id <= voters + learners; ++id)
            members.push_back({NodeId{id}, id > voters, false, 0});
        if (command.named.count("members") != 0) members = members_of(command.named.at("members"));
        cluster_ = std::make_unique<Cluster>(members, options, command.number("seed", 1),
                                             command.number("spares", 0));
        cluster_->trace = &trace_;
    }
    void do_log(const Command& command) {
        std::vector<Term> terms;
        for (const std::string& term : split(command.named.at("terms"), ','))
            terms.push_back(Term{std::stoull(term)});
        const Term last = terms.empty() ? Term{} : terms.back();
        cluster().set_log(node(command.word(1)), terms,
                          {Term{command.number("term", raw(last))}, NodeId{command.number("vote", 0)}});
    }
    void do_option(const Command& command) {
        Options& options = cluster().member(node(command.word(1))).options;
        options.pre_vote = command.number("pre_vote", options.pre_vote ? 1 : 0) != 0;
        options.check_quorum = command.number("check_quorum", options.check_quorum ? 1 : 0) != 0;
    }
    void do_start(const Command& command) {
        for (NodeId id : nodes(command, 1)) cluster().start(id);
    }
    void do_crash(const Command& command) {
        cluster().crash(node(command.word(1)), command.number("keep", 0));
    }
    void do_gone(const Command& command) { gone_.insert(node(command.word(1))); }
    void do_wait(const Command& command) {
        cluster().now = cluster().now + milliseconds(static_cast<int64_t>(std::stoull(command.word(1))));
    }
    void do_tick(const Command& command) {
        for (NodeId id : nodes(command, 1)) cluster().tick(id);
    }
    /// Its timer fires now, nobody else's.
    void do_campaign(const Command& command) {
        const NodeId id = node(command.word(1));
        cluster().now = std::max(cluster().now, cluster().member(id).core->deadline());
        cluster().tick(id);
    }
    void do_elect(const Command& command) {
        do_campaign(command);
        do_stabilize(Command("stabilize"));
        if (cluster().member(node(command.word(1))).core->role() != Role::leader)
            throw Wrong(command.word(1) + " wasn't elected");
    }
    void do_heartbeat(const Command& command) { do_campaign(command); }
    void do_persist(const Command& command) {
        const uint64_t count = command.words.size() > 2 ? std::stoull(command.word(2)) : SIZE_MAX;
        if (cluster().persist(node(command.word(1)), count) == 0) say("nothing to persist");
    }
    void do_deliver(const Command& command) {
        const NodeId from = node(command.word(1)), to = node(command.word(2));
        uint64_t count = command.words.size() > 3 ? std::stoull(command.word(3)) : 1;
        const bool all = command.number("all", 0) != 0;
        if (all) count = cluster().link(from, to).size();
        for (; count > 0; --count)
            if (!cluster().deliver(from, to, command.number("at", 0), command.number("copy", 0) != 0))
                say("nothing to deliver");
    }
    void do_drop(const Command& command) {
        auto& letters = cluster().link(node(command.word(1)), node(command.word(2)));
        uint64_t count = command.number("all", 0) != 0 ? letters.size()
                         : command.words.size() > 3    ? std::stoull(command.word(3))
                                                       : 1;
        for (; count > 0 && !letters.empty(); --count) {
            const size_t at = command.number("at", 0);
            if (at >= letters.size()) throw Wrong("no such letter");
            say("lost: " + text(letters[at].message));
            letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
    /// Messages and disks until nothing moves, time standing still; only among those named.
    void do_stabilize(const Command& command) {
        const std::vector<NodeId> among = nodes(command, 1);
        auto in = [&](NodeId id) { return std::find(among.begin(), among.end(), id) != among.end(); };
        for (int rounds = 0;; ++rounds) {
            if (rounds > 1000) throw Wrong("messages never end");
            bool moved = false;
            for (NodeId from : among)
                for (NodeId to : among)
                    for (size_t left = cluster().link(from, to).size(); left > 0; --left)
                        moved |= cluster().deliver(from, to, 0, false);
            for (NodeId id : among) moved |= cluster().persist(id, SIZE_MAX) > 0;
            auto& fetches = cluster().fetches;
            for (size_t left = fetches.size(); left > 0; --left) {
                const auto asked = fetches.front();
                fetches.pop_front();
                if (!in(asked.first)) {
                    fetches.push_back(asked);
                    continue;
                }
                cluster().fetch(asked.first, asked.second);
                moved = true;
            }
            if (!moved) return;
        }
    }
    void do_settle(const Command& command) {
        cluster().settle(milliseconds(static_cast<int64_t>(std::stoull(command.word(1)))));
    }
    void do_propose(const Command& command) {
        const NodeId id = node(command.word(1));
        const uint64_t count = command.words.size() > 2 ? std::stoull(command.word(2)) : 1;
        if (!cluster().propose(id, count, static_cast<uint32_t>(command.number("bytes", 100))))
            say("refused");
        cluster().turn(id);
    }
    void do_read(const Command& command) {
        const NodeId id = node(command.word(1));
        cluster().read(id, ReadId{std::stoull(command.word(2))});
        cluster().turn(id);
    }
    void event(const Command& command, decltype(Event::what) what) {
        const NodeId id = node(command.word(1));
        cluster().step(id, {}, {cluster().now, std::move(what)});
        cluster().turn(id);
    }
    void do_link(const Command& command) {
        event(command, ev::Link{node(command.word(2)), command.has("up")});
    }
    void do_readers(const Command& command) { event(command, ev::Readers{command.has("on")}); }
    void do_peer(const Command& command) {
        event(command, ev::Peer{node(command.word(2)), command.has("fit")});
    }
    void do_transfer(const Command& command) { event(command, ev::Transfer{node(command.word(2))}); }
    void do_health(const Command& command) {
        Health health;
        health.may_vote = command.number("vote", 1) != 0;
        health.may_lead = command.number("lead", 1) != 0;
        health.may_ack = command.number("ack", 1) != 0;
        health.hole_first = Index{command.number("hole", 0)};
        health.known_from = Index{command.number("known", 0)};
        cluster().member(node(command.word(1))).health = health;
        event(command, health);
    }
    void do_change(const Command& command) {
        Membership target;
        target.now = members_of(command.named.at("to"));
        if (const auto refused = cluster().member(node(command.word(1))).core->may_change(target))
            return say("refused: " + text(*refused));
        event(command, ev::ProposeMembership{target});
    }
    void do_compact(const Command& command) { cluster().compact(node(command.word(1))); }
    void do_cut(const Command& command) {
        const NodeId a = node(command.word(1)), b = node(command.word(2));
        cluster().cut.insert({a, b});
        if (!command.has("oneway")) cluster().cut.insert({b, a});
    }
    /// Cuts a member from all others.
    void do_isolate(const Command& command) {
        const NodeId a = node(command.word(1));
        for (NodeId b : cluster().ids()) cluster().cut.insert({a, b}), cluster().cut.insert({b, a});
        for (NodeId b : cluster().ids()) cluster().link(a, b).clear(), cluster().link(b, a).clear();
    }
    void do_heal(const Command&) { cluster().cut.clear(); }
    /// Answers the oldest question of a member for entries.
    void do_fetch(const Command& command) {
        const NodeId id = node(command.word(1));
        auto& fetches = cluster().fetches;
        const auto found = std::find_if(fetches.begin(), fetches.end(),
                                        [&](const auto& asked) { return asked.first == id; });
        if (found == fetches.end()) return say("nothing is asked for");
        const auto asked = *found;
        fetches.erase(found);
        cluster().fetch(asked.first, asked.second);
    }
    void do_hold_fetches(const Command&) { cluster().hold_fetches = true; }
    void do_state(const Command& command) {
        for (NodeId id : nodes(command, 1)) {
            const auto& core = cluster().member(id).core;
            say(text(id) + " " + (core ? text(core->view()) : "down"));
        }
    }
    /// Logs as runs of terms, committed part first.
    void do_logs(const Command& command) {
        for (NodeId id : nodes(command, 1)) {
            const Member_& member = cluster().member(id);
            std::vector<EntryMeta> entries;
            for (const Entry& entry : member.log) entries.push_back({entry.id, entry.bytes, nullptr});
            say(text(id) + " " + text(std::span<const EntryMeta>(entries)));
        }
    }
    void do_queue(const Command&) {
        for (NodeId from : cluster().ids())
            for (NodeId to : cluster().ids())
                for (const Letter& letter : cluster().link(from, to))
                    say(text(from) + " -> " + text(to) + " " + text(letter.message));
    }
    /// Holds whatever RAFTD_REWRITE says.
    void do_expect(const Command& command) {
        const NodeId id = node(command.word(1));
        const auto& core = cluster().member(id).core;
        if (!core) throw Wrong(text(id) + " is down");
        const View view = core->view();
        for (const auto& [name, value] : command.named) {
            std::string is;
            if (name == "role") is = text(view.role);
            if (name == "term") is = std::to_string(raw(view.term));
            if (name == "vote") is = std::to_string(raw(view.vote));
            if (name == "leader") is = std::to_string(raw(view.leader));
            if (name == "commit") is = std::to_string(raw(view.commit));
            if (name == "durable") is = std::to_string(raw(view.durable));
            if (name == "last") is = std::to_string(raw(view.last));
            if (name == "accepting") is = view.accepting ? "1" : "0";
            if (name == "members") is = compact_text(view.membership.members);
            if (is != value) throw Wrong(text(id) + " has " + name + "=" + is + ", not " + value);
        }
    }
    static std::string compact_text(const Membership& members) {
        std::string out;
        for (char c : text(members))
            if (c != '{' && c != '}') out += c == ' ' ? ',' : c;
        return out;
    }
    /// `contradicted n1 n2 5`: n2 holds other bytes at 5 than n1.
    void do_contradicted(const Command& command) {
        event(command, ev::Contradicted{node(command.word(2)), Index{std::stoull(command.word(3))}});
    }
    /// Puts a message on a link that nobody sent: `forge n1 n2 append term=1 prev=0@0 entries=1@1,2@1
    /// commit=0`.
    void do_forge(const Command& command) {
        Letter letter{node(command.word(1)), node(command.word(2)), {}, {}};
        const std::string& kind = command.word(3);
        const Term term{command.number("term", 0)};
        auto id_of = [&](const char* name) {
            const auto found = command.named.find(name);
            return found == command.named.end() ? EntryId{} : entry_id(found->second);
        };
        const Index index{command.number("index", 0)};
        const uint64_t round = command.number("round", 1);
        if (kind == "append") {
            const EntryId prev = id_of("prev");
            if (command.named.count("entries") != 0)
                for (const std::string& word : split(command.named.at("entries"), ','))
                    letter.entries.push_back(cluster().known(entry_id(word)));
            letter.message = msg::Append{term, prev, prev.index + letter.entries.size(),
                                         Index{command.number("commit", 0)}, round};
        } else if (kind == "append-ok") {
            letter.message =
                msg::AppendOk{term, Index{command.number("match", 0)}, round, command.has("readers")};
        } else if (kind == "append-no") {
            letter.message = msg::AppendNo{term, id_of("hint"), Index{command.number("last", 0)}, round,
                                           command.has("no-room") ? msg::Why::no_room : msg::Why::conflict};
        } else if (kind == "vote" || kind == "pre-vote") {
            letter.message = msg::Vote{term, id_of("last"), kind == "pre-vote", command.has("transfer")};
        } else if (kind == "vote-ok" || kind == "pre-vote-ok") {
            letter.message = msg::VoteOk{term, command.has("granted"), kind == "pre-vote-ok", index};
        } else if (kind == "snapshot") {
            letter.message = msg::Snapshot{term, id_of("at")};
        } else if (kind == "timeout-now") {
            letter.message = msg::TimeoutNow{term};
        } else if (kind == "read-index-ok") {
            letter.message = msg::ReadIndexOk{term, ReadId{command.number("id", 0)}, index, true};
        } else {
            throw Wrong("can't forge " + kind);
        }
        cluster().link(letter.from, letter.to).push_back(letter);
    }

    using Do = void (Script::*)(const Command&);
    static const std::map<std::string, Do> commands_;
    std::unique_ptr<Cluster> cluster_;
    std::set<NodeId> gone_;
    std::vector<std::string> trace_;
};

const std::map<std::string, Script::Do> Script::commands_ = {
    {"cluster", &Script::do_cluster},
    {"log", &Script::do_log},
    {"option", &Script::do_option},
    {"start", &Script::do_start},
    {"restart", &Script::do_start},
    {"crash", &Script::do_crash},
    {"gone", &Script::do_gone},
    {"wait", &Script::do_wait},
    {"tick", &Script::do_tick},
    {"campaign", &Script::do_campaign},
    {"elect", &Script::do_elect},
    {"heartbeat", &Script::do_heartbeat},
    {"persist", &Script::do_persist},
    {"deliver", &Script::do_deliver},
    {"drop", &Script::do_drop},
    {"stabilize", &Script::do_stabilize},
    {"settle", &Script::do_settle},
    {"propose", &Script::do_propose},
    {"read", &Script::do_read},
    {"link", &Script::do_link},
    {"readers", &Script::do_readers},
    {"peer", &Script::do_peer},
    {"transfer", &Script::do_transfer},
    {"health", &Script::do_health},
    {"change", &Script::do_change},
    {"compact", &Script::do_compact},
    {"cut", &Script::do_cut},
    {"isolate", &Script::do_isolate},
    {"heal", &Script::do_heal},
    {"state", &Script::do_state},
    {"logs", &Script::do_logs},
    {"queue", &Script::do_queue},
    {"expect", &Script::do_expect},
    {"forge", &Script::do_forge},
    {"fetch", &Script::do_fetch},
    {"hold-fetches", &Script::do_hold_fetches},
    {"contradicted", &Script::do_contradicted},
};

}  // namespace

ScriptResult run_script(const std::string& source) {
    ScriptResult result;
    Script script;
    std::vector<std::string> lines = split(source, '\n');
    size_t number = 0;
    std::vector<std::string> had;
    try {
        for (; number < lines.size(); ++number) {
            const std::string& line = lines[number];
            if (line == "----") {
                result.rewritten += "----\n";
                size_t at = 0;
                while (number + 1 < lines.size() && !lines[number + 1].empty()) {
                    const std::string& expected = lines[++number];
                    if (result.failure.empty() && (at >= had.size() || had[at] != expected))
                        result.failure = "line " + std::to_string(number + 1) + ": expected\n  " + expected +
                                         "\ngot\n  " + (at < had.size() ? had[at] : "nothing more");
                    ++at;
                }
                if (result.failure.empty() && at < had.size())
                    result.failure = "line " + std::to_string(number + 1) + ": more came:\n  " + had[at];
                for (const std::string& out : had) result.rewritten += out + "\n";
                had.clear();
                continue;
            }
            if (line.empty() && !had.empty()) result.rewritten += "----\n";
            if (line.empty())
                for (const std::string& out : had) result.rewritten += out + "\n";
            result.rewritten += line + "\n";
            if (line.empty() || line[0] == '#') {
                if (line.empty() && !had.empty() && result.failure.empty())
                    result.failure = "line " + std::to_string(number + 1) + ": output without ----";
                if (line.empty()) had.clear();
                continue;
            }
            const size_t comment = line.find(" #");
            std::string command = comment == std::string::npos ? line : line.substr(0, comment);
            const bool hidden = command.front() == '(';
            if (hidden) command = command.substr(1, command.rfind(')') - 1);
            const std::vector<std::string> out = script.run(command);
            if (!hidden) had.insert(had.end(), out.begin(), out.end());
        }
        if (!had.empty()) {
            if (result.failure.empty()) result.failure = "at the end: output without ----";
            result.rewritten += "----\n";
            for (const std::string& out : had) result.rewritten += out + "\n";
        }
        if (!script.made()) throw Wrong("an empty script");
        script.converge();
    } catch (const std::exception& why) {
        result.failure = "line " + std::to_string(number + 1) + ": " + why.what();
        if (number >= lines.size()) result.failure = std::string("after the last line: ") + why.what();
        result.rewritten.clear();
    }
    return result;
}

}  // namespace raftd::raft::test
