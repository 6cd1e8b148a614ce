#include "daemon/retention_requests.h"

#include <algorithm>

#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {
namespace {

using Refused = RetainEffects::Refused;

constexpr size_t kPlacedMax = 4096;
/// Of changes that aren't applied yet, all together: uploads share the log with appends, and wait before they
/// do.
constexpr uint64_t kPlacedBytesMax = 4u << 20;

std::string number(Lsn lsn) { return std::to_string(raw(lsn)); }

}  // namespace

RetentionRequests::RetentionRequests(Context& context, Replica& replica, wal::Wal& wal, const State& state,
                                     Clients& clients)
    : context_(context), replica_(replica), wal_(wal), state_(state), clients_(clients) {}

bool RetentionRequests::request(const ClientConn& conn, uint32_t stream, const pb::Request& request,
                                NodeId leader) {
    Asker asker{conn.id, stream, Part::trim, {}, 0, 0, {}};
    bool question = true;
    if (request.has_retention()) {
        asker.part = Part::policy;
    } else if (request.has_cursors()) {
        asker.part = Part::cursors;
        asker.name = request.cursors().name();
    } else if (request.has_checkpoints()) {
        asker.part = Part::checkpoints;
    } else if (request.has_trim() || request.has_change_retention() || request.has_change_cursor() ||
               request.has_begin_checkpoint() || request.has_add_chunk() || request.has_commit_checkpoint()) {
        question = false;
    } else {
        return false;
    }
    if (!ready(asker, leader)) return true;
    if (question)
        ask(std::move(asker));
    else
        change(std::move(asker), request);
    return true;
}

/// Whether a request can be looked at; answers it if not.
bool RetentionRequests::ready(const Asker& asker, NodeId leader) {
    const raft::Core& core = replica_.core();
    const std::string& me = context_.dir.identity.name;
    const uint32_t level = state_.feature_level(), needed = level_of(EntryKind::trim);
    if (core.role() != raft::Role::leader) {
        refuse(asker, error(Errc::unavailable, me + " doesn't lead"), leader);
    } else if (level < needed) {
        refuse(asker, error(Errc::conflict,
                            "the cluster's feature level is " + std::to_string(level) + ", and this needs " +
                                std::to_string(needed),
                            "raftctl feature raise, once every member runs this version"));
    } else if (context_.stopping || !core.accepting()) {
        refuse(asker, error(Errc::unavailable, me + " takes no requests for the moment"));
    } else {
        return true;
    }
    return false;
}

void RetentionRequests::change(Asker asker, const pb::Request& request) {
    if (request.has_trim()) return trim(std::move(asker), Lsn{request.trim().before()});
    if (request.has_change_retention()) return set(std::move(asker), request.change_retention());
    if (request.has_change_cursor()) return set(std::move(asker), request.change_cursor());
    if (request.has_begin_checkpoint()) return begin(std::move(asker), request.begin_checkpoint());
    if (request.has_add_chunk()) return add(std::move(asker), request.add_chunk());
    asker.part = Part::checkpoints;
    asker.id = request.commit_checkpoint().id();
    if (asker.id == 0) return refuse(asker, error(Errc::bad_input, "a commit names the upload"));
    const auto body = encode_checkpoint_commit(asker.id);
    propose(std::move(asker), EntryKind::checkpoint_commit, body);
}

void RetentionRequests::trim(Asker asker, Lsn before) {
    const Lsn end = replica_.buffer().end().lsn_next;
    asker.asked = before;
    if (freeze_ != nullptr && freeze_->on())
        return refuse(asker, error(Errc::conflict,
                                   "the cluster is frozen for another " +
                                       std::to_string(freeze_->left_ms() / 1000 + 1) + " s: nothing goes",
                                   "raftctl thaw"));
    if (before == Lsn{}) return refuse(asker, error(Errc::bad_input, "the first LSN is 1"));
    if (before > end) return refuse(asker, error_of(asker, Refused::beyond));
    propose(std::move(asker), EntryKind::trim, encode_trim({TrimEntry::Reason::asked, before}));
}

void RetentionRequests::set(Asker asker, const pb::RetentionChange& wanted) {
    asker.part = Part::policy;
    RetentionEntry entry;
    if (wanted.has_bytes()) entry.bytes = wanted.bytes();
    if (wanted.has_age_ms()) entry.age_ms = wanted.age_ms();
    if (wanted.has_records()) entry.records = wanted.records();
    if (wanted.has_below_checkpoint()) entry.below_checkpoint = wanted.below_checkpoint();
    propose(std::move(asker), EntryKind::retention, encode_retention(entry));
}

void RetentionRequests::set(Asker asker, const pb::CursorChange& wanted) {
    asker.part = Part::cursors;
    asker.name = wanted.name();
    if (wanted.name().empty() || wanted.name().size() > kCursorNameBytesMax)
        return refuse(asker, error(Errc::bad_input, "a cursor's name has 1 to " +
                                                        std::to_string(kCursorNameBytesMax) + " bytes"));
    const bool remove = wanted.op() == pb::CursorChange::REMOVE;
    const bool set = wanted.op() == pb::CursorChange::SET;
    if (!remove && wanted.lsn() == 0) return refuse(asker, error(Errc::bad_input, "the first LSN is 1"));
    CursorEntry entry;
    entry.op = remove ? CursorEntry::Op::remove : set ? CursorEntry::Op::set : CursorEntry::Op::advance;
    entry.name = wanted.name();
    if (!remove) entry.lsn = Lsn{wanted.lsn()};
    entry.hold = set && wanted.hold();
    entry.hold_bytes_max = entry.hold ? wanted.hold_bytes_max() : 0;
    propose(std::move(asker), EntryKind::cursor, encode_cursor(entry));
}

void RetentionRequests::begin(Asker asker, const pb::CheckpointBegin& wanted) {
    asker.part = Part::checkpoints;
    CheckpointBegin entry{Lsn{wanted.upto()}, wanted.size(), {}};
    if (wanted.upto() == 0 || wanted.sha256().size() != entry.sha256.size())
        return refuse(asker, error(Errc::bad_input, "a checkpoint has an LSN and a SHA-256"));
    const ByteView sum = as_bytes(wanted.sha256());
    std::copy(sum.begin(), sum.end(), entry.sha256.begin());
    propose(std::move(asker), EntryKind::checkpoint_begin, encode_checkpoint_begin(entry));
}

void RetentionRequests::add(Asker asker, const pb::CheckpointChunk& wanted) {
    asker.part = Part::checkpoints;
    asker.id = wanted.id();
    const uint64_t limit = context_.options.settings.raft.batch_bytes_max;
    if (wanted.id() == 0 || wanted.data().empty() || wanted.data().size() + kChunkHeadBytes > limit)
        return refuse(asker,
                      error(Errc::bad_input, "a chunk has 1 to " + std::to_string(limit - kChunkHeadBytes) +
                                                 " bytes, and an upload"));
    propose(std::move(asker), EntryKind::checkpoint_chunk,
            encode_checkpoint_chunk({wanted.id(), wanted.offset(), as_bytes(wanted.data())}));
}

void RetentionRequests::propose(Asker asker, EntryKind kind, const std::vector<std::byte>& body) {
    // What frees room goes on when there is little of it.
    const bool frees = kind == EntryKind::trim || kind == EntryKind::retention || kind == EntryKind::cursor;
    const bool room =
        context_.world.disk.free_bytes() >= context_.options.settings.log.disk_free_min && !wal_.no_room();
    if (!room && !frees) return refuse(asker, error(Errc::unavailable, "too little disk space is left"));
    if (placed_.size() >= kPlacedMax || (placed_bytes_ != 0 && placed_bytes_ + body.size() > kPlacedBytesMax))
        return refuse(asker, error(Errc::unavailable, "busy: too much of this is under way"));
    EntryHeader draft = draft_batch(0, body);
    draft.kind = kind;
    LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    EntryHeader placed = replica_.propose(context_.now, draft, body, time);
    if (kind == EntryKind::checkpoint_begin) asker.id = placed.index;
    asker.bytes = body.size();
    placed_bytes_ += asker.bytes;
    placed_.emplace_back(Index{placed.index}, std::move(asker));
}

void RetentionRequests::ask(Asker asker) {
    ReadId read = context_.new_read();
    asked_.emplace(read, std::move(asker));
    replica_.step(context_.now, raft::ev::Read{read});
}

void RetentionRequests::read_confirmed(ReadId read, Index index) {
    auto found = asked_.find(read);
    if (found == asked_.end()) return;
    Asker asker = std::move(found->second);
    asked_.erase(found);
    if (index <= state_.applied()) return answer(asker, nullptr);
    confirmed_.emplace(index, std::move(asker));
}

void RetentionRequests::read_failed(ReadId read) {
    auto found = asked_.find(read);
    if (found == asked_.end()) return;
    refuse(found->second, error(Errc::unavailable, "the leader changes"));
    asked_.erase(found);
}

void RetentionRequests::applied(const EntryHeader& header, const Effects& effects) {
    const Index index{header.index};
    if (!placed_.empty() && placed_.front().first == index) {
        Asker asker = std::move(placed_.front().second);
        placed_.pop_front();
        placed_bytes_ -= asker.bytes;
        answer(asker, effects.retain ? &*effects.retain : nullptr);
    }
    while (!confirmed_.empty() && confirmed_.begin()->first <= index) {
        answer(confirmed_.begin()->second, nullptr);
        confirmed_.erase(confirmed_.begin());
    }
}

void RetentionRequests::lost_after(Index index) {
    for (; !placed_.empty() && placed_.back().first > index; placed_.pop_back()) {
        placed_bytes_ -= placed_.back().second.bytes;
        refuse(placed_.back().second, error(Errc::unknown, "the leader lost office"));
    }
}

Error RetentionRequests::error_of(const Asker& asker, Refused refused) const {
    const std::string first = number(state_.first_lsn()), last = number(state_.point().lsn_next - 1);
    switch (refused) {
        case Refused::unknown:
            return asker.part == Part::cursors
                       ? error(Errc::not_found, "there is no cursor " + asker.name, "raftctl cursor list")
                       : error(Errc::not_found,
                               "the upload " + std::to_string(asker.id) +
                                   " was dropped: trimmed past, or "
                                   "abandoned for long",
                               "raftctl checkpoint put again");
        case Refused::full:
            return error(Errc::unavailable,
                         "all " + std::to_string(state_.limits().retain.cursors_max) + " cursors are in use",
                         "raftctl cursor delete NAME");
        case Refused::trimmed: return error(Errc::not_found, "the first record there is has LSN " + first);
        case Refused::beyond: return error(Errc::not_found, "the last record there is has LSN " + last);
        case Refused::not_rising:
            return error(Errc::conflict, "there is a checkpoint already that stands for as much, or more",
                         "raftctl checkpoint list");
        case Refused::misplaced:
            return error(Errc::conflict,
                         "the chunk isn't the next one of upload " + std::to_string(asker.id));
        case Refused::incomplete:
            return error(Errc::conflict, "the upload " + std::to_string(asker.id) + " isn't whole yet");
        case Refused::malformed:
        case Refused::none: break;
    }
    return error(Errc::failed, "the request made an entry that changes nothing");
}

void RetentionRequests::answer(const Asker& asker, const RetainEffects* effects) {
    if (effects != nullptr && effects->refused != Refused::none)
        return refuse(asker, error_of(asker, effects->refused));
    pb::Answer said;
    pb::Retained& to = *said.mutable_retained();
    to.set_first_lsn(raw(state_.first_lsn()));
    to.set_last_lsn(raw(state_.point().lsn_next) - 1);
    switch (asker.part) {
        case Part::trim:
            if (effects != nullptr && effects->floor.lsn != Lsn{}) {
                to.set_held_at(raw(effects->floor.lsn));
                to.set_held_by(effects->floor.cursor);
            }
            break;
        case Part::policy: {
            const RetentionPolicy& policy = state_.retained().policy();
            const ArchiveBounds& archives = state_.archives();
            to.set_bytes(policy.bytes);
            to.set_age_ms(policy.age_ms);
            to.set_records(policy.records);
            to.set_below_checkpoint(policy.below_checkpoint);
            to.set_kept_bytes(archives.bytes_total() - archives.marks().front().bytes_before);
            break;
        }
        case Part::cursors: fill_cursors(to, asker.name); break;
        case Part::checkpoints: fill_checkpoints(to, asker.id); break;
    }
    daemon::answer(clients_, asker.conn, asker.stream, said);
}

void RetentionRequests::fill_cursors(pb::Retained& into, const std::string& name) const {
    auto fill = [&](const std::string& called, const Cursor& cursor) {
        pb::CursorInfo& to = *into.add_cursors();
        to.set_name(called);
        to.set_lsn(raw(cursor.lsn));
        to.set_hold(cursor.hold);
        to.set_hold_bytes_max(cursor.hold_bytes_max);
        to.set_set_ms(cursor.set_ms);
        to.set_hold_over(state_.retained().hold_over(cursor, state_.archives()));
    };
    const auto& cursors = state_.retained().cursors();
    if (name.empty()) {
        for (const auto& [called, cursor] : cursors) fill(called, cursor);
    } else if (auto found = cursors.find(name); found != cursors.end()) {
        fill(name, found->second);
    }
}

void RetentionRequests::fill_checkpoints(pb::Retained& into, uint64_t wanted) const {
    for (const auto& [id, checkpoint] : state_.retained().checkpoints()) {
        if (wanted != 0 && id != wanted) continue;
        pb::CheckpointInfo& to = *into.add_checkpoints();
        to.set_id(id);
        to.set_upto(raw(checkpoint.upto));
        to.set_size(checkpoint.size);
        to.set_received(checkpoint.received);
        to.set_sha256(std::string(as_text(ByteView(checkpoint.sha256))));
        to.set_committed_index(raw(checkpoint.committed));
        to.set_time_ms(checkpoint.touched_ms);
    }
}

void RetentionRequests::refuse(const Asker& asker, const Error& why, NodeId leader) {
    daemon::refuse(clients_, asker.conn, asker.stream, why, leader);
}

}  // namespace raftd::daemon
