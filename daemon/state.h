// The replicated state: a pure function of the committed prefix, a bounded value in memory. `apply` is total:
// nothing that a client sent may fail a CHECK, and an entry that makes no sense changes nothing. Equal on
// every member at the same applied index, byte for byte (digest()). What stands on disk of it is a cache:
// snapshot/store.h. Loop thread only. Read next: daemon/applier.h, daemon/producer_table.h.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/entry.h"
#include "base/result.h"
#include "daemon/answers.h"
#include "daemon/archive_bounds.h"
#include "daemon/members.h"
#include "daemon/producer_entry.h"
#include "daemon/retained.h"
#include "snapshot/state_format.h"
#include "snapshot/store.h"

namespace raftd::daemon {

/// Bounds of the state. Equal on every member, so they are constants of a feature level and no settings; only
/// tests and the simulator draw smaller ones, for a whole cluster at once.
struct StateLimits {
    uint64_t producers_max = 10'000;
    uint64_t answers_each_max = 1024;       // the last ones of each producer
    uint64_t answers_all_max = 512u << 10;  // the last ones of all together: 32 MiB
    uint64_t producer_idle_ms = 3'600'000;  // of log time, before it may be forgotten for another
    ArchiveLimits archive{};
    RetainLimits retain{};
    bool operator==(const StateLimits&) const = default;
};

struct Producer {
    uint64_t id = 0;            // index of the entry that registered it; never given again
    uint32_t epoch = 1;         // raised each time it is opened again
    uint64_t last = 0;          // newest sequence in the log; the next one is last + 1
    uint64_t records = 0;       // appended by it in all: where a resumed input goes on
    uint64_t opened_index = 0;  // entry that gave it its present epoch
    uint64_t used_ms = 0;       // log time of its newest entry
    std::string name;
    /// The answer of a sequence, or nothing when it is forgotten or not there yet. Good until the state
    /// applies the next entry.
    const Answer* answer(uint64_t sequence) const { return answers->find(newest, last, sequence); }

    // Of the state alone:
    const Answers* answers = nullptr;
    Answers::Ordinal newest = 0;  // of its newest answer
    bool dirty = false;           // changed since the last flush
    bool stored = false;          // the store has its key
};

/// What an entry did, for whoever waits for it and for events.
struct Effects {
    // unknown: no such producer, or not that epoch or sequence; the entry changed nothing of it. A leader
    // never makes such a batch.
    enum class Producer : uint8_t { none, opened, closed, full, unknown };
    Producer producer = Producer::none;
    uint64_t producer_id = 0;
    std::vector<uint64_t> expired;
    std::optional<uint32_t> feature_level;  // raised to
    bool archive_end = false;               // it is the last entry of an archive
    std::optional<RetainEffects> retain;    // of what stays of the log
};

class State {
public:
    /// As of the genesis at `base`, which names these members.
    State(const StateLimits& limits, const LogPoint& base, uint32_t feature_level,
          const Configuration& genesis = {});
    State(State&&) = default;
    State& operator=(State&&) = default;
    /// From a store's content. Errors: damaged (a value that can't be, or of other limits; nothing of it is
    /// kept), not_found (the store is empty), io.
    static Result<State> load(const StateLimits& limits, const snapshot::Store& store);

    /// Requires: header.index == applied + 1 and the header follows point(); the body was checked. The body
    /// of a batch isn't looked at and may be empty.
    Effects apply(const EntryHeader& header, ByteView body);

    Index applied() const { return point_.index; }
    const LogPoint& point() const { return point_; }  // the log behind the last applied entry
    uint32_t feature_level() const { return feature_level_; }
    const StateLimits& limits() const { return limits_; }

    const Producer* find(uint64_t id) const;
    const Producer* find(std::string_view name) const;
    size_t producers() const { return producers_.size(); }
    size_t answers() const;  // remembered by all together; takes time with their number
    /// All of them, in order of id.
    const std::map<uint64_t, Producer>& all_producers() const { return producers_; }
    /// Up to `count` producers that may be forgotten at log time `now_ms`, longest idle first, unnamed ones
    /// before named ones.
    std::vector<uint64_t> idle(uint64_t now_ms, size_t count) const;
    const std::set<NodeId>& used_ids() const { return used_ids_; }
    /// The newest configurations, oldest first: body of the entry by its index. At most kConfigsKept.
    const std::map<Index, std::string>& configs() const { return configs_; }
    static constexpr size_t kConfigsKept = 8;
    /// Where archives end, and what stands in the open one.
    const ArchiveBounds& archives() const { return archives_; }
    /// What stays: trim point, policy, cursors, checkpoints.
    const Retained& retained() const { return retained_; }
    /// Readers below get TRIMMED.
    Lsn first_lsn() const { return retained_.first_lsn(); }
    /// Files with nothing but entries below may go.
    Index first_index() const { return retained_.first_index(archives_); }
    /// How far a trim may come now, and what keeps it from more.
    TrimFloor trim_floor() const { return retained_.floor(archives_, point_.lsn_next); }
    /// Bytes of memory it takes, reckoned; never above bytes_max, used ids beside.
    uint64_t bytes() const;
    static uint64_t bytes_max(const StateLimits& limits);

    /// Keys changed since the last call, with the applied point: one batch for the store. Whose state it is,
    /// the caller adds to the mark.
    void take_dirty(snapshot::StoreBatch& into);
    /// Makes take_dirty say everything again: for a store that is begun anew.
    void all_dirty();
    uint64_t dirty_bytes() const;  // reckoned size of that batch
    /// One number for all of it: XXH3-64 over keys and values in key order.
    uint64_t digest() const;

private:
    class Loader;
    void apply_batch(const EntryHeader& header, Effects& effects);
    void apply_producer(const EntryHeader& header, ByteView body, Effects& effects);
    void open(const EntryHeader& header, const ProducerEntry& entry, Effects& effects);
    void close(const ProducerEntry& entry, Effects& effects);
    void apply_membership(const EntryHeader& header, ByteView body);
    void apply_retained(const EntryHeader& header, ByteView body, Effects& effects);
    void apply_feature(ByteView body, Effects& effects);
    Producer* lookup(uint64_t id);
    void add(Producer&& producer);
    bool remove(uint64_t id);
    void touch(Producer& producer);
    bool remembered(const Answers::Place& place) const;
    uint64_t answers_to_write() const;  // at most
    void take_answers(snapshot::StoreBatch& into) const;
    snapshot::StateHeader header() const;

    LogPoint point_;
    StateLimits limits_;
    uint32_t feature_level_;
    ArchiveBounds archives_;
    Retained retained_;
    std::unique_ptr<Answers> answers_;
    std::map<uint64_t, Producer> producers_;
    std::unordered_map<uint64_t, Producer*> by_id_;
    std::map<std::string_view, Producer*> by_name_;
    Producer* recent_ = nullptr;  // the last one looked up: most entries are of the same as the one before
    std::set<NodeId> used_ids_;
    std::map<Index, std::string> configs_;

    // Since the last flush:
    std::vector<uint64_t> touched_;  // producers
    std::vector<uint64_t> removed_;  // producers that the store has
    uint64_t touched_bytes_ = 0;
    Answers::Ordinal flushed_ = 0;  // answers up to here are in the store
    std::set<NodeId> ids_added_;
    std::set<Index> configs_changed_;
};

}  // namespace raftd::daemon
