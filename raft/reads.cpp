// Linearizable reads without a log entry (thesis 6.4; H26): the leader notes its commit index and proves, by
// a round of messages that starts after the request, that nobody has replaced it meanwhile.
#include "base/check.h"
#include "raft/state.h"

namespace raftd::raft {

namespace {
constexpr size_t kReadsMax = 1u << 14;  // waiting at once; more are refused, which means "try again"
}

void Core::State::on(const ev::Read& event) {
    if (auto* leader = as<Leader>()) return add_read(*leader, event.id, NodeId{});
    if (this->leader() == NodeId{} || asked_reads.size() >= kReadsMax)
        reads_failed.push_back(event.id);
    else
        asked_reads.push_back({event.id, ReadId{}, now + options.election_timeout});
}

void Core::State::on_read_index(NodeId from, const msg::ReadIndex& ask) {
    if (auto* leader = as<Leader>()) return add_read(*leader, ask.id, from);
    say(from, msg::ReadIndexOk{hard.term, ask.id, Index{}, false});
}

void Core::State::add_read(Leader& leader, ReadId id, NodeId from) {
    if (leader.reads.size() < kReadsMax)
        leader.reads.push_back({id, from, Index{}, 0, now + options.election_timeout});
    else if (from == NodeId{})
        reads_failed.push_back(id);
    else
        say(from, msg::ReadIndexOk{hard.term, id, Index{}, false});
}

// Before an entry of this term is committed, the commit index may lag what a predecessor acknowledged (B83).
void Core::State::start_reads(Leader& leader) {
    if (leader.reads.empty() || leader.reads.back().round != 0 || log.term_at(commit) != hard.term) return;
    if (!planted(PlantedBug::read_by_old_round)) ++leader.round;
    for (PendingRead& read : leader.reads) {
        if (read.round != 0) continue;
        read.index = commit;
        read.round = leader.round;
    }
    for (Progress& to : leader.followers) to.due = true;
}

void Core::State::finish_reads(Leader& leader) {
    if (leader.reads.empty() || leader.reads.front().round == 0) return;
    const uint64_t confirmed = quorum_reaches(membership(), [&](NodeId id) -> uint64_t {
        if (id == self) return leader.round;
        for (const Progress& to : leader.followers)
            if (to.id == id) return to.round;
        return 0;
    });
    size_t done = 0;  // rounds rise along the queue
    for (; done < leader.reads.size(); ++done) {
        const PendingRead& read = leader.reads[done];
        if (read.round == 0 || read.round > confirmed) break;
        if (read.from == NodeId{})
            reads_done.emplace_back(read.id, read.index);
        else
            say_now(read.from, msg::ReadIndexOk{hard.term, read.id, read.index, true});
    }
    leader.reads.erase(leader.reads.begin(), leader.reads.begin() + static_cast<std::ptrdiff_t>(done));
}

// One question covers all reads that began before it leaves. Its id is never used again, not even by the next
// start of this member, so a late answer can't confirm a later read (B84).
void Core::State::ask_leader() {
    if (asked_reads.empty() || asked_reads.back().asked != ReadId{}) return;
    const NodeId of = leader();
    if (of == NodeId{}) return fail_asked_reads();
    const ReadId asked{(boot << 32) + ++read_counter};
    for (size_t at = asked_reads.size(); at-- > 0 && asked_reads[at].asked == ReadId{};)
        asked_reads[at].asked = asked;
    say(of, msg::ReadIndex{hard.term, asked});
}

void Core::State::on_read_index_ok(NodeId from, const msg::ReadIndexOk& answer_in) {
    if (leads() || from != leader()) return;
    for (size_t left = asked_reads.size(); left > 0; --left) {
        const AskedRead read = asked_reads.front();
        asked_reads.pop_front();
        if (read.asked != answer_in.id || read.asked == ReadId{})
            asked_reads.push_back(read);
        else if (answer_in.ok)
            reads_done.emplace_back(read.id, answer_in.index);
        else
            reads_failed.push_back(read.id);
    }
}

void Core::State::fail_asked_reads() {
    for (; !asked_reads.empty(); asked_reads.pop_front()) reads_failed.push_back(asked_reads.front().id);
}

void Core::State::expire_reads() {
    for (; !asked_reads.empty() && asked_reads.front().ends_at <= now; asked_reads.pop_front())
        reads_failed.push_back(asked_reads.front().id);
    auto* leader = as<Leader>();
    if (leader == nullptr) return;
    size_t done = 0;
    for (; done < leader->reads.size() && leader->reads[done].ends_at <= now; ++done) {
        const PendingRead& read = leader->reads[done];
        if (read.from == NodeId{})
            reads_failed.push_back(read.id);
        else
            say(read.from, msg::ReadIndexOk{hard.term, read.id, Index{}, false});
    }
    leader->reads.erase(leader->reads.begin(), leader->reads.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace raftd::raft
