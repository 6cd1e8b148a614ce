// The replicated state: a pure function of the committed prefix, a bounded value in memory. `apply` is total:
// nothing that a client sent may fail a CHECK, and an entry that makes no sense changes nothing. Equal on
// every member at the same applied index, byte for byte (digest()). What stands on disk of it is a cache:
// snapshot/store.h. Loop thread only. Read next: daemon/applier.h, daemon/producer_table.h.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/entry.h"
#include "base/membership.h"
#include "base/result.h"
#include "snapshot/store.h"

namespace raftd::daemon {

/// Bounds of the state. Equal on every member, so they are constants of a feature level and no settings; only
/// tests and the simulator draw smaller ones, for a whole cluster at once.
struct StateLimits {
    uint64_t producers_max = 10'000;
    uint64_t answers_each_max = 1024;       // the last ones of each producer
    uint64_t answers_all_max = 512u << 10;  // the last ones of all together: 32 MiB with their places
    uint64_t producer_idle_ms = 3'600'000;  // of log time, before it may be forgotten for another
};

/// What became of one batch of a producer; kept so that a retry gets the first answer.
struct Answer {
    uint64_t index, lsn_first, term, timestamp_ms, body_checksum;
    uint32_t record_count, reserved;
};
static_assert(sizeof(Answer) == 48);

struct Producer {
    uint64_t id = 0;            // index of the entry that registered it; never given again
    uint32_t epoch = 1;         // raised each time it is opened again
    uint64_t last = 0;          // newest sequence in the log; the next one is last + 1
    uint64_t records = 0;       // appended by it in all: where a resumed input goes on
    uint64_t opened_index = 0;  // entry that gave it its present epoch
    uint64_t used_ms = 0;       // log time of its newest entry
    std::string name;
    std::deque<Answer> answers;  // of sequences (last - size, last], oldest first
    /// The answer of a sequence, or nothing when it is forgotten or not there yet.
    const Answer* answer(uint64_t sequence) const;
};

/// What an entry did, for whoever waits for it and for events.
struct Effects {
    enum class Producer : uint8_t { none, opened, closed, full, unknown };
    Producer producer = Producer::none;
    uint64_t producer_id = 0;
    std::vector<uint64_t> expired;
    std::optional<uint32_t> feature_level;  // raised to
};

class State {
public:
    /// As of the genesis at `base`.
    State(const StateLimits& limits, const LogPoint& base, uint32_t feature_level);
    /// From a store's content. Errors: damaged (a value that can't be; nothing of it is kept).
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
    size_t answers() const;
    /// Up to `count` producers that may be forgotten at log time `now_ms`, longest idle first, unnamed ones
    /// before named ones.
    std::vector<uint64_t> idle(uint64_t now_ms, size_t count) const;
    const std::set<NodeId>& used_ids() const { return used_ids_; }
    /// Bytes of memory it takes, reckoned; never above what the limits allow.
    uint64_t bytes() const;

    /// Keys changed since the last call, with the applied point: one batch for the store.
    void take_dirty(snapshot::StoreBatch& into);
    uint64_t dirty_bytes() const;  // reckoned size of that batch
    /// One number for all of it: XXH3-64 over keys and values in key order.
    uint64_t digest() const;

private:
    LogPoint point_;
    StateLimits limits_;
    uint32_t feature_level_;
    std::unordered_map<uint64_t, Producer> producers_;
    std::set<NodeId> used_ids_;
};

}  // namespace raftd::daemon
