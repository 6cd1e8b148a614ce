// What the producers will have appended once all of this leader's log is committed: the applied state, and
// over it every entry behind (H8). Only a leader keeps it; it admits nothing before the table stands. Pure.
// No allocation for a batch of a producer seen before in this reign. Loop thread only. Read next:
// daemon/append.cpp.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/producer_entry.h"
#include "daemon/state.h"
#include "raft/ring.h"

namespace raftd::daemon {

/// What a leader is to do with a batch of a producer.
struct Verdict {
    enum class What : uint8_t {
        fresh,         // exactly last + 1: append it
        repeated,      // committed before: `answer`, or nothing when it is forgotten
        pending,       // stands at `index` of the log and isn't committed yet: wait for it
        fenced,        // a newer epoch was opened; `value`: that epoch
        expired,       // nobody of that id
        out_of_order,  // `value`: the newest sequence
        reused,        // the sequence stands for other bytes
    };
    What what;
    Index index{};  // pending: where it stands; a refusal: the newest entry it rests on
    const Answer* answer = nullptr;
    uint64_t value = 0;
};

class ProducerTable {
public:
    explicit ProducerTable(const State& state) : state_(state) { reset(); }

    /// Begins anew over the applied state: at the start of a reign.
    void reset();
    /// The next entry of the log, in order from state.applied() + 1 on; `body` only of kind producer.
    void push(const EntryHeader& header, ByteView body);
    /// Entries behind `index` are gone. Requires: index is at or above what the state has applied.
    void cut_after(Index index);
    /// The state has applied up to there: those are looked up in it from now on.
    void applied(Index upto);
    /// The last entry it knows of: it stands when this is the log's last.
    Index upto() const { return from_ + tail_.size(); }

    Verdict look_up(uint64_t producer, uint32_t epoch, uint64_t sequence, uint64_t body_checksum) const;
    size_t producers() const { return count_; }  // registered, the tail included
    /// This entry would register one more.
    bool adds_one(const ProducerEntry& entry) const;
    /// An entry that isn't applied yet concerns it: no candidate for being forgotten.
    bool in_tail(uint64_t producer) const;

private:
    /// A producer that some entry of this reign's tail touched, as the log's end has it.
    struct Line {
        uint64_t last = 0;
        Index newest{};   // its newest batch in the tail; Invariant: at or below from_ when it has none
        Index opened{};   // entry of its epoch
        Index touched{};  // newest entry that concerns it; of one that is gone: the one that removed it
        uint32_t epoch = 0;
        bool there = false;
        std::string name;
    };
    /// One entry of the tail, as far as it concerns producers.
    struct Step {
        uint64_t producer = 0, sequence = 0, checksum = 0;
        Index before{};  // the same producer's batch before, in the tail
        uint32_t epoch = 0;
    };

    void take(Index index, Step& step);
    void take(Index index, const ProducerEntry& entry);
    void remove(uint64_t id, Index by);
    Line* find(uint64_t id);  // brings it over from the state; nullptr: nobody
    bool named(const std::string& name, uint64_t& id) const;
    const Step& step(Index index) const { return tail_[index - from_ - 1]; }
    Verdict look_up_older(uint64_t producer, const Line* line, uint64_t sequence, uint64_t checksum) const;

    const State& state_;
    Index from_{};  // the state has applied up to here
    raft::Ring<Step> tail_;
    std::map<Index, ProducerEntry> registrations_;  // of the tail
    std::unordered_map<uint64_t, Line> lines_;
    struct Named {
        uint64_t id;  // 0: gone
        Index touched;
    };
    std::map<std::string, Named, std::less<>> names_;  // those that an entry of the tail changed
    raft::Ring<uint64_t> gone_;                        // lines of producers removed, in order
    size_t count_ = 0;
};

}  // namespace raftd::daemon
