#include "daemon/answers.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::daemon {

Answers::Answers(uint64_t all_max, uint64_t each_max, Ordinal given)
    : all_max_(all_max), each_max_(each_max), given_(given), begun_(given) {
    CHECK_GE(all_max, 1u);
    CHECK_LE(all_max, 1u << 26);  // distances in the ring are 32 bits
    blocks_.resize((all_max + kBlock - 1) / kBlock);
}

Answers::Ordinal Answers::first() const {
    Ordinal oldest = given_ > all_max_ ? given_ - all_max_ + 1 : 1;
    return std::max(oldest, begun_ + 1);
}

Answers::Ordinal Answers::add(uint64_t producer, uint64_t sequence, Ordinal newest, const Answer& answer) {
    ++given_;
    uint64_t slot = (given_ - 1) % all_max_;
    auto& block = blocks_[slot / kBlock];
    if (!block) block = std::make_unique_for_overwrite<Place[]>(std::min(kBlock, all_max_));
    Place& added = block[slot % kBlock];
    added = {answer, producer, static_cast<uint32_t>(sequence), 0};
    added.answer.link = 0;
    if (newest != 0 && holds(newest)) {
        auto back = static_cast<uint32_t>(given_ - newest);
        added.answer.link = back;
        if (sequence % kSkip != 0) added.skip = back + place(newest).skip;
    }
    return given_;
}

const Answer* Answers::find(Ordinal newest, uint64_t last, uint64_t sequence) const {
    if (sequence == 0 || sequence > last || last - sequence >= each_max_) return nullptr;
    Ordinal at = newest;
    uint64_t here = last;
    while (at != 0 && holds(at)) {
        const Place& found = place(at);
        if (here == sequence) return &found.answer;
        // To the first of these kSkip at once, unless it is below what is wanted.
        uint32_t back = found.answer.link;
        if (found.skip != 0 && holds(at - found.skip)) {
            uint32_t steps = found.sequence_low - place(at - found.skip).sequence_low;
            if (here - steps >= sequence) {
                at -= found.skip;
                here -= steps;
                continue;
            }
        }
        if (back == 0) return nullptr;
        at -= back;
        --here;
    }
    return nullptr;
}

void Answers::for_each(Ordinal newest, uint64_t last,
                       const std::function<void(uint64_t, const Answer&)>& visit) const {
    Ordinal at = newest;
    for (uint64_t count = 0; count < each_max_ && at != 0 && holds(at); ++count) {
        const Place& found = place(at);
        visit(last - count, found.answer);
        if (found.answer.link == 0) return;
        at -= found.answer.link;
    }
}

uint64_t Answers::bytes() const {
    auto made = static_cast<uint64_t>(
        std::count_if(blocks_.begin(), blocks_.end(), [](const auto& block) { return block != nullptr; }));
    return made * std::min(kBlock, all_max_) * sizeof(Place) + blocks_.size() * sizeof(blocks_[0]);
}

}  // namespace raftd::daemon
