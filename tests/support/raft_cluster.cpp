#include "tests/support/raft_cluster.h"

#include <algorithm>

#include "raft/quorum.h"
#include "raft/text.h"

namespace raftd::raft::test {

namespace {
std::string name(NodeId id) { return "n" + std::to_string(raw(id)); }
std::vector<EntryMeta> metas(const std::vector<Entry>& entries) {
    std::vector<EntryMeta> out;
    out.reserve(entries.size());
    for (const Entry& entry : entries)
        out.push_back({entry.id, entry.bytes, entry.membership ? &*entry.membership : nullptr});
    return out;
}
}  // namespace

std::optional<Entry> Image::at(Index index) const {
    if (index <= base.index || index > last()) return std::nullopt;
    return entries[index - base.index - 1];
}
const Entry& Member_::at(Index index) const { return log.at(index - log_base.index - 1); }

Cluster::Cluster(std::vector<Member> members, const Options& options, uint64_t seed, size_t spares)
    : seed_(seed), truth_members_{Index{}, {members, {}, false}} {
    std::vector<NodeId> all;
    for (const Member& named : members) all.push_back(named.id);
    ids_committed_.insert(all.begin(), all.end());
    for (; spares > 0; --spares) all.push_back(all.back() + 1);
    for (NodeId id : all) {
        auto member = std::make_unique<Member_>();
        member->id = id;
        member->options = options;
        member->disk.base_config = member->disk.snapshot_config = truth_members_;
        members_[id] = std::move(member);
    }
}

std::vector<NodeId> Cluster::ids() const {
    std::vector<NodeId> out;
    for (const auto& [id, member] : members_) out.push_back(id);
    return out;
}

std::optional<NodeId> Cluster::leader() const {
    std::optional<NodeId> newest;
    for (const auto& [id, member] : members_)
        if (member->core && member->core->role() == Role::leader &&
            (!newest || members_.at(*newest)->core->term() < member->core->term()))
            newest = id;
    return newest;
}

namespace {
// What lies below the snapshot goes; a log that doesn't reach it, or holds another entry there, goes
// altogether.
void recover(Image& disk) {
    if (disk.snapshot.index <= disk.base.index) return;
    const std::optional<Entry> there = disk.at(disk.snapshot.index);
    if (there && there->id == disk.snapshot)
        disk.entries.erase(
            disk.entries.begin(),
            disk.entries.begin() + static_cast<std::ptrdiff_t>(disk.snapshot.index - disk.base.index));
    else
        disk.entries.clear();
    disk.base = disk.snapshot;
    disk.base_config = disk.snapshot_config;
}

void write_down(Image& disk, const Member_::Write& write) {
    if (write.reset) {
        disk.base = *write.reset;
        disk.base_config = write.reset_config;
        disk.entries.clear();
    }
    if (write.what.hard.term < disk.hard.term) throw Violation("an older term was written");
    if (write.what.keep_upto < disk.base.index || write.what.keep_upto > disk.last())
        throw Violation("a write begins behind a gap");
    disk.hard = write.what.hard;
    disk.entries.resize(write.what.keep_upto - disk.base.index);
    disk.entries.insert(disk.entries.end(), write.entries.begin(), write.entries.end());
}
}  // namespace

void Cluster::start(NodeId id) {
    Member_& member = *members_.at(id);
    recover(member.disk);
    std::vector<TermRun> runs;
    std::vector<ConfigAt> configs{member.disk.base_config};
    for (const Entry& entry : member.disk.entries) {
        if (runs.empty() || runs.back().term != entry.id.term)
            runs.push_back({entry.id.term, entry.id.index});
        if (entry.membership) configs.push_back({entry.id.index, *entry.membership});
    }
    member.log = member.disk.entries;
    member.log_base = member.disk.base;
    member.base_config = member.disk.base_config;
    ++member.boot;
    Restart restart{member.disk.hard, member.disk.base, runs,       member.disk.last(),
                    configs,          member.health,    member.boot};
    member.core.emplace(member.options, id, restart, seed_ * 1000 + raw(id) * 31 + member.boot, now);
    member.core->check_invariants(true);
    member.commit_seen = member.core->commit();
    turn(id);
}

void Cluster::crash(NodeId id, size_t keep) {
    Member_& member = *members_.at(id);
    for (size_t written = 0; written < keep && !member.writes.empty(); ++written) {
        write_down(member.disk, member.writes.front());
        member.writes.pop_front();
    }
    member.core.reset();
    member.writes.clear();
    member.parked.clear();
    member.reads_begun.clear();
    std::erase_if(fetches, [&](const auto& asked) { return asked.first == id; });
}

void Cluster::step(NodeId id, const std::vector<Entry>& entries, Event event) {
    Member_& member = *members_.at(id);
    if (!member.core) return;
    event.now = now;
    const std::vector<EntryMeta> known = metas(entries);
    std::optional<std::optional<Index>> foretold;
    if (auto* message = std::get_if<ev::Message>(&event.what)) {
        message->entries = known;
        if (auto* append = std::get_if<msg::Append>(&message->message))
            foretold = member.core->keep_upto(*append, known);
    }
    if (auto* proposal = std::get_if<ev::Propose>(&event.what)) proposal->entries = known;
    if (on_step) on_step(id, event);
    for (const Entry& entry : entries)
        if (entry.membership && std::holds_alternative<ev::Propose>(event.what))
            check_change(member, member.core->view().membership, entry);
    const Core::Taken taken = member.core->step(event);
    if (taken.keep_upto < member.last()) {
        if (taken.keep_upto < member.log_base.index) throw Violation(name(id) + " cut below its base");
        member.log.resize(taken.keep_upto - member.log_base.index);
    }
    if (taken.last > taken.keep_upto) {
        if (foretold && *foretold != taken.keep_upto)
            throw Violation(name(id) + " keep_upto() foretold otherwise");
        for (const Entry& entry : entries)
            if (entry.id.index > taken.keep_upto && entry.id.index <= taken.last) member.log.push_back(entry);
    }
    if (member.last() != member.core->last()) throw Violation(name(id) + " log and core differ in length");
    if (member.last() > member.log_base.index &&
        member.core->term_at(member.last()) != member.at(member.last()).id.term)
        throw Violation(name(id) + " log and core differ in term");
    check_config(member);
}

void Cluster::set_log(NodeId id, const std::vector<Term>& terms, HardState hard) {
    Image& disk = members_.at(id)->disk;
    for (Term term : terms) disk.entries.push_back(known({term, disk.last() + 1}));
    disk.hard = hard;
}

Entry Cluster::known(EntryId id) {
    const auto [made, fresh] = values_.emplace(id, next_value_);
    if (fresh) ++next_value_;
    return {id, 100, made->second, std::nullopt};
}

void Cluster::note(const Member_& member, const std::string& line) {
    if (trace == nullptr) return;
    const Term term = member.core ? member.core->term() : Term{};
    trace->push_back(name(member.id) + "@" + std::to_string(raw(term)) + " " + line);
}

void Cluster::tick(NodeId id) {
    step(id, {}, {now, ev::Tick{}});
    turn(id);
}

bool Cluster::propose(NodeId id, size_t count, uint32_t bytes) {
    Member_& member = *members_.at(id);
    if (!member.core || member.core->role() != Role::leader) return false;
    std::vector<Entry> entries;
    EntryId next = member.core->next_id();
    for (size_t made = 0; made < count; ++made) {
        entries.push_back({next, bytes, next_value_++, std::nullopt});
        if (!values_.emplace(next, entries.back().value).second)
            throw Violation(name(id) + " made two entries of one id");
        ++next.index;
    }
    step(id, entries, {now, ev::Propose{}});
    return true;
}

void Cluster::read(NodeId id, ReadId read) {
    Member_& member = *members_.at(id);
    member.reads_begun[read] = committed();
    step(id, {}, {now, ev::Read{read}});
}

void Cluster::turn(NodeId id) {
    Member_& member = *members_.at(id);
    if (!member.core) return;
    for (int again = 0; again < 4; ++again) {
        member.core->collect(output_);
        if (on_collect) on_collect(id, output_);
        Output now_owed = output_;
        perform(member, now_owed);
        if (!now_owed.want) break;
        EntryId next = member.core->next_id();
        Entry entry{next, 100, next_value_++, std::nullopt};
        if (now_owed.want->kind == EntryKind::membership) entry.membership = now_owed.want->membership;
        if (!values_.emplace(next, entry.value).second)
            throw Violation(name(id) + " made two entries of one id");
        step(id, {entry}, {now, ev::Propose{}});
    }
    check_leader(member);
}

void Cluster::perform(Member_& member, Output& output) {
    if (trace != nullptr) {
        std::vector<std::string> lines = text(output);
        lines.pop_back();  // commit and durable; said when commit moves
        for (const std::string& line : lines) note(member, line);
        if (output.commit > member.commit_seen) note(member, "commit " + std::to_string(raw(output.commit)));
    }
    if (output.write) {
        Member_::Write write{*output.write, output.reset, {}, {}};
        if (output.reset) write.reset_config = member.base_config;
        for (Index at = output.write->keep_upto + 1; at <= output.write->last; ++at)
            write.entries.push_back(member.at(at));
        member.writes.push_back(std::move(write));
    }
    for (const Send& send_now : output.send) {
        if (send_now.after == WriteId{})
            send(member, send_now);
        else
            member.parked.push_back(send_now);
    }
    check_commit(member, output.commit);
    if (output.lost_after) member.lost_after = output.lost_after;
    if (output.diverged) member.diverged = output.diverged;
    if (output.transfer) member.transfer = output.transfer;
    for (const auto& [read, index] : output.reads) {
        auto begun = member.reads_begun.find(read);
        if (begun == member.reads_begun.end()) throw Violation(name(member.id) + " answered a read twice");
        if (index < begun->second) throw Violation(name(member.id) + " answered a stale read");
        member.reads_begun.erase(begun);
        member.reads_done.emplace_back(read, index);
    }
    for (ReadId read : output.reads_failed) {
        if (member.reads_begun.erase(read) == 0) throw Violation(name(member.id) + " failed a read twice");
        member.reads_failed.push_back(read);
    }
    for (const Output::Fetch& what : output.fetch) fetches.emplace_back(member.id, what);
    if (output.install) install(member, *output.install);
}

void Cluster::send(Member_& member, const Send& send) {
    if (const auto* ok = std::get_if<msg::VoteOk>(&send.message); ok != nullptr && ok->granted && !ok->pre) {
        if (checks_vote_durability &&
            (member.disk.hard.term < ok->term ||
             (member.disk.hard.term == ok->term && member.disk.hard.vote != send.to)))
            throw Violation(name(member.id) + " spoke of a vote that isn't durable");
        auto [said, fresh] = votes_.emplace(std::pair{member.id, ok->term}, send.to);
        if (!fresh && said->second != send.to) throw Violation(name(member.id) + " voted twice in a term");
    }
    if (const auto* ok = std::get_if<msg::AppendOk>(&send.message))
        if (ok->match > member.disk.end())
            throw Violation(name(member.id) + " acknowledged what isn't durable");
    Letter letter{member.id, send.to, send.message, {}};
    if (const auto* append = std::get_if<msg::Append>(&send.message)) {
        ++append_messages;
        for (Index at = append->prev.index + 1; at <= append->last; ++at)
            letter.entries.push_back(member.at(at));
    }
    if (members_.count(send.to) != 0 && cut.count({member.id, send.to}) == 0)
        links_[{member.id, send.to}].push_back(std::move(letter));
}

size_t Cluster::persist(NodeId id, size_t count) {
    Member_& member = *members_.at(id);
    if (!member.core || member.writes.empty()) return 0;
    count = std::min(count, member.writes.size());
    const WriteId upto = member.writes[count - 1].what.id;
    for (size_t done = 0; done < count; ++done) {
        write_down(member.disk, member.writes.front());
        member.writes.pop_front();
    }
    note(member, "durable #" + std::to_string(raw(upto)));
    step(id, {}, {now, ev::Durable{upto}});
    while (!member.parked.empty() && member.parked.front().after <= upto) {
        const Send ready = member.parked.front();
        member.parked.pop_front();
        const Term spoken = std::visit([](const auto& any) { return any.term; }, ready.message);
        const bool holds = spoken >= member.core->term();
        note(member, (holds ? "sent to " : "forgot, to ") + name(ready.to) + ": " + text(ready.message));
        if (holds) send(member, ready);
    }
    turn(id);
    return count;
}

bool Cluster::deliver(NodeId from, NodeId to, size_t position, bool keep_a_copy) {
    auto& letters = links_[{from, to}];
    if (position >= letters.size()) return false;
    const Letter letter = letters[position];
    if (!keep_a_copy) letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(position));
    if (members_.at(to)->core) {
        const std::vector<EntryMeta> held = metas(letter.entries);
        note(*members_.at(to), "< " + name(from) + " " + text(letter.message) +
                                   (held.empty() ? "" : " " + text(std::span<const EntryMeta>(held))));
    }
    step(to, letter.entries, {now, ev::Message{from, letter.message, {}}});
    turn(to);
    return true;
}

void Cluster::compact(NodeId id) {
    Member_& member = *members_.at(id);
    const View view = member.core->view();
    const Index upto = std::min({view.commit, view.durable, member.disk.last()});
    if (upto <= member.log_base.index || !member.writes.empty()) return;
    const EntryId at = member.at(upto).id;
    step(id, {}, {now, ev::Compacted{at}});
    for (const Entry& entry : member.log)
        if (entry.membership && entry.id.index <= upto)
            member.base_config = {entry.id.index, *entry.membership};
    auto drop_to = [&](std::vector<Entry>& entries, Index base) {
        entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(upto - base));
    };
    drop_to(member.log, member.log_base.index);
    drop_to(member.disk.entries, member.disk.base.index);
    member.log_base = member.disk.base = member.disk.snapshot = at;
    member.disk.base_config = member.disk.snapshot_config = member.base_config;
}

void Cluster::drop(NodeId from, NodeId to, size_t position) {
    auto& letters = links_[{from, to}];
    if (position < letters.size()) letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(position));
}

void Cluster::fetch(NodeId id, const Output::Fetch& what) {
    Member_& member = *members_.at(id);
    if (!member.core) return;
    ev::Fetched got{what.id, what.to, what.first, what.first, 0, ev::Got::gone};
    for (Index at = what.first; at > member.log_base.index && at <= member.last(); ++at) {
        if (got.bytes > 0 && got.bytes + member.at(at).bytes > what.bytes_max) break;
        got.bytes += member.at(at).bytes;
        got.last = at;
        got.got = ev::Got::ok;
    }
    step(id, {}, {now, got});
    turn(id);
}

// A download that takes no time: the sender's log up to its own base is what a snapshot would hold.
void Cluster::install(Member_& member, const Output::Install& what) {
    auto sender = members_.find(what.from);
    if (sender == members_.end() || !sender->second->core) return;
    const Member_& from = *sender->second;
    if (from.log_base.index < what.at.index || !member.core->may_install(from.log_base)) return;
    const bool keeps = member.core->term_at(from.log_base.index) == from.log_base.term &&
                       from.log_base.index > member.log_base.index;
    if (keeps) {
        member.log.erase(
            member.log.begin(),
            member.log.begin() + static_cast<std::ptrdiff_t>(from.log_base.index - member.log_base.index));
    } else {
        member.log.clear();
    }
    member.log_base = from.log_base;
    member.base_config = from.base_config;
    member.disk.snapshot = from.log_base;  // renaming CURRENT is the commit point
    member.disk.snapshot_config = from.base_config;
    const ev::Installed installed{from.log_base, from.base_config.members};
    step(member.id, {}, {now, installed});
    turn(member.id);
}

bool Cluster::flush() {
    bool moved = false;
    for (NodeId from : ids())
        for (NodeId to : ids())
            for (size_t left = link(from, to).size(); left > 0; --left) moved |= deliver(from, to, 0, false);
    for (NodeId id : ids()) moved |= persist(id, SIZE_MAX) > 0;
    for (size_t left = hold_fetches ? 0 : fetches.size(); left > 0 && !fetches.empty(); --left) {
        const auto asked = fetches.front();
        fetches.pop_front();
        fetch(asked.first, asked.second);
        moved = true;
    }
    return moved;
}

void Cluster::advance(Instant until) {
    Instant next = until;
    for (const auto& [id, member] : members_)
        if (member->core) next = std::min(next, member->core->deadline());
    now = std::max(now, next);
    for (NodeId id : ids())
        if (members_.at(id)->core && members_.at(id)->core->deadline() <= now) tick(id);
}

void Cluster::settle(Duration longest) {
    const Instant until = now + longest;
    while (now < until) {
        for (int rounds = 0; flush(); ++rounds)
            if (rounds > 100000) throw Violation("messages never end");
        advance(until);
    }
}

}  // namespace raftd::raft::test
