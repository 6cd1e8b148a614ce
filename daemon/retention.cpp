#include "daemon/retention.h"

#include <algorithm>

namespace raftd::daemon {
namespace {

constexpr Duration kLookEvery = seconds(1);
/// An archive goes as a whole, so by age they are cut in so many parts of it.
constexpr uint64_t kCutsAnAge = 8;
constexpr uint64_t kCutsApartMs = 1000;

}  // namespace

Retention::Retention(Context& context, Replica& replica, const State& state)
    : context_(context), replica_(replica), state_(state), told_first_(state.first_index()) {}

Instant Retention::deadline() const {
    bool leads = replica_.core().role() == raft::Role::leader;
    const RetentionPolicy& policy = state_.retained().policy();
    return leads && enabled() && (policy.bounded() || policy.below_checkpoint) ? look_at_ : kNever;
}

void Retention::turn() {
    if (context_.now < look_at_) return;
    look_at_ = context_.now + kLookEvery;
    held_by_.clear();
    const raft::Core& core = replica_.core();
    if (freeze_ != nullptr && freeze_->on()) return;
    if (core.role() == raft::Role::leader && enabled() && !context_.stopping && core.accepting()) look();
}

void Retention::look() {
    // One at a time: the next is reckoned from what the one before has come to.
    if (proposed_.index > state_.applied() && replica_.core().term_at(proposed_.index) == proposed_.term)
        return;
    Target wanted = target();
    const TrimFloor floor = state_.trim_floor();
    const bool full = context_.world.disk.free_bytes() < context_.options.settings.log.disk_free_min;
    if (floor.by == TrimFloor::By::cursor && (floor.lsn < wanted.before || full)) held_by_ = floor.cursor;
    wanted.before = std::min(wanted.before, floor.lsn);
    if (wanted.before > state_.first_lsn())
        return propose(EntryKind::trim, encode_trim({wanted.reason, wanted.before}));
    if (cut_wanted()) propose(EntryKind::cut, {});
}

/// The farthest that a part of the policy asks for.
Retention::Target Retention::target() const {
    const RetentionPolicy& policy = state_.retained().policy();
    const ArchiveBounds& archives = state_.archives();
    Target target;
    auto raise = [&](Lsn before, TrimEntry::Reason reason) {
        if (before > target.before) target = {before, reason};
    };
    if (policy.bytes != 0) {
        auto fits = [&](const ArchiveMark& mark) {
            return archives.bytes_total() - mark.bytes_before <= policy.bytes;
        };
        const auto& marks = archives.marks();
        auto first = std::find_if(marks.begin(), marks.end(), fits);
        raise(first == marks.end() ? marks.back().lsn_first : first->lsn_first, TrimEntry::Reason::bytes);
    }
    const uint64_t end = raw(state_.point().lsn_next);
    if (policy.records != 0 && end > policy.records)
        raise(Lsn{end - policy.records}, TrimEntry::Reason::records);
    if (policy.age_ms != 0) {
        Target by_age = target_by_age(policy.age_ms);
        raise(by_age.before, by_age.reason);
    }
    const Checkpoint* newest = state_.retained().newest();
    if (policy.below_checkpoint && !policy.bounded() && newest != nullptr)
        raise(newest->upto + 1, TrimEntry::Reason::checkpoint);
    return target;
}

Retention::Target Retention::target_by_age(uint64_t age_ms) const {
    Target target{Lsn{}, TrimEntry::Reason::age};
    LogClock& clock = context_.log_clock;
    const LogPoint& end = state_.point();
    const uint64_t now_ms = raw(context_.stamp(replica_.buffer().end().timestamp_ms));
    if (!clock.agreed() || clock.alarm()) return target;
    // A mark's time is that of the entry before it: all of the archive before is as old, or older.
    for (const ArchiveMark& mark : state_.archives().marks())
        if (mark.timestamp_ms <= now_ms && now_ms - mark.timestamp_ms > age_ms)
            target.before = mark.lsn_first;
    if (end.timestamp_ms <= now_ms && now_ms - end.timestamp_ms > age_ms) target.before = end.lsn_next;
    return target;
}

/// A slow log would fill its archive for longer than its records may live.
bool Retention::cut_wanted() const {
    const uint64_t age_ms = state_.retained().policy().age_ms;
    const ArchiveBounds& archives = state_.archives();
    if (age_ms == 0 || archives.open_records(state_.point()) == 0) return false;
    const uint64_t newest_ms = state_.point().timestamp_ms, began_ms = archives.marks().back().timestamp_ms;
    return newest_ms - began_ms > std::max(age_ms / kCutsAnAge, kCutsApartMs);
}

void Retention::propose(EntryKind kind, const std::vector<std::byte>& body) {
    EntryHeader draft = draft_batch(0, body);
    draft.kind = kind;
    LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    proposed_ = id_of(replica_.propose(context_.now, draft, body, time));
}

void Retention::applied(const EntryHeader& header, const Effects& effects) {
    if (!effects.retain) return;
    const RetainEffects& done = *effects.retain;
    if (header.kind == EntryKind::trim) tell_trim(done, header.index);
    for (uint64_t id : done.dropped) context_.log(LogLevel::info, "checkpoint_dropped")("id", id);
    for (const std::string& name : done.holds_over)
        context_.log(LogLevel::warn, "hold_over")("cursor", name)(
            "hint", "it keeps more than its limit in bytes, so it counts no more");
    if (header.kind != EntryKind::checkpoint_commit || done.refused != RetainEffects::Refused::none) return;
    if (const Checkpoint* newest = state_.retained().newest())
        if (newest->committed == Index{header.index})
            context_.log(LogLevel::info, "checkpoint")("upto", raw(newest->upto))("bytes", newest->size);
}

/// A policy of records trims once a second: told is what frees files, and what somebody asked for.
void Retention::tell_trim(const RetainEffects& effects, uint64_t index) {
    if (effects.trimmed_to == Lsn{}) return;
    const Index first = state_.first_index();
    const bool frees = first > told_first_ || effects.reason == TrimEntry::Reason::asked;
    told_first_ = first;
    context_.log(frees ? LogLevel::info : LogLevel::debug, frees ? "trimmed" : "trim_applied")(
        "index", index)("first_lsn", raw(effects.trimmed_to))("first_index", raw(first))(
        "reason", text_of(effects.reason));
}

void Retention::add_alarms(std::vector<std::string>& alarms) const {
    if (!held_by_.empty()) alarms.push_back("retention_held cursor=" + held_by_);
}

}  // namespace raftd::daemon
