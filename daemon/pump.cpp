// The safe order of one turn (thesis 10.2; hard cases H4, H5, H10):
//   1. everything ready has been stepped (daemon/node.cpp); collect says what is owed
//   2. the log follows a snapshot that replaced it; the write goes to the log: the slowest part starts first
//   3. what needs no sync leaves now: a leader's entries, pre-votes
//   4. what carries my term or my promise parks behind its write
//   5. entries that a follower needs and memory lacks are asked for
//   6. an entry the core wants (the no-op of a reign) is placed, and the round begins again
//   7. lost office: what of mine isn't committed has an unknown outcome, before the new leader's commit is
//   looked at
//   8. commit: appenders are answered, readers get what is committed; reads end
//   9. once a turn: what is committed and durable here is applied to the replicated state (daemon/applier.h)
// A sync that completes is stepped first; only then do the answers parked behind it leave, without those of a
// term that is over.
#include "daemon/pump.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "daemon/repair.h"
#include "daemon/retention_requests.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

namespace msg = raft::msg;
constexpr int kRoundsMax = 8;

Term term_of(const msg::Any& message) {
    return std::visit([](const auto& m) { return m.term; }, message);
}

LogPoint point_of(const wal::ReadResult& result) {
    EntryCursor cursor(result.entries.view());
    const EntryHeader* header = cursor.next();
    CHECK(header != nullptr);
    return point_after(*header);
}

}  // namespace

Pump::Pump(Context& context, Replica& replica, wal::Wal& wal, LogReader& reader, Applier& applier,
           Peers& peers, ChainWatch& chains)
    : context_(context),
      replica_(replica),
      wal_(wal),
      reader_(reader),
      applier_(applier),
      peers_(peers),
      chains_(chains),
      disk_(context, wal),
      committed_(wal.base()) {}

void Pump::attach(Appends& appends, Tails& tails, Producers& producers) {
    appends_ = &appends;
    tails_ = &tails;
    producers_ = &producers;
}

uint64_t Pump::wall_ms() const {
    return static_cast<uint64_t>(std::max<int64_t>(context_.world.clock.wall_ms(), 0));
}

void Pump::turn() {
    update_health();
    watch_clocks();
    more_ = false;
    bool again = true;
    for (int round = 0; again && round < kRoundsMax; ++round) {
        replica_.flush_proposals();
        replica_.collect(output_);
        again = perform();
        ++context_.counters.rounds;
    }
    more_ |= again;
    more_ |= applier_.turn(std::min(output_.commit, output_.durable));
    more_ |= tails_->serve(committed_);
    if (tails_->waiting() != readers_told_) {
        readers_told_ = tails_->waiting();
        replica_.step(context_.now, raft::ev::Readers{readers_told_});
    }
    replica_.release(output_.durable, context_.options.settings.log.buffer_bytes);
}

/// Steps 2 to 8 for one output; true when the core was stepped again and owes more.
bool Pump::perform() {
    if (output_.diverged)
        fatal(ExitCode::diverged, "the cluster contradicts entry " + std::to_string(raw(*output_.diverged)) +
                                      " of this member's log: nothing was changed (hint: compare the "
                                      "members with raftctl status before going on)");
    bool stepped = false;
    if (output_.reset) begin_log_anew(*output_.reset);
    if (output_.write) write(*output_.write);
    for (const raft::Send& out : output_.send) send(out);
    for (const auto& wanted : output_.fetch) stepped |= fetch(wanted);
    if (output_.membership) context_.log_clock.set_members(output_.membership->members);
    if (output_.install) install_ = output_.install;
    if (output_.role) role_changed(*output_.role);
    if (output_.transfer) transfer_end_ = output_.transfer;
    if (output_.want) stepped |= want(*output_.want);
    // Before the commit: a new leader's message may replace entries of mine and commit its own at their
    // places.
    if (output_.lost_after) {
        appends_->lost_after(*output_.lost_after);
        producers_->lost_after(*output_.lost_after);
        requests_->lost_after(*output_.lost_after);
    }
    advance_commit(output_.commit);
    end_reads();
    appends_->take_refusals();
    return stepped;
}

/// Whoever asked knows the id; the others pass it over.
void Pump::end_reads() {
    for (const auto& [read, index] : output_.reads) {
        tails_->read_confirmed(read, index);
        appends_->read_confirmed(read);
        producers_->read_confirmed(read, index);
        requests_->read_confirmed(read, index);
    }
    for (ReadId read : output_.reads_failed) {
        tails_->read_failed(read);
        appends_->read_failed(read);
        producers_->read_failed(read);
        requests_->read_failed(read);
    }
}

void Pump::write(const raft::Output::Write& write) {
    std::optional<LogPoint> before = replica_.point_at(write.keep_upto);
    CHECK(before.has_value());
    slices_.clear();
    if (write.last > write.keep_upto) replica_.buffer().slices(write.keep_upto + 1, write.last, slices_);
    disk_.asked(write.id);
    wal_.write({write.id, write.hard, *before, write.last, slices_, write.sync_needed});
    slices_.clear();
}

void Pump::send(const raft::Send& send) {
    if (send.after > durable_)
        park(send);
    else
        send_now(send.to, send.message);
}

void Pump::park(const raft::Send& send) {
    auto later = [](WriteId after, const Parked& parked) { return after < parked.after; };
    auto at = std::upper_bound(parked_.begin(), parked_.end(), send.after, later);
    parked_.insert(at, {send.after, send.to, term_of(send.message), send.message});
}

void Pump::durable(WriteId id) {
    durable_ = id;
    disk_.durable(id);
    replica_.step(context_.now, raft::ev::Durable{id});
    Term term = replica_.core().term();
    while (!parked_.empty() && parked_.front().after <= id) {
        Parked parked = std::move(parked_.front());
        parked_.pop_front();
        if (parked.term != term) continue;
        // One answer a follower and sync: a later one of the same kind says all that this one says.
        bool superseded = false;
        if (std::holds_alternative<msg::AppendOk>(parked.message)) {
            for (Parked& other : parked_) {
                if (other.after > id) break;
                auto* newer = std::get_if<msg::AppendOk>(&other.message);
                if (newer == nullptr || other.to != parked.to || other.term != term) continue;
                const auto& older = std::get<msg::AppendOk>(parked.message);
                newer->match = std::max(newer->match, older.match);
                newer->round = std::max(newer->round, older.round);
                superseded = true;
                break;
            }
        }
        if (!superseded) send_now(parked.to, parked.message);
    }
}

void Pump::send_now(NodeId to, const msg::Any& message) {
    if (const auto* append = std::get_if<msg::Append>(&message)) return send_append(to, *append);
    peers_.send(to, encode_peer(message, 0, 0, trailer()));
}

void Pump::send_append(NodeId to, const msg::Append& append) {
    const proto::Trailer rider = freeze_rider();
    if (append.last <= append.prev.index) return peers_.send(to, encode_peer(append, 0, 0, rider));
    Index first = append.prev.index + 1;
    auto count = static_cast<uint32_t>(append.last - append.prev.index);
    slices_.clear();
    const LogBuffer& buffer = replica_.buffer();
    auto fetched = std::find_if(fetched_.begin(), fetched_.end(),
                                [&](const FetchedRun& run) { return run.to == to && run.first == first; });
    if (buffer.holds(first) && buffer.holds(append.last)) {
        buffer.slices(first, append.last, slices_);
    } else if (fetched != fetched_.end() && fetched->last == append.last) {
        slices_.push_back(fetched->entries);
    } else {
        // The core counted on memory that has been given back since: the same message goes a little later.
        ++context_.counters.late_sends;
        return reader_.from_files({wal::ReadRequest::By::index, raw(first), kChunkBytes, append.last},
                                  {.who = ReadFor::Who::late_send, .a = raw(to), .append = append});
    }
    if (fetched != fetched_.end()) fetched_.erase(fetched);
    uint64_t bytes = 0;
    for (const Slice& slice : slices_) bytes += slice.size();
    peers_.send(to, encode_peer(append, count, bytes, rider), slices_);
    slices_.clear();
}

bool Pump::fetch(const raft::Output::Fetch& fetch) {
    const LogBuffer& buffer = replica_.buffer();
    if (buffer.holds(fetch.first)) {
        Index last = buffer.last_within(fetch.first, replica_.core().last(), fetch.bytes_max);
        replica_.step(context_.now, raft::ev::Fetched{fetch.id, fetch.to, fetch.first, last,
                                                      buffer.bytes_of(fetch.first, last), raft::ev::Got::ok});
        return true;
    }
    reader_.from_files({wal::ReadRequest::By::index, raw(fetch.first), fetch.bytes_max, buffer.first() - 1},
                       {.who = ReadFor::Who::follower, .a = fetch.id, .b = raw(fetch.to)});
    return false;
}

void Pump::read_done(const ReadFor& purpose, wal::ReadResult& result) {
    bool ok = result.code == wal::ReadCode::ok;
    if (result.code == wal::ReadCode::damaged)
        context_.log(LogLevel::error, "log_damaged")("why", result.what);
    switch (purpose.who) {
        case ReadFor::Who::follower: {
            NodeId to{purpose.b};
            auto got = ok                                   ? raft::ev::Got::ok
                       : result.code == wal::ReadCode::gone ? raft::ev::Got::gone
                                                            : raft::ev::Got::damaged;
            std::erase_if(fetched_, [&](const FetchedRun& run) { return run.to == to; });
            if (ok) fetched_.push_back({to, result.first, result.last, result.entries});
            replica_.step(context_.now, raft::ev::Fetched{purpose.a, to, result.first, result.last,
                                                          result.entries.size(), got});
            return;
        }
        case ReadFor::Who::late_send: {
            msg::Append append = purpose.append;
            const raft::Core& core = replica_.core();
            if (!ok || core.role() != raft::Role::leader || core.term() != append.term ||
                result.first != append.prev.index + 1 || result.before.term != append.prev.term)
                return;
            append.last = result.last;
            auto count = static_cast<uint32_t>(append.last - append.prev.index);
            const proto::Trailer rider = freeze_rider();
            peers_.send(NodeId{purpose.a}, encode_peer(append, count, result.entries.size(), rider),
                        {&result.entries, 1});
            return;
        }
        case ReadFor::Who::follower_point: {
            if (!waiting_append_) return;
            Waiting waiting = std::move(*waiting_append_);
            waiting_append_.reset();
            if (!ok) return;
            replica_.provide_point(point_of(result));
            append_from(waiting.from, std::move(waiting.message));
            return;
        }
        case ReadFor::Who::commit_point:
            committed_read_under_way_ = false;
            if (ok && result.first > committed_.index) committed_ = point_of(result);
            return;
        case ReadFor::Who::tail: tails_->read_done(purpose, result); return;
        case ReadFor::Who::state: applier_.read_done(result); return;
        case ReadFor::Who::compaction:
        case ReadFor::Who::point_asked:
        case ReadFor::Who::read_back:
        case ReadFor::Who::repair:
        case ReadFor::Who::serve: break;  // have their own ways (daemon/node.cpp)
    }
}

void Pump::append_from(NodeId from, PeerMessage message) {
    using Accepted = Replica::Accepted;
    Accepted accepted = replica_.accept_append(context_.now, from, message);
    if (accepted == Accepted::needs_point && replica_.wanted_point() == wal_.base().index) {
        replica_.provide_point(wal_.base());
        accepted = replica_.accept_append(context_.now, from, message);
    }
    if (accepted == Accepted::stepped) {
        if (!message.entries.empty()) chains_.append_taken();
        return;
    }
    if (accepted == Accepted::needs_point) {
        Index wanted = replica_.wanted_point();
        // One at a time; the leader sends again what is dropped here.
        if (waiting_append_) return;
        waiting_append_ = {from, std::move(message)};
        reader_.from_files({wal::ReadRequest::By::index, raw(wanted), 1, wanted},
                           {.who = ReadFor::Who::follower_point});
        return;
    }
    chains_.append_refused(from, message, accepted);
}

bool Pump::want(const raft::Output::Want& want) {
    const raft::Core& core = replica_.core();
    if (core.role() != raft::Role::leader || core.term() != want.term) return false;
    LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    if (want.kind == EntryKind::membership) {
        replica_.propose_membership(context_.now, want.membership, time);
        return true;
    }
    EntryHeader draft = draft_batch(0, {});
    draft.kind = want.kind;
    replica_.propose(context_.now, draft, {}, time);
    return true;
}

void Pump::installed(const LogPoint& at, Configuration config, NodeId ids_used_upto) {
    if (replica_.install(context_.now, at, std::move(config), ids_used_upto)) installed_ = at;
}

/// Before the write that follows: it vouches for the new beginning.
void Pump::begin_log_anew(const EntryId& at) {
    CHECK(installed_ && installed_->id() == at);
    wal_.reset(*installed_);
    committed_ = *std::exchange(installed_, std::nullopt);
    fetched_.clear();
    waiting_append_.reset();
}

void Pump::advance_commit(Index commit) {
    appends_->committed(commit);
    if (commit <= committed_.index) return;
    if (auto point = replica_.point_at(commit)) {
        committed_ = *point;
        return;
    }
    // After a restart the committed end can lie in files only.
    if (committed_read_under_way_) return;
    committed_read_under_way_ = true;
    reader_.from_files({wal::ReadRequest::By::index, raw(commit), 1, commit},
                       {.who = ReadFor::Who::commit_point});
}

void Pump::role_changed(const raft::Output::RoleChange& role) {
    if (role.leading) ++context_.counters.elections;
    auto found = context_.members.find(role.leader);
    context_.log(LogLevel::info, role.leading ? "became_leader" : "following")("term", raw(role.term))(
        "leader", found != context_.members.end() ? found->second.name : "none")(
        "commit", raw(output_.commit))("last", raw(replica_.core().last()));
}

/// A member that could take the office over: linked, with room, and with a disk that moves, by its last
/// answer.
bool Pump::fit_successor_known() const {
    for (const auto& [id, member] : context_.members) {
        const auto& trailer = peers_.trailer(id);
        if (!member.learner && trailer && peers_.linked(id) && (trailer->flags & proto::kTrailerUnfit) == 0)
            return true;
    }
    return false;
}

void Pump::update_health() {
    disk_.turn();
    const Duration stall_max = context_.options.settings.raft.election_timeout;
    // A leader with a full disk takes no appends, so it makes way for a member that can (H19). Where all are
    // full it stays: reads, and whatever frees space, need a leader.
    // A leader that stops hands over by itself (daemon/leaving.h); nobody else takes the office on the way
    // out.
    bool leaves = context_.stopping && replica_.core().role() != raft::Role::leader;
    // Nor does one whose state stands still: its disk doesn't give the entries that it lacks, and a leader
    // admits nothing of producers before it knows them all.
    bool stuck = applier_.stuck_for() > stall_max;
    bool may_lead = !disk_.stalled() && !stuck && !leaves && !(disk_.full() && fit_successor_known());
    // Without room for a roll, neither a vote nor entries can become durable: better said than left
    // unanswered.
    raft::Health health{.may_vote = !wal_.no_room(), .may_lead = may_lead, .may_ack = !wal_.no_room()};
    tell_holes(health, wal_.holes());
    if (health == health_) return;
    health_ = health;
    replica_.step(context_.now, health);
}

/// An alarm about clocks is raised by the leader alone: it is the one that hears the others' clocks.
void Pump::watch_clocks() {
    LogClock& clock = context_.log_clock;
    std::optional<ClockSkew> before = clock.alarm();
    if (replica_.core().role() == raft::Role::leader)
        clock.watch(context_.now, context_.world.clock.wall_ms());
    else
        clock.unwatch();
    const std::optional<ClockSkew>& after = clock.alarm();
    if (after && (!before || before->member != after->member))
        context_.log(LogLevel::warn, "clock_skew")("member", member_name(after->member))(
            "difference_ms", after->difference_ms);
    if (before && !after)
        context_.log(LogLevel::info, "clock_skew_over")("member", member_name(before->member));
}

std::string Pump::member_name(NodeId id) const {
    auto found = context_.members.find(id);
    return found != context_.members.end() ? found->second.name : std::to_string(raw(id));
}

proto::Trailer Pump::freeze_rider() const {
    proto::Trailer trailer{};
    trailer.freeze = freeze_->wire();
    return trailer;
}

proto::Trailer Pump::trailer() const {
    uint32_t flags = 0;
    if (disk_.full()) flags |= proto::kTrailerFull;
    if (disk_.stalled()) flags |= proto::kTrailerStalled;
    if (!wal_.holes().empty()) flags |= proto::kTrailerDamaged;
    if (context_.stopping) flags |= proto::kTrailerStopping;
    proto::Trailer trailer{wall_ms(), context_.dir.boots.mine.number, 0, 0, disk_.free_bytes(), flags, 0};
    chains_.fill(trailer, committed_);
    archives_->fill(trailer);
    trailer.freeze = freeze_->wire();
    return trailer;
}

std::vector<std::string> Pump::alarms() const {
    std::vector<std::string> alarms;
    disk_.add_alarms(alarms);
    if (const auto& skew = context_.log_clock.alarm())
        alarms.push_back("clock_skew " + text_of(*skew, member_name(skew->member)));
    if (applier_.store_failed()) alarms.emplace_back("state_store");
    retention_->add_alarms(alarms);
    if (!compaction_->trouble().empty()) alarms.emplace_back("snapshot");
    if (context_.counters.chain_mismatches != 0) alarms.emplace_back("chain_mismatch");
    for (const AlarmSource* source : alarm_sources_) source->add_alarms(alarms);
    for (std::string& line : peers_.fault_lines()) alarms.push_back(std::move(line));
    return alarms;
}

}  // namespace raftd::daemon
