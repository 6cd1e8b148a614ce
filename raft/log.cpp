#include "raft/log.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"

namespace raftd::raft {

void SizeRing::push(Index index, uint32_t bytes) {
    if (ends_.empty()) {
        first_ = index;
        before_ = 0;
    }
    DCHECK(index == first_ + ends_.size());
    ends_.push_back((ends_.empty() ? before_ : ends_.back()) + bytes);
    while (ends_.size() > 1 && (ends_.size() > kEntriesMax || total() > bytes_max_)) {
        before_ = ends_.front();
        ends_.pop_front();
        ++first_;
    }
}

void SizeRing::cut_after(Index keep) {
    while (!ends_.empty() && first_ + (ends_.size() - 1) > keep) ends_.pop_back();
}

Index SizeRing::fit(Index first, Index last, uint64_t bytes_max) const {
    const uint64_t limit = begin(first) + bytes_max;
    if (end(last) <= limit) return last;
    uint64_t low = 0, high = last - first;  // entries that fit: in [low, high]
    while (low < high) {
        const uint64_t middle = (low + high + 1) / 2;
        if (end(first + (middle - 1)) <= limit)
            low = middle;
        else
            high = middle - 1;
    }
    return first + low - 1;
}

Log::Log(const Restart& restart, uint64_t sizes_bytes_max)
    : base_(restart.base),
      last_(restart.last),
      runs_(restart.runs.begin(), restart.runs.end()),
      configs_(restart.configs.begin(), restart.configs.end()),
      sizes_(sizes_bytes_max) {
    CHECK(!configs_.empty());
    note_ids(restart.ids_used_upto);
    for (const ConfigAt& config : configs_) note_ids(config.members);
    CHECK_GE(raw(last_), raw(base_.index));
    CHECK_EQ(runs_.empty(), last_ == base_.index);
    CHECK_IMPLIES(!runs_.empty(), runs_.front().first == base_.index + 1 && runs_.front().term >= base_.term);
}

void Log::note_ids(const Membership& members) {
    for (const auto* half : {&members.now, &members.next})
        for (const Member& member : *half) note_ids(member.id);
}

Term Log::term_at(Index index) const {
    if (index > last_ || index < base_.index) return Term{};
    if (index == base_.index) return base_.term;
    if (index >= runs_.back().first) return runs_.back().term;  // nearly always
    auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                  [](Index at, const TermRun& run) { return at < run.first; });
    return std::prev(after)->term;
}

EntryId Log::at_most(EntryId at) const {
    Index index = std::min(at.index, last_);
    if (index <= base_.index) return base_;
    for (size_t run = runs_.size(); run-- > 0;) {
        if (runs_[run].first > index) continue;
        if (runs_[run].term <= at.term) return {runs_[run].term, index};
        index = runs_[run].first - 1;
    }
    return base_;
}

size_t Log::first_difference(std::span<const EntryMeta> entries) const {
    for (size_t at = 0; at < entries.size(); ++at)
        if (!matches(entries[at].id)) return at;
    return entries.size();
}

void Log::append(std::span<const EntryMeta> entries) {
    for (const EntryMeta& entry : entries) {
        ++last_;
        if (runs_.empty() || runs_.back().term != entry.id.term) runs_.push_back({entry.id.term, last_});
        sizes_.push(last_, entry.bytes);
        if (entry.membership != nullptr) {
            configs_.push_back({last_, *entry.membership});
            note_ids(*entry.membership);
            ++config_version_;
        }
    }
}

void Log::cut_after(Index keep) {
    CHECK_GE(raw(keep), raw(base_.index));
    if (keep >= last_) return;
    last_ = keep;
    while (!runs_.empty() && runs_.back().first > keep) runs_.pop_back();
    const bool rolls_back = !planted(PlantedBug::keep_cut_configuration);
    while (rolls_back && configs_.size() > 1 && configs_.back().index > keep) {
        configs_.pop_back();
        ++config_version_;
    }
    sizes_.cut_after(keep);
}

void Log::restate(Index first, Index last, std::span<const TermRun> runs, std::span<const ConfigAt> configs) {
    std::vector<TermRun> made;
    auto add = [&made](Term term, Index from) {
        if (made.empty() || made.back().term != term) made.push_back({term, from});
    };
    for (const TermRun& run : runs_)
        if (run.first < first) add(run.term, run.first);
    for (const TermRun& run : runs) add(run.term, std::max(run.first, first));
    if (last < last_) add(term_at(last + 1), last + 1);
    for (const TermRun& run : runs_)
        if (run.first > last) add(run.term, run.first);
    runs_ = std::move(made);
    for (const ConfigAt& config : configs) {
        auto behind = std::find_if(configs_.begin(), configs_.end(),
                                   [&](const ConfigAt& other) { return other.index >= config.index; });
        if (behind != configs_.end() && behind->index == config.index) continue;
        note_ids(config.members);
        configs_.insert(behind, config);
        ++config_version_;
    }
}

void Log::compact(EntryId upto) {
    if (upto.index <= base_.index) return;  // an installed snapshot was further than the files
    CHECK(matches(upto));
    base_ = upto;
    size_t run = 0;
    while (run + 1 < runs_.size() && runs_[run + 1].first <= upto.index + 1) ++run;
    runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(run));
    if (last_ == upto.index)
        runs_.clear();
    else
        runs_.front().first = std::max(runs_.front().first, upto.index + 1);
    size_t config = 0;
    while (config + 1 < configs_.size() && configs_[config + 1].index <= upto.index) ++config;
    configs_.erase(configs_.begin(), configs_.begin() + static_cast<std::ptrdiff_t>(config));
}

void Log::reset(EntryId base, const Membership& members) {
    base_ = base;
    last_ = base.index;
    runs_.clear();
    sizes_.clear();
    configs_.assign(1, ConfigAt{base.index, members});
    note_ids(members);
    ++config_version_;
}

void Log::set_base_config(const Membership& members) {
    if (configs_.front().members == members) return;
    configs_.front().members = members;
    note_ids(members);
    ++config_version_;
}

const ConfigAt& Log::config_at(Index index) const {
    size_t at = configs_.size() - 1;
    while (at > 0 && configs_[at].index > index) --at;
    return configs_[at];
}

}  // namespace raftd::raft
