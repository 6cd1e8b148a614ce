// The log as the core knows it: which term each entry has (as runs), where configurations are, and how large
// the newest entries are. No payloads, nothing per entry but a size in a bounded ring. Indexes run from
// base + 1 to last; the base itself is known by term and index only (genesis or snapshot).
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "base/membership.h"
#include "raft/ring.h"
#include "raft/step.h"

namespace raftd::raft {

/// Sizes of the newest entries, as running sums, so that a stretch costs one subtraction.
class SizeRing {
public:
    /// Keeps at most `bytes_max` bytes' worth of entries (but always one) and at most kEntriesMax of them.
    explicit SizeRing(uint64_t bytes_max) : bytes_max_(bytes_max) {}
    static constexpr size_t kEntriesMax = size_t{1} << 17;

    void push(Index index, uint32_t bytes);
    void cut_after(Index keep);
    void clear() { ends_.clear(); }
    bool holds(Index index) const {
        return !ends_.empty() && index >= first_ && index - first_ < ends_.size();
    }
    /// Bytes of [first, last]. Requires: holds both.
    uint64_t bytes(Index first, Index last) const { return end(last) - begin(first); }
    /// The greatest index in [first, last] with [first, index] within bytes_max; first - 1 when not even one
    /// fits.
    Index fit(Index first, Index last, uint64_t bytes_max) const;
    Index first() const { return first_; }
    size_t count() const { return ends_.size(); }
    uint64_t total() const { return ends_.empty() ? 0 : ends_.back() - before_; }

    template <class Archive>
    void fields(Archive& archive) {
        archive(bytes_max_, before_, first_, ends_);
    }

private:
    uint64_t end(Index index) const { return ends_[index - first_]; }
    uint64_t begin(Index index) const { return index == first_ ? before_ : ends_[index - first_ - 1]; }

    uint64_t bytes_max_;
    uint64_t before_ = 0;  // sum before the first entry that is kept
    Index first_{};
    Ring<uint64_t> ends_;
};

class Log {
public:
    explicit Log(uint64_t sizes_bytes_max) : sizes_(sizes_bytes_max) {}
    /// Requires: runs rise in term and index; configs has at least the base's.
    Log(const Restart& restart, uint64_t sizes_bytes_max);

    EntryId base() const { return base_; }
    Index last() const { return last_; }
    EntryId last_id() const { return {term_at(last_), last_}; }
    /// 0 when unknown (below the base, behind the end).
    Term term_at(Index index) const;
    bool matches(EntryId at) const {
        return at.index >= base_.index && at.index <= last_ && term_at(at.index) == at.term;
    }
    /// The greatest index <= `at.index` here whose term is <= `at.term`; the base's when none above it is.
    EntryId at_most(EntryId at) const;
    /// The first of `entries` that this log doesn't hold equal; its size when all match. They begin at base +
    /// 1 or later.
    size_t first_difference(std::span<const EntryMeta> entries) const;

    /// Requires: entries follow the end.
    void append(std::span<const EntryMeta> entries);
    /// Requires: base <= keep.
    void cut_after(Index keep);
    /// What is known of [first, last], which had been damaged, replaces what was believed. Requires: base <
    /// first, last <= last(); `runs` cover all of it.
    void restate(Index first, Index last, std::span<const TermRun> runs, std::span<const ConfigAt> configs);
    /// The base moves up; entries behind it stay. Requires: matches(upto).
    void compact(EntryId upto);
    /// Nothing is left but the base and its configuration.
    void reset(EntryId base, const Membership& members);
    /// The configuration at the base is replaced by what a snapshot says it is.
    void set_base_config(const Membership& members);

    /// The configuration in force: the newest in the log, else the base's.
    const ConfigAt& config() const { return configs_.back(); }
    /// The newest at or below `index`.
    const ConfigAt& config_at(Index index) const;
    /// The highest id of any member that was ever seen; doesn't fall with a truncation.
    NodeId ids_used_upto() const { return ids_used_upto_; }
    void note_ids(NodeId upto) { ids_used_upto_ = std::max(ids_used_upto_, upto); }
    /// Rises whenever the configuration in force may have changed.
    uint64_t config_version() const { return config_version_; }
    const SizeRing& sizes() const { return sizes_; }
    std::span<const TermRun> runs() const { return runs_; }
    std::span<const ConfigAt> configs() const { return configs_; }

    template <class Archive>
    void fields(Archive& archive) {
        archive(base_, last_, runs_, configs_, config_version_, ids_used_upto_, sizes_);
    }

private:
    EntryId base_;
    Index last_{};
    std::vector<TermRun> runs_;      // Invariant: first > base, rising in term and first
    std::vector<ConfigAt> configs_;  // Invariant: not empty, rising; [0] is at or below the base
    uint64_t config_version_ = 1;
    NodeId ids_used_upto_{};
    SizeRing sizes_;

    void note_ids(const Membership& members);
};

}  // namespace raftd::raft
