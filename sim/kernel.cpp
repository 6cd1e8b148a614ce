#include "sim/kernel.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::sim {

void EventQueue::push(const Occurrence& item) {
    size_t at = heap_.size();
    heap_.push_back(item);
    while (at > 0) {
        size_t parent = (at - 1) / 4;
        if (!before(item, heap_[parent])) break;
        heap_[at] = heap_[parent];
        at = parent;
    }
    heap_[at] = item;
}

Occurrence EventQueue::pop() {
    Occurrence first = heap_.front();
    Occurrence last = heap_.back();
    heap_.pop_back();
    size_t count = heap_.size(), at = 0;
    if (count == 0) return first;
    for (;;) {
        size_t child = at * 4 + 1;
        if (child >= count) break;
        size_t end = std::min(child + 4, count), least = child;
        for (size_t i = child + 1; i < end; ++i)
            if (before(heap_[i], heap_[least])) least = i;
        if (!before(heap_[least], last)) break;
        heap_[at] = heap_[least];
        at = least;
    }
    heap_[at] = last;
    return first;
}

uint32_t Kernel::add(Actor* actor) {
    actors_.push_back(actor);
    return static_cast<uint32_t>(actors_.size() - 1);
}

void Kernel::schedule(Instant at, uint32_t actor, uint32_t kind, uint64_t data) {
    queue_.push({std::max(at, now_).ns, ++order_, data, actor, kind});
}

bool Kernel::step() {
    if (queue_.empty()) return false;
    Occurrence next = queue_.pop();
    CHECK_GE(next.at, now_.ns);
    now_ = Instant{next.at};
    Actor* actor = actors_[next.actor];
    if (actor == nullptr) return true;
    ++events_;
    note(static_cast<uint64_t>(next.at));
    note(uint64_t{next.actor} << 32 | next.kind);
    actor->fire(next.kind, next.data);
    return true;
}

void Kernel::run_until(Instant until) {
    while (!queue_.empty() && queue_.top().at <= until.ns) step();
    now_ = std::max(now_, until);
}

}  // namespace raftd::sim
