// The legal disks of one moment: what a power cut may leave of it, one after another. First nothing and all
// of what wasn't synced; then by turns: each part lost alone, then kept alone, and where there are few parts
// every subset; and random ones, with torn sectors and old blocks showing. No disk comes twice.
#pragma once

#include <unordered_set>
#include <vector>

#include "sim/storage.h"

namespace raftd::crash {

class LegalDisks {
public:
    LegalDisks(const sim::SimStorage& moment, uint64_t seed) : moment_(moment), random_(seed) {}

    /// Makes the next one of `disk`, which is a copy of the moment. False: there is no other.
    bool next(sim::SimStorage& disk);
    /// Every subset was made.
    bool complete() const { return complete_ && few_; }
    uint64_t torn() const { return torn_; }

private:
    class Choices;

    void attempt(sim::SimStorage& disk, Choices& choices);
    void attempt_all(sim::SimStorage& disk);
    bool subset(sim::SimStorage& disk);
    bool alone(sim::SimStorage& disk);
    bool drawn(sim::SimStorage& disk);

    const sim::SimStorage& moment_;
    Random random_;
    uint64_t made_ = 0;
    size_t parts_ = 0;        // that are kept or lost, when all are kept
    size_t alone_ = 0;        // the next one to be lost alone, then kept alone
    bool fresh_ = false;      // the last attempt is a disk that wasn't there before
    bool few_ = false;        // so few parts that every subset is made
    bool complete_ = false;   // no more by rule
    bool exhausted_ = false;  // no more by chance
    std::vector<bool> kept_;  // of the subset made last
    std::unordered_set<uint64_t> seen_;
    uint64_t torn_ = 0;
};

}  // namespace raftd::crash
