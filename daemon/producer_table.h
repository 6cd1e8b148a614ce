// What the producers will have appended once all of this leader's log is committed: the applied state, and
// over it every entry behind (H8). Only a leader keeps it; it admits nothing before the table stands. Pure.
// Loop thread only. Read next: daemon/append.cpp.
#pragma once

#include <deque>
#include <unordered_map>

#include "daemon/state.h"

namespace raftd::daemon {

/// What a leader is to do with a batch of a producer.
struct Verdict {
    enum class What : uint8_t {
        fresh,     // exactly last + 1: append it
        repeated,  // committed before: `answer`, or nothing when it is forgotten
        pending,   // stands at `index` of the log and isn't committed yet: wait for it
        fenced,    // a newer epoch was opened
        expired,   // nobody of that id
        out_of_order,
        reused,  // the sequence stands for other bytes
    };
    What what;
    Index index{};  // pending: where it stands; a refusal: the newest entry it rests on
    const Answer* answer = nullptr;
};

class ProducerTable {
public:
    explicit ProducerTable(const State& state) : state_(state) {}

    /// Begins anew over the applied state: at the start of a reign.
    void reset();
    /// The next entry of the log, in order from state.applied() + 1 on; `body` only of kind producer.
    void push(const EntryHeader& header, ByteView body);
    /// Entries behind `index` are gone.
    void cut_after(Index index);
    /// The state has applied up to there: those are looked up in it from now on.
    void applied(Index upto);
    /// The last entry it knows of: it stands when this is the log's last.
    Index upto() const;

    Verdict look_up(uint64_t producer, uint32_t epoch, uint64_t sequence, uint64_t body_checksum) const;
    size_t producers() const;  // registered, the tail included

private:
    const State& state_;
};

}  // namespace raftd::daemon
