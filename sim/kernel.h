// Virtual time: the queue of everything that is going to happen, in order of time and then of asking. All
// that the simulator does is a `fire` out of this queue, so the same seed gives the same run; `hash` proves
// it.
#pragma once

#include <cstddef>
#include <vector>

#include "base/instant.h"
#include "base/random.h"

namespace raftd::sim {

/// Something that happens to an actor. What `kind` and `data` mean is the actor's own business.
struct Occurrence {
    int64_t at;
    uint64_t order;
    uint64_t data;
    uint32_t actor;
    uint32_t kind;
};
static_assert(sizeof(Occurrence) == 32);

/// A 4-ary heap: half the depth of a binary one, and the four children of a node share two cache lines.
class EventQueue {
public:
    void push(const Occurrence& item);
    /// Requires: not empty.
    Occurrence pop();
    const Occurrence& top() const { return heap_.front(); }
    bool empty() const { return heap_.empty(); }
    size_t size() const { return heap_.size(); }

private:
    static bool before(const Occurrence& a, const Occurrence& b) {
        return a.at != b.at ? a.at < b.at : a.order < b.order;
    }
    std::vector<Occurrence> heap_;
};

class Actor {
public:
    virtual ~Actor() = default;
    virtual void fire(uint32_t kind, uint64_t data) = 0;
};

class Kernel {
public:
    explicit Kernel(uint64_t seed) : random(seed) {}

    /// Numbers are never used again, so what was asked by an actor that is gone goes nowhere.
    uint32_t add(Actor* actor);
    void remove(uint32_t actor) { actors_[actor] = nullptr; }
    void schedule(Instant at, uint32_t actor, uint32_t kind, uint64_t data);
    void schedule_in(Duration wait, uint32_t actor, uint32_t kind, uint64_t data) {
        schedule(now_ + wait, actor, kind, data);
    }
    /// Fires the next occurrence; false when there is none.
    bool step();
    /// Fires all that happens until then; the time is then `until`.
    void run_until(Instant until);
    bool idle() const { return queue_.empty(); }
    Instant next_at() const { return queue_.empty() ? kNever : Instant{queue_.top().at}; }

    Instant now() const { return now_; }
    uint64_t events() const { return events_; }
    /// Mixes a fact of the run into its hash.
    void note(uint64_t fact) { hash_ = (hash_ ^ fact) * 0x9e3779b97f4a7c15u, hash_ ^= hash_ >> 29; }
    uint64_t hash() const { return hash_; }

    Random random;  // for decisions of the world; parts that draw much take a split

private:
    EventQueue queue_;
    std::vector<Actor*> actors_;
    Instant now_{1'000'000'000};
    uint64_t order_ = 0, events_ = 0, hash_ = 0;
};

}  // namespace raftd::sim
