#include "daemon/state.h"

#include <algorithm>

#include "base/check.h"
#include "base/codec.h"
#include "base/features.h"

namespace raftd::daemon {
namespace {

// Of a producer beside its own fields, reckoned: nodes of the three maps and their share of buckets.
constexpr uint64_t kProducerNodeBytes = 48 + 32 + 16 + 64;
constexpr uint64_t kSmallBytes = 64;  // of an id or a key in a set

}  // namespace

State::State(const StateLimits& limits, const LogPoint& base, uint32_t feature_level,
             const Configuration& genesis)
    : point_(base),
      limits_(limits),
      feature_level_(feature_level),
      archives_(limits.archive, base),
      retained_(limits.retain, base.lsn_next),
      answers_(std::make_unique<Answers>(limits.answers_all_max, limits.answers_each_max)) {
    if (genesis.membership.now.empty()) return;
    EntryHeader header{};
    header.index = raw(base.index);
    apply_membership(header, encode_configuration(genesis.membership, genesis.infos));
}

Effects State::apply(const EntryHeader& header, ByteView body) {
    CHECK_EQ(header.index, raw(point_.index) + 1);
    Effects effects;
    switch (header.kind) {
        case EntryKind::batch: apply_batch(header, effects); break;
        case EntryKind::producer: apply_producer(header, body, effects); break;
        case EntryKind::membership: apply_membership(header, body); break;
        case EntryKind::feature: apply_feature(body, effects); break;
        default: break;
    }
    if (retained_.concerns(header.kind)) apply_retained(header, body, effects);
    point_ = point_after(header);
    effects.archive_end = archives_.add(header, point_);
    return effects;
}

void State::apply_batch(const EntryHeader& header, Effects& effects) {
    if (header.producer == 0) return;
    Producer* producer = lookup(header.producer);
    if (producer == nullptr || producer->epoch != header.producer_epoch ||
        header.sequence != producer->last + 1) {
        effects.producer = Effects::Producer::unknown;
        return;
    }
    effects.producer_id = producer->id;
    producer->last = header.sequence;
    producer->records += header.record_count;
    producer->used_ms = header.timestamp_ms;
    producer->newest = answers_->add(producer->id, header.sequence, producer->newest,
                                     {header.index, header.lsn_first, header.term, header.timestamp_ms,
                                      header.body_checksum, header.record_count});
    touch(*producer);
}

void State::apply_producer(const EntryHeader& header, ByteView body, Effects& effects) {
    std::optional<ProducerEntry> entry = decode_producer(body);
    if (!entry) return;
    for (uint64_t id : entry->expire)
        if (remove(id)) effects.expired.push_back(id);
    if (entry->op == ProducerEntry::Op::open)
        open(header, *entry, effects);
    else
        close(*entry, effects);
}

void State::open(const EntryHeader& header, const ProducerEntry& entry, Effects& effects) {
    Producer* known = nullptr;
    if (entry.id != 0) {
        known = lookup(entry.id);
        if (known == nullptr) {
            effects.producer = Effects::Producer::unknown;
            return;
        }
    } else if (auto named = by_name_.find(entry.name); named != by_name_.end()) {
        known = named->second;
    }
    if (known == nullptr) {
        if (producers_.size() >= limits_.producers_max) {
            effects.producer = Effects::Producer::full;
            return;
        }
        Producer added;
        added.id = header.index;
        added.name = entry.name;
        add(std::move(added));
        known = recent_;
    } else if (known->epoch == UINT32_MAX) {
        effects.producer = Effects::Producer::unknown;  // no epoch is left that would fence the one before
        return;
    } else {
        ++known->epoch;
    }
    known->opened_index = header.index;
    known->used_ms = header.timestamp_ms;
    touch(*known);
    effects.producer = Effects::Producer::opened;
    effects.producer_id = known->id;
}

void State::close(const ProducerEntry& entry, Effects& effects) {
    Producer* known = lookup(entry.id);
    if (known == nullptr || known->epoch != entry.epoch) {
        effects.producer = Effects::Producer::unknown;
        return;
    }
    remove(entry.id);
    effects.producer = Effects::Producer::closed;
    effects.producer_id = entry.id;
}

void State::apply_membership(const EntryHeader& header, ByteView body) {
    std::optional<Configuration> config = decode_configuration(Index{header.index}, body);
    if (!config) return;
    for (const auto& [id, info] : config->infos)
        if (used_ids_.insert(id).second) ids_added_.insert(id);
    configs_[Index{header.index}] = as_text(body);
    configs_changed_.insert(Index{header.index});
    while (configs_.size() > kConfigsKept) {
        configs_changed_.insert(configs_.begin()->first);
        configs_.erase(configs_.begin());
    }
}

void State::apply_retained(const EntryHeader& header, ByteView body, Effects& effects) {
    effects.retain = retained_.apply(header, body, archives_);
    if (effects.retain->trimmed_to != Lsn{} || !effects.retain->dropped.empty())
        archives_.forget_below(retained_.first_index(archives_));
}

void State::apply_feature(ByteView body, Effects& effects) {
    std::optional<uint32_t> level = decode_feature(body);
    if (!level || *level <= feature_level_) return;
    feature_level_ = *level;
    effects.feature_level = level;
}

Producer* State::lookup(uint64_t id) {
    if (recent_ != nullptr && recent_->id == id) return recent_;
    auto found = by_id_.find(id);
    if (found == by_id_.end()) return nullptr;
    return recent_ = found->second;
}

void State::add(Producer&& producer) {
    const uint64_t id = producer.id;
    auto [at, added] = producers_.emplace(id, std::move(producer));
    CHECK(added);
    Producer& placed = at->second;
    placed.answers = answers_.get();
    by_id_.emplace(id, &placed);
    if (!placed.name.empty()) by_name_.emplace(placed.name, &placed);
    recent_ = &placed;
}

bool State::remove(uint64_t id) {
    auto found = producers_.find(id);
    if (found == producers_.end()) return false;
    Producer& producer = found->second;
    if (producer.stored) removed_.push_back(id);
    if (!producer.name.empty()) by_name_.erase(producer.name);
    if (producer.dirty) {
        std::erase(touched_, id);
        touched_bytes_ -= sizeof(snapshot::ProducerRecord) + producer.name.size();
    }
    by_id_.erase(id);
    recent_ = nullptr;
    producers_.erase(found);
    return true;
}

void State::touch(Producer& producer) {
    if (producer.dirty) return;
    producer.dirty = true;
    touched_.push_back(producer.id);
    touched_bytes_ += sizeof(snapshot::ProducerRecord) + producer.name.size();
}

const Producer* State::find(uint64_t id) const {
    if (recent_ != nullptr && recent_->id == id) return recent_;
    auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
}

const Producer* State::find(std::string_view name) const {
    auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
}

size_t State::answers() const {
    size_t count = 0;
    for (const auto& [id, producer] : producers_)
        answers_->for_each(producer.newest, producer.last, [&](uint64_t, const Answer&) { ++count; });
    return count;
}

std::vector<uint64_t> State::idle(uint64_t now_ms, size_t count) const {
    struct Idle {
        bool named;
        uint64_t used_ms, id;
        auto operator<=>(const Idle&) const = default;
    };
    std::vector<Idle> found;
    for (const auto& [id, producer] : producers_)
        if (now_ms >= producer.used_ms && now_ms - producer.used_ms >= limits_.producer_idle_ms)
            found.push_back({!producer.name.empty(), producer.used_ms, id});
    const size_t wanted = std::min(count, found.size());
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(wanted), found.end());
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < wanted; ++i) ids.push_back(found[i].id);
    return ids;
}

uint64_t State::bytes() const {
    uint64_t names = 0;
    for (const auto& [name, producer] : by_name_) names += name.size() + 1;
    uint64_t configs = 0;
    for (const auto& [index, body] : configs_) configs += kSmallBytes + body.size();
    return answers_->bytes() + producers_.size() * (sizeof(Producer) + kProducerNodeBytes) + names +
           by_id_.bucket_count() * sizeof(void*) +
           (touched_.capacity() + removed_.capacity()) * sizeof(uint64_t) +
           (used_ids_.size() + ids_added_.size() + configs_changed_.size()) * kSmallBytes + configs +
           archives_.bytes() + retained_.bytes();
}

uint64_t State::bytes_max(const StateLimits& limits) {
    // Vectors and buckets take up to twice what they hold; a configuration names two halves of 64 members.
    constexpr uint64_t kLists = 2 * 3 * sizeof(uint64_t), kConfigs = kConfigsKept << 17, kBlock = 64u << 10;
    return limits.answers_all_max * (sizeof(Answers::Place) + 1) + kBlock +
           limits.producers_max *
               (sizeof(Producer) + kProducerNodeBytes + kProducerNameBytesMax + 1 + kLists) +
           kConfigs + ArchiveBounds::bytes_max(limits.archive) + Retained::bytes_max(limits.retain);
}

}  // namespace raftd::daemon
