#include "tests/model/machine.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/codec.h"
#include "raft/record.h"
#include "raft/state.h"
#include "raft/text.h"

namespace raftd::raft::model {

namespace {
constexpr Instant kNow{seconds(1000).ns};

std::vector<EntryMeta> metas(const std::vector<Entry>& entries) {
    std::vector<EntryMeta> out;
    for (const Entry& entry : entries)
        out.push_back({entry.id, 100, entry.members ? &*entry.members : nullptr});
    return out;
}

// --- keys
// ------------------------------------------------------------------------------------------------------

void put(ByteWriter& out, const Membership& members) {
    out.put(uint64_t{members.leave_joint});
    for (const auto* half : {&members.now, &members.next}) {
        out.put(uint64_t{half->size()});
        for (const Member& member : *half) {
            out.put(member.id);
            out.put(uint64_t{(member.learner ? 1u : 0u) + (member.promote ? 2u : 0u)});
        }
    }
}
void put(ByteWriter& out, const std::vector<Entry>& entries) {
    out.put(uint64_t{entries.size()});
    for (const Entry& entry : entries) {
        out.put(entry.id), out.put(entry.maker), out.put(entry.life);
        out.put(uint64_t{entry.members.has_value()});
        if (entry.members) put(out, *entry.members);
    }
}
void put(ByteWriter& out, std::string_view words) {
    out.put(uint64_t{words.size()});
    for (char c : words) out.put(c);
}
Key key_of(const ByteWriter& out) { return {checksum(out.view(), 1), checksum(out.view(), 2)}; }

// --- what only counts up
// -----------------------------------------------------------------------------------------

/// Reads don't take part, so rounds confirm nothing.
void same_round(msg::Any& message) {
    if (auto* append = std::get_if<msg::Append>(&message)) append->round = 1;
    if (auto* ok = std::get_if<msg::AppendOk>(&message)) ok->round = 1;
    if (auto* no = std::get_if<msg::AppendNo>(&message)) no->round = 1;
}

/// For Log::fields.
struct LogFields {
    const Renaming* names;
    template <class... T>
    void operator()(T&... fields) {
        (one(fields), ...);
    }
    void one(uint64_t& version) const { version = 1; }
    void one(std::vector<ConfigAt>& configs) const {
        for (ConfigAt& config : configs)
            if (names != nullptr) config.members = renamed(config.members, *names);
    }
    template <class T>
    void one(T&) const {}
};

void timeless(Leader& leader, const Options& options) {
    leader.round = 1;
    leader.heartbeat_at = kNow + options.heartbeat;
    leader.preference_at = kNever;
    if (leader.handover) leader.handover->ends_at = kNow + options.election_timeout;
    for (Progress& to : leader.followers) {
        to.heard_at = to.owes_since = kNow;
        to.paused_until = to.paused_until > kNow ? kNow + options.heartbeat : Instant{0};
        to.leaves_at = to.leaves_at == kNever ? kNever : kNow + options.election_timeout;
        to.round = std::min<uint64_t>(to.round, 1);
        to.match_round = 1;
        to.near_rounds = std::min(to.near_rounds, 2u);
    }
}
}  // namespace

Membership renamed(const Membership& members, const Renaming& names) {
    Membership out = members;
    for (auto* half : {&out.now, &out.next}) {
        for (Member& member : *half) member.id = names[raw(member.id)];
        std::sort(half->begin(), half->end(), [](const Member& a, const Member& b) { return a.id < b.id; });
    }
    return out;
}
Entry renamed(Entry entry, const Renaming& names) {
    entry.maker = names[raw(entry.maker)];
    if (entry.members) entry.members = renamed(*entry.members, names);
    return entry;
}
Letter renamed(Letter letter, const Renaming& names) {
    letter.from = names[raw(letter.from)];
    letter.to = names[raw(letter.to)];
    for (Entry& entry : letter.entries) entry = renamed(entry, names);
    return letter;
}
Key key_of(const Letter& letter) {
    ByteWriter out;
    out.put(letter.from), out.put(letter.to);
    put(out, text(letter.message));
    put(out, letter.entries);
    return key_of(out);
}
Key key_of(const std::vector<Entry>& entries, const std::vector<uint64_t>& more) {
    ByteWriter out;
    put(out, entries);
    for (uint64_t word : more) out.put(word);
    return key_of(out);
}

// --- a member
// -------------------------------------------------------------------------------------------------

Machine::Machine(NodeId id, const Setting& setting) : id_(id), setting_(setting) {}

bool Machine::has_durable(const Entry& entry) const {
    const uint64_t at = raw(entry.id.index);
    return at <= durable_.size() && durable_[at - 1] == entry;
}

void Machine::start(std::vector<Letter>& out) {
    std::vector<TermRun> runs;
    std::vector<ConfigAt> configs{{Index{}, setting_.genesis}};
    for (const Entry& entry : durable_) {
        if (runs.empty() || runs.back().term != entry.id.term)
            runs.push_back({entry.id.term, entry.id.index});
        if (entry.members) configs.push_back({entry.id.index, *entry.members});
    }
    ++life_;
    log_ = durable_;
    const Restart restart{hard_, {}, runs, Index{durable_.size()}, configs, {}, 0, {}};
    core_.emplace(setting_.options, id_, restart, 1, kNow);
    core_->check_invariants(true);
    turn(out);
}

void Machine::crash() {
    core_.reset();
    log_.clear(), writes_.clear(), parked_.clear();
}

void Machine::step(decltype(Event::what) what, const std::vector<Entry>& entries) {
    const std::vector<EntryMeta> known = metas(entries);
    if (auto* message = std::get_if<ev::Message>(&what)) message->entries = known;
    if (auto* proposal = std::get_if<ev::Propose>(&what)) proposal->entries = known;
    const bool tick = std::holds_alternative<ev::Tick>(what);
    const Core::Taken taken = core_->step({tick ? core_->deadline() : kNow, std::move(what)});
    log_.resize(std::min<size_t>(log_.size(), raw(taken.keep_upto)));
    for (const Entry& entry : entries)
        if (entry.id.index > taken.keep_upto && entry.id.index <= taken.last) log_.push_back(entry);
    check();
}

void Machine::check() const {
    if (log_.size() != raw(core_->last())) throw Violation("log and core differ in length");
    const Membership* newest = &setting_.genesis;
    for (const Entry& entry : log_)
        if (entry.members) newest = &*entry.members;
    if (core_->view().membership.members != *newest)
        throw Violation(text(id_) + " goes by " + text(core_->view().membership.members) + ", its log says " +
                        text(*newest));
}

void Machine::tick(std::vector<Letter>& out) {
    if (core_->deadline() == kNever) return;
    step(ev::Tick{}, {});
    turn(out);
}
void Machine::deliver(const Letter& letter, std::vector<Letter>& out) {
    step(ev::Message{letter.from, letter.message, {}}, letter.entries);
    turn(out);
}
void Machine::propose(std::vector<Letter>& out) {
    const Entry entry{core_->next_id(), id_, life_, std::nullopt};
    step(ev::Propose{}, {entry});
    turn(out);
}
void Machine::change(const Membership& target, std::vector<Letter>& out) {
    step(ev::ProposeMembership{target}, {});
    turn(out);
}

void Machine::turn(std::vector<Letter>& out) {
    Output output;
    for (int again = 0;; ++again) {
        if (again > 20) throw Violation("a turn never ends");
        core_->collect(output);
        perform(output, out);
        if (output.diverged) throw Violation(text(id_) + " is contradicted below its commit index");
        if (output.want) {
            Entry entry{core_->next_id(), id_, life_, std::nullopt};
            if (output.want->kind == EntryKind::membership) entry.members = output.want->membership;
            step(ev::Propose{}, {entry});
            continue;
        }
        for (const Output::Fetch& what : output.fetch)
            step(ev::Fetched{what.id, what.to, what.first, core_->last(),
                             100 * (core_->last() - what.first + 1), ev::Got::ok},
                 {});
        if (!output.fetch.empty()) continue;
        if (setting_.slow_disk || writes_.empty()) break;
        const WriteId upto = writes_.front().id;
        write_down();
        step(ev::Durable{upto}, {});
    }
    normalise();
}

void Machine::perform(const Output& output, std::vector<Letter>& out) {
    if (output.write) {
        const Index keep = output.write->keep_upto;
        writes_.push_back({output.write->id,
                           output.write->hard,
                           keep,
                           {log_.begin() + static_cast<std::ptrdiff_t>(raw(keep)), log_.end()}});
    }
    for (const Send& said : output.send) {
        if (said.after == WriteId{})
            send(said, out);
        else
            parked_.push_back(said);
    }
    while (!parked_.empty() && (writes_.empty() || parked_.front().after < writes_.front().id)) {
        const Send ready = parked_.front();
        parked_.erase(parked_.begin());
        const Term spoken = std::visit([](const auto& any) { return any.term; }, ready.message);
        if (spoken >= core_->term()) send(ready, out);
    }
}

void Machine::send(const Send& said, std::vector<Letter>& out) const {
    if (const auto* vote = std::get_if<msg::VoteOk>(&said.message))
        if (vote->granted && !vote->pre &&
            (hard_.term < vote->term || (hard_.term == vote->term && hard_.vote != said.to)))
            throw Violation(text(id_) + " speaks of a vote that isn't durable");
    if (const auto* ok = std::get_if<msg::AppendOk>(&said.message))
        if (raw(ok->match) > durable_.size()) throw Violation(text(id_) + " acknowledges what isn't durable");
    Letter letter{id_, said.to, said.message, {}};
    same_round(letter.message);
    if (const auto* append = std::get_if<msg::Append>(&said.message))
        letter.entries.assign(log_.begin() + static_cast<std::ptrdiff_t>(raw(append->prev.index)),
                              log_.begin() + static_cast<std::ptrdiff_t>(raw(append->last)));
    out.push_back(std::move(letter));
}

void Machine::write_down() {
    const Write& write = writes_.front();
    if (write.hard.term < hard_.term || raw(write.keep) > durable_.size())
        throw Violation(text(id_) + " writes out of order");
    hard_ = write.hard;
    durable_.resize(raw(write.keep));
    durable_.insert(durable_.end(), write.entries.begin(), write.entries.end());
    writes_.erase(writes_.begin());
}

void Machine::sync(std::vector<Letter>& out) {
    const WriteId upto = writes_.front().id;
    write_down();
    step(ev::Durable{upto}, {});
    turn(out);
}

void Machine::normalise() {
    auto state = std::make_unique<Core::State>(core_->state());
    Core::State& s = *state;
    s.now = kNow;
    s.random = Random(1);
    s.fetch_counter = s.read_counter = 0;
    const Duration half = s.half();
    if (auto* follower = s.as<Follower>())
        follower->heard_at = kNow, follower->timeout = half, follower->election_at = kNow + half;
    if (auto* pre = s.as<PreCandidate>()) pre->retry_at = kNow + half;
    if (auto* candidate = s.as<Candidate>()) candidate->retry_at = kNow + half;
    if (auto* leader = s.as<Leader>()) timeless(*leader, s.options);
    LogFields fields{nullptr};
    s.log.fields(fields);
    s.config_told = 1;
    // Write ids count from the last durable one.
    const uint64_t before = raw(s.durable_write);
    auto less = [&](WriteId& id) { id = WriteId{raw(id) > before ? raw(id) - before : 0}; };
    for (size_t at = 0; at < s.writes.size(); ++at) less(s.writes[at].id), s.writes[at].at = kNow;
    less(s.hard_write), less(s.last_write), less(s.durable_write);
    for (Write& write : writes_) less(write.id);
    for (Send& said : parked_) less(said.after);
    core_ = Core(std::move(state));
}

Key Machine::key() const {
    ByteWriter out;
    out.put(id_), out.put(life_), out.put(hard_.term), out.put(hard_.vote);
    put(out, durable_);
    out.put(uint64_t{up()});
    if (!up()) return key_of(out);
    const std::vector<std::byte> state = save(*core_);
    out.put(checksum(state, 1)), out.put(checksum(state, 2));
    put(out, log_);
    for (const Write& write : writes_) {
        out.put(write.id), out.put(write.hard.term), out.put(write.hard.vote), out.put(write.keep);
        put(out, write.entries);
    }
    for (const Send& said : parked_) {
        out.put(said.after), out.put(said.to);
        put(out, text(said.message));
    }
    return key_of(out);
}

Machine Machine::renamed(const Renaming& names) const {
    auto name = [&](NodeId& id) { id = names[raw(id)]; };
    auto all = [&](std::vector<Entry>& entries) {
        for (Entry& entry : entries) entry = model::renamed(entry, names);
    };
    Machine out = *this;
    name(out.id_), name(out.hard_.vote);
    all(out.durable_), all(out.log_);
    for (Write& write : out.writes_) name(write.hard.vote), all(write.entries);
    for (Send& said : out.parked_) name(said.to);
    if (!up()) return out;
    auto state = std::make_unique<Core::State>(core_->state());
    Core::State& s = *state;
    name(s.self), name(s.hard.vote), name(s.role_told.leader);
    LogFields fields{&names};
    s.log.fields(fields);
    auto votes = [&](Votes& given) {
        for (auto& answer : given.answers) name(answer.from);
        std::sort(given.answers.begin(), given.answers.end(),
                  [](const auto& a, const auto& b) { return a.from < b.from; });
    };
    if (auto* follower = s.as<Follower>()) name(follower->leader);
    if (auto* pre = s.as<PreCandidate>()) votes(pre->votes);
    if (auto* candidate = s.as<Candidate>()) votes(candidate->votes);
    if (auto* leader = s.as<Leader>()) {
        for (Progress& to : leader->followers) name(to.id);
        std::sort(leader->followers.begin(), leader->followers.end(),
                  [](const Progress& a, const Progress& b) { return a.id < b.id; });
        if (leader->handover) name(leader->handover->to);
    }
    out.core_ = Core(std::move(state));
    return out;
}

}  // namespace raftd::raft::model
