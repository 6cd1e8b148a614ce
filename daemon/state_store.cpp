// The replicated state as keys and values: what changed since the last flush, all of it as one number, and
// back from a store. A store's content is foreign bytes: whatever can't be is damage, and the state is then
// made again from the log.
#include <algorithm>

#include "base/check.h"
#include "base/checksum.h"
#include "daemon/state.h"

namespace raftd::daemon {
namespace {

using namespace snapshot;

/// Blocks in the store: one more than the ring has, so that a block being filled takes the place of one that
/// nobody needs any more.
uint64_t blocks_of(const StateLimits& limits) {
    return (limits.answers_all_max + kAnswersInBlock - 1) / kAnswersInBlock + 1;
}
uint64_t block_of(Answers::Ordinal ordinal) { return (ordinal - 1) / kAnswersInBlock; }

ProducerRecord record_of(const Producer& producer) {
    return {producer.last,
            producer.records,
            producer.opened_index,
            producer.used_ms,
            producer.newest,
            producer.epoch,
            0};
}

AnswerRecord record_of(const Answers::Place& place) {
    const Answer& answer = place.answer;
    return {answer.index,
            answer.lsn_first,
            answer.term,
            answer.timestamp_ms,
            answer.body_checksum,
            answer.record_count,
            0,
            place.producer,
            place.sequence_low,
            0};
}

}  // namespace

StateHeader State::header() const {
    return {kStateFormat,
            feature_level_,
            answers_->given(),
            limits_.producers_max,
            limits_.answers_each_max,
            limits_.answers_all_max,
            limits_.producer_idle_ms,
            limits_.archive.bytes,
            limits_.archive.entries,
            limits_.archive.marks_max,
            limits_.retain.cursors_max,
            limits_.retain.checkpoints_max,
            limits_.retain.uploads_max,
            limits_.retain.upload_distance,
            archives_.open().bytes,
            archives_.open().entries,
            archives_.open().changes};
}

uint64_t State::dirty_bytes() const {
    return touched_bytes_ + touched_.size() * 10 + removed_.size() * 10 +
           answers_to_write() * sizeof(AnswerRecord) + (ids_added_.size() + configs_changed_.size()) * 64 +
           archives_.dirty_bytes() + retained_.dirty_bytes();
}

uint64_t State::answers_to_write() const {
    const uint64_t added = std::min(answers_->given() - flushed_, limits_.answers_all_max);
    return std::min(added, touched_.size() * limits_.answers_each_max);
}

/// Whether somebody could still ask for it.
bool State::remembered(const Answers::Place& place) const {
    const Producer* producer = find(place.producer);
    if (producer == nullptr) return false;
    // The sequence lies below the producer's last by less than the ring is long.
    const auto below = static_cast<uint32_t>(producer->last) - place.sequence_low;
    return below < limits_.answers_each_max;
}

void State::all_dirty() {
    for (auto& [id, producer] : producers_) {
        producer.stored = false;
        touch(producer);
    }
    removed_.clear();
    flushed_ = 0;
    ids_added_ = used_ids_;
    for (const auto& [index, body] : configs_) configs_changed_.insert(index);
    archives_.all_dirty();
    retained_.all_dirty();
}

void State::take_dirty(StoreBatch& into) {
    into.mark.applied = point_;
    into.keys[std::string(kStateHeaderKey)] = encode_header(header());
    for (uint64_t id : removed_) into.keys[state_key(kProducerKeys, id)] = std::nullopt;
    for (uint64_t id : touched_) {
        Producer& producer = producers_.at(id);
        producer.dirty = false;
        producer.stored = true;
        into.keys[state_key(kProducerKeys, id)] = encode_producer_record(record_of(producer), producer.name);
    }
    take_answers(into);
    archives_.take_dirty(into);
    retained_.take_dirty(into);
    for (NodeId id : ids_added_) into.keys[state_key(kUsedIdKeys, raw(id))] = "";
    for (Index index : configs_changed_) {
        auto kept = configs_.find(index);
        auto& value = into.keys[state_key(kConfigKeys, raw(index))];
        if (kept != configs_.end()) value = kept->second;
    }
    touched_.clear();
    removed_.clear();
    touched_bytes_ = 0;
    flushed_ = answers_->given();
    ids_added_.clear();
    configs_changed_.clear();
}

/// Whole blocks from the first new answer on; of the first one also what was there before. Few producers at
/// a high rate outlive their own answers long before the ring is full: those needn't be written.
void State::take_answers(StoreBatch& into) const {
    Answers::Ordinal at = std::max(flushed_ + 1, answers_->first());
    if (at > answers_->given()) return;
    at = std::max(block_of(at) * kAnswersInBlock + 1, answers_->first());
    std::string value;
    while (at <= answers_->given()) {
        const uint64_t block = block_of(at);
        value.assign(reinterpret_cast<const char*>(&at), sizeof(at));
        bool any = false;
        for (; at <= answers_->given() && block_of(at) == block; ++at) {
            const bool kept = remembered(answers_->at(at));
            const AnswerRecord record = kept ? record_of(answers_->at(at)) : AnswerRecord{};
            value.append(reinterpret_cast<const char*>(&record), sizeof(record));
            any |= kept;
        }
        if (any) into.keys[state_key(kAnswerKeys, block % blocks_of(limits_))] = value;
    }
}

uint64_t State::digest() const {
    Checksummer sum;
    auto add = [&](const auto& value) {
        sum.add({reinterpret_cast<const std::byte*>(&value), sizeof(value)});
    };
    add(point_.index);
    add(point_.chain);
    add(header());
    for (const auto& [index, body] : configs_) {
        add(index);
        sum.add(as_bytes(body));
    }
    for (const auto& [id, producer] : producers_) {
        add(id);
        add(record_of(producer));
        add(producer.name.size());
        sum.add(as_bytes(producer.name));
        answers_->for_each(producer.newest, producer.last, [&](uint64_t sequence, Answer answer) {
            answer.link = 0;
            add(sequence);
            add(answer);
        });
    }
    for (NodeId id : used_ids_) add(id);
    for (const ArchiveMark& mark : archives_.marks()) add(mark);
    retained_.add_to(sum);
    return sum.result();
}

/// Takes keys in any order, then puts them together.
class State::Loader {
public:
    bool take(std::string_view key, std::string_view value) {
        if (key == kStateHeaderKey) {
            header_ = decode_header(value);
            return header_.has_value();
        }
        if (auto id = number_in(key, kProducerKeys)) return take_producer(*id, value);
        if (auto block = number_in(key, kAnswerKeys)) return take_block(*block, value);
        if (auto id = number_in(key, kUsedIdKeys)) return used_.insert(NodeId{*id}).second && value.empty();
        if (auto index = number_in(key, kConfigKeys)) {
            configs_[Index{*index}] = value;
            return decode_configuration(Index{*index}, as_bytes(value)).has_value();
        }
        if (auto first = number_in(key, kArchiveMarkKeys)) {
            auto mark = decode_archive_mark(value);
            return mark && marks_.emplace(Index{*first}, *mark).second;
        }
        // Judged together at the end: their bounds are in the header.
        return Retained::is_key(key) && retained_.emplace(key, value).second;
    }

    /// Nothing when the parts contradict each other.
    std::optional<State> finish(const StateLimits& limits, const LogPoint& applied) {
        if (!header_ || !(limits_of(*header_) == limits) || producers_.size() > limits.producers_max ||
            configs_.size() > kConfigsKept || (!configs_.empty() && configs_.rbegin()->first > applied.index))
            return std::nullopt;
        State state(limits, applied, header_->feature_level);
        state.used_ids_ = std::move(used_);
        state.configs_ = std::move(configs_);
        if (!put_archives(state) || !put_retained(state) || !put_answers(state) || !put_producers(state))
            return std::nullopt;
        return state;
    }

private:
    static StateLimits limits_of(const StateHeader& header) {
        return {header.producers_max,
                header.answers_each_max,
                header.answers_all_max,
                header.producer_idle_ms,
                {header.archive_bytes_max, header.archive_entries_max, header.archive_marks_max},
                {header.cursors_max, header.checkpoints_max, header.uploads_max, header.upload_distance}};
    }

    bool take_producer(uint64_t id, std::string_view value) {
        auto found = decode_producer_record(value);
        if (!found || id == 0 || found->name.size() > kProducerNameBytesMax) return false;
        Producer& producer = producers_[id];
        producer.id = id;
        producer.epoch = found->record.epoch;
        producer.last = found->record.last;
        producer.records = found->record.records;
        producer.opened_index = found->record.opened_index;
        producer.used_ms = found->record.used_ms;
        newest_[id] = found->record.newest;
        producer.name = found->name;
        producer.stored = true;
        return found->record.opened_index >= id;
    }

    bool take_block(uint64_t block, std::string_view value) {
        auto found = decode_answers(value);
        if (!found ||
            block_of(found->first_ordinal) != block_of(found->first_ordinal + found->answers.size() - 1))
            return false;
        keys_.emplace(found->first_ordinal, block);
        return blocks_.emplace(found->first_ordinal, std::move(found->answers)).second;
    }

    bool put_archives(State& state) {
        const OpenArchive open{header_->archive_bytes, header_->archive_entries, header_->archive_changes};
        auto archives = ArchiveBounds::load(state.limits_.archive, marks_, open, state.point_);
        if (archives) state.archives_ = std::move(*archives);
        return archives.has_value();
    }

    bool put_retained(State& state) {
        Retained retained(limits_of(*header_).retain, Lsn{});
        for (const auto& [key, value] : retained_)
            if (!retained.take(key, value)) return false;
        if (!retained.fits(state.point_, state.archives_.bytes_total())) return false;
        state.retained_ = std::move(retained);
        return true;
    }

    /// The ring as it was. What isn't there was nobody's any more.
    bool put_answers(State& state) {
        const uint64_t given = header_->answers_given;
        if (given > raw(state.applied())) return false;
        const uint64_t held = std::min(given, state.limits_.answers_all_max);
        *state.answers_ =
            Answers(state.limits_.answers_all_max, state.limits_.answers_each_max, given - held);
        uint64_t index = 0;
        for (const auto& [first, answers] : blocks_) {
            if (keys_.at(first) != block_of(first) % blocks_of(state.limits_)) return false;
            for (size_t i = 0; i < answers.size(); ++i) {
                if (first + i <= given - held || answers[i].index == 0) continue;  // out of the ring, or void
                if (first + i <= state.answers_->given() || first + i > given) return false;
                if (answers[i].index <= index || answers[i].index > raw(state.applied())) return false;
                index = answers[i].index;
                fill_upto(state, first + i - 1);
                put_answer(state, answers[i]);
            }
        }
        fill_upto(state, given);
        return true;
    }

    static void fill_upto(State& state, Answers::Ordinal ordinal) {
        while (state.answers_->given() < ordinal) state.answers_->add(0, 0, 0, {});
    }

    void put_answer(State& state, const AnswerRecord& record) {
        auto owner = producers_.find(record.producer);
        Answers::Ordinal newest = owner == producers_.end() ? 0 : owner->second.newest;
        // What lay between was forgotten before it was ever written, and so is what lies before.
        if (newest != 0 && state.answers_->at(newest).sequence_low + 1 != record.sequence_low) newest = 0;
        Answers::Ordinal ordinal =
            state.answers_->add(record.producer, record.sequence_low, newest,
                                {record.index, record.lsn_first, record.term, record.timestamp_ms,
                                 record.body_checksum, record.record_count});
        if (owner != producers_.end()) owner->second.newest = ordinal;
    }

    bool put_producers(State& state) {
        for (auto& [id, producer] : producers_) {
            if (producer.opened_index > raw(state.applied())) return false;
            if (!producer.name.empty() && state.by_name_.contains(producer.name)) return false;
            const Answers::Ordinal newest = newest_.at(id);
            if (newest > state.answers_->given() || (newest == 0) != (producer.last == 0)) return false;
            if (producer.newest != (state.answers_->holds(newest) ? newest : 0)) return false;
            producer.newest = newest;
            if (!chain_fits(*state.answers_, producer)) return false;
            state.add(std::move(producer));
        }
        state.flushed_ = state.answers_->given();
        return true;
    }

    /// Each answer of a producer is that of the sequence before the next one's, and the newest that of last.
    static bool chain_fits(const Answers& answers, const Producer& producer) {
        if (!answers.holds(producer.newest)) return true;
        Answers::Ordinal at = producer.newest;
        for (uint64_t sequence = producer.last; sequence != 0; --sequence) {
            const Answers::Place& place = answers.at(at);
            if (place.sequence_low != static_cast<uint32_t>(sequence)) return false;
            if (place.answer.link == 0) return true;
            at -= place.answer.link;
        }
        return false;
    }

    std::optional<StateHeader> header_;
    std::map<uint64_t, Producer> producers_;
    std::map<uint64_t, Answers::Ordinal> newest_;  // of each, as its record says
    std::map<uint64_t, std::vector<AnswerRecord>> blocks_;
    std::map<uint64_t, uint64_t> keys_;
    std::set<NodeId> used_;
    std::map<Index, std::string> configs_;
    std::map<Index, ArchiveMarkRecord> marks_;
    std::map<std::string, std::string> retained_;  // keys of what stays
};

Result<State> State::load(const StateLimits& limits, const Store& store) {
    TRY(mark, store.mark());
    if (!mark) return error(Errc::not_found, "the store is empty");
    Loader loader;
    std::optional<std::string> bad;
    TRY_VOID(store.for_each([&](std::string_view key, std::string_view value) {
        if (!bad && !loader.take(key, value)) bad = key;
    }));
    if (bad) return error(Errc::damaged, "the value of a key can't be (kind '" + bad->substr(0, 1) + "')");
    std::optional<State> state = loader.finish(limits, mark->applied);
    if (!state) return error(Errc::damaged, "the keys don't fit each other, or the bounds of this version");
    return std::move(*state);
}

}  // namespace raftd::daemon
