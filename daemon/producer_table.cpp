#include "daemon/producer_table.h"

#include "base/check.h"
#include "base/planted.h"

namespace raftd::daemon {

using What = Verdict::What;

void ProducerTable::reset() {
    from_ = state_.applied();
    tail_.clear();
    registrations_.clear();
    lines_.clear();
    names_.clear();
    gone_.clear();
    count_ = state_.producers();
}

void ProducerTable::push(const EntryHeader& header, ByteView body) {
    CHECK_EQ(header.index, raw(upto()) + 1);
    Step step;
    if (header.kind == EntryKind::batch)
        step = {header.producer, header.sequence, header.body_checksum, {}, header.producer_epoch};
    tail_.push_back(step);
    if (step.producer != 0) return take(Index{header.index}, tail_.back());
    if (header.kind != EntryKind::producer) return;
    auto entry = decode_producer(body);
    if (!entry) return;
    take(Index{header.index}, *entry);
    registrations_.emplace(Index{header.index}, std::move(*entry));
}

ProducerTable::Line* ProducerTable::find(uint64_t id) {
    auto found = lines_.find(id);
    if (found == lines_.end()) {
        const Producer* producer = state_.find(id);
        if (producer == nullptr) return nullptr;
        Line line{producer->last, {}, Index{producer->opened_index}, {}, producer->epoch, true,
                  producer->name};
        found = lines_.emplace(id, std::move(line)).first;
    }
    return found->second.there ? &found->second : nullptr;
}

/// As apply() does: a batch that makes no sense changes nothing.
void ProducerTable::take(Index index, Step& step) {
    Line* line = find(step.producer);
    if (line == nullptr || line->epoch != step.epoch || line->last + 1 != step.sequence) {
        step.producer = 0;
        return;
    }
    step.before = line->newest;
    line->last = step.sequence;
    line->newest = line->touched = index;
}

void ProducerTable::take(Index index, const ProducerEntry& entry) {
    for (uint64_t id : entry.expire) remove(id, index);
    if (entry.op == ProducerEntry::Op::close) {
        Line* line = find(entry.id);
        if (line != nullptr && line->epoch == entry.epoch) remove(entry.id, index);
        return;
    }
    uint64_t id = entry.id;
    if (id == 0 && (entry.name.empty() || !named(entry.name, id))) {
        if (count_ >= state_.limits().producers_max) return;
        ++count_;
        if (!entry.name.empty()) names_[entry.name] = {raw(index), index};
        lines_[raw(index)] = {0, {}, index, index, 1, true, entry.name};
        return;
    }
    Line* line = find(id);
    if (line == nullptr || line->epoch == UINT32_MAX) return;
    ++line->epoch;
    line->opened = line->touched = index;
}

void ProducerTable::remove(uint64_t id, Index by) {
    Line* line = find(id);
    if (line == nullptr) return;
    line->there = false;
    line->touched = by;
    if (!line->name.empty()) names_[line->name] = {0, by};
    gone_.push_back(id);
    --count_;
}

/// Whom a name stands for at the log's end.
bool ProducerTable::named(const std::string& name, uint64_t& id) const {
    auto changed = names_.find(name);
    if (changed != names_.end()) {
        id = changed->second.id;
        return id != 0;
    }
    const Producer* producer = state_.find(name);
    if (producer == nullptr) return false;
    id = producer->id;
    return true;
}

void ProducerTable::cut_after(Index index) {
    CHECK(index >= from_);
    while (upto() > index) tail_.pop_back();
    registrations_.erase(registrations_.upper_bound(index), registrations_.end());
    lines_.clear();
    names_.clear();
    gone_.clear();
    count_ = state_.producers();
    // Over the state alone once more: what stays of the tail is taken again.
    for (Index at = from_ + 1; at <= upto(); ++at) {
        Step& step = tail_[at - from_ - 1];
        if (step.producer != 0) take(at, step);
        auto registration = registrations_.find(at);
        if (registration != registrations_.end()) take(at, registration->second);
    }
}

void ProducerTable::applied(Index upto_index) {
    if (upto_index > upto()) return reset();
    while (from_ < upto_index) {
        tail_.pop_front();
        ++from_;
    }
    registrations_.erase(registrations_.begin(), registrations_.upper_bound(from_));
    // The state knows by itself that they are gone.
    while (!gone_.empty()) {
        auto line = lines_.find(gone_.front());
        if (line != lines_.end() && line->second.touched > from_) break;
        if (line != lines_.end()) {
            auto name = names_.find(line->second.name);
            if (name != names_.end() && name->second.touched <= from_) names_.erase(name);
            lines_.erase(line);
        }
        gone_.pop_front();
    }
}

bool ProducerTable::adds_one(const ProducerEntry& entry) const {
    uint64_t id = entry.id;
    return entry.op == ProducerEntry::Op::open && id == 0 && (entry.name.empty() || !named(entry.name, id));
}

bool ProducerTable::in_tail(uint64_t producer) const {
    auto line = lines_.find(producer);
    return line != lines_.end() && line->second.touched > from_;
}

Verdict ProducerTable::look_up(uint64_t producer, uint32_t epoch, uint64_t sequence,
                               uint64_t checksum) const {
    if (planted(PlantedBug::dedupe_applied_only)) {
        const Producer* applied = state_.find(producer);
        if (applied != nullptr && applied->epoch == epoch && sequence > applied->last) return {What::fresh};
    }
    auto found = lines_.find(producer);
    const Line* line = found == lines_.end() ? nullptr : &found->second;
    const Producer* known = line == nullptr ? state_.find(producer) : nullptr;
    if (line != nullptr ? !line->there : known == nullptr)
        return {What::expired, line != nullptr ? line->touched : from_};
    uint32_t epoch_now = line != nullptr ? line->epoch : known->epoch;
    Index opened = line != nullptr ? line->opened : Index{known->opened_index};
    if (epoch != epoch_now) return {What::fenced, opened, nullptr, epoch_now};
    uint64_t last = line != nullptr ? line->last : known->last;
    if (sequence == last + 1) return {What::fresh};
    if (sequence == 0 || sequence > last)
        return {What::out_of_order, line != nullptr ? line->touched : from_, nullptr, last};
    return look_up_older(producer, line, sequence, checksum);
}

Verdict ProducerTable::look_up_older(uint64_t producer, const Line* line, uint64_t sequence,
                                     uint64_t checksum) const {
    Index at = line != nullptr ? line->newest : Index{};
    while (at > from_ && step(at).sequence > sequence) at = step(at).before;
    if (at > from_ && step(at).sequence == sequence)
        return {step(at).checksum == checksum ? What::pending : What::reused, at};
    const Producer* known = state_.find(producer);
    const Answer* answer = known == nullptr ? nullptr : known->answer(sequence);
    if (answer != nullptr && answer->body_checksum != checksum) return {What::reused, Index{answer->index}};
    return {What::repeated, {}, answer};
}

}  // namespace raftd::daemon
