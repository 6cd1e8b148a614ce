// The answers of the newest batches of all producers together: one ring in the order of the log, so that its
// bound is one number and what is new since the last flush is one stretch of it. A producer's answers are
// chained backwards inside. An answer is remembered while fewer than answers_all_max came after it, of
// whomever, and fewer than answers_each_max of its own producer. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace raftd::daemon {

/// What became of one batch of a producer; kept so that a retry gets the first answer.
struct Answer {
    uint64_t index, lsn_first, term, timestamp_ms, body_checksum;
    uint32_t record_count;
    uint32_t link = 0;  // of the ring alone
};
static_assert(sizeof(Answer) == 48);

class Answers {
public:
    /// Number of an answer among all that were ever given; the first is 1, 0 = none.
    using Ordinal = uint64_t;
    struct Place {
        Answer answer;          // link: ordinals back to the same producer's answer before, 0 = none held
        uint64_t producer;      // its id
        uint32_t sequence_low;  // of the sequence
        uint32_t skip;          // ordinals back to the first of its kSkip sequences that is held
    };
    static_assert(sizeof(Place) == 64);

    Answers(uint64_t all_max, uint64_t each_max, Ordinal given = 0);

    /// Adds the answer to a producer's next sequence. `newest`: ordinal of its answer before, 0 = none.
    Ordinal add(uint64_t producer, uint64_t sequence, Ordinal newest, const Answer& answer);
    /// The answer of `sequence`, of a producer whose newest one is `last`; nothing when it is forgotten.
    /// Takes at most some hundred steps.
    const Answer* find(Ordinal newest, uint64_t last, uint64_t sequence) const;
    /// Those of one producer that are remembered, newest first.
    void for_each(Ordinal newest, uint64_t last,
                  const std::function<void(uint64_t sequence, const Answer&)>& visit) const;

    Ordinal given() const { return given_; }
    /// The oldest one in the ring; given() + 1 when there is none.
    Ordinal first() const;
    bool holds(Ordinal ordinal) const { return ordinal >= first() && ordinal <= given_; }
    const Place& at(Ordinal ordinal) const { return place(ordinal); }
    uint64_t bytes() const;  // of memory taken so far

private:
    // Memory comes in blocks as the ring fills for the first time, and stays.
    static constexpr uint64_t kBlock = 1024;
    static constexpr uint32_t kSkip = 32;
    Place& place(Ordinal ordinal) const {
        uint64_t slot = (ordinal - 1) % all_max_;
        return blocks_[slot / kBlock][slot % kBlock];
    }

    uint64_t all_max_, each_max_;
    Ordinal given_;  // by now
    Ordinal begun_;  // what was given before this ring was made isn't in it
    std::vector<std::unique_ptr<Place[]>> blocks_;
};

}  // namespace raftd::daemon
