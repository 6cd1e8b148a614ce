#include "tests/crash/disks.h"

#include <functional>

#include "base/checksum.h"

namespace raftd::crash {
namespace {

using What = sim::CrashChoices::What;

constexpr size_t kSubsetPartsMax = 8;  // 2^8 subsets
constexpr int kDrawsMax = 20;          // in a row that gave nothing new

/// One number for all that is on it.
uint64_t content_of(const sim::SimStorage& disk) {
    uint64_t sum = 0;
    for (const std::string& path : disk.durable_paths())
        sum = checksum(disk.durable_bytes(path), checksum(as_bytes(path), sum));
    return sum;
}

bool is_part(What what) { return what == What::name || what == What::size || what == What::sector; }

}  // namespace

/// Asks `part` for each thing that is kept or lost, and leaves the rest whole, or to chance.
class LegalDisks::Choices final : public sim::CrashChoices {
public:
    using Part = std::function<bool(size_t number)>;
    Choices(Part part, Random* random = nullptr, double tear = 0, double stale = 0)
        : part_(std::move(part)), random_(random), tear_(tear), stale_(stale) {}

    uint64_t choose(What what, uint64_t options) override {
        if (options == 1) return 0;
        return is_part(what) ? part_(parts++) : other(what, options);
    }

    size_t parts = 0;
    bool torn = false, tearable = false;

private:
    uint64_t other(What what, uint64_t options) {
        const uint64_t none = what == What::tear ? options - 1 : 0;
        tearable |= what == What::tear;
        if (random_ == nullptr) return none;
        if (what == What::stale) return random_->chance(stale_);
        if (what != What::tear) return random_->below(options);
        if (!random_->chance(tear_)) return none;
        torn = true;
        return random_->below(options - 1);
    }

    Part part_;
    Random* random_;
    double tear_, stale_;
};

void LegalDisks::attempt(sim::SimStorage& disk, Choices& choices) {
    disk = moment_;
    disk.crash(choices);
    fresh_ = seen_.insert(content_of(disk)).second;
    torn_ += fresh_ && choices.torn;
}

void LegalDisks::attempt_all(sim::SimStorage& disk) {
    Choices everything([](size_t) { return true; });
    attempt(disk, everything);
    parts_ = everything.parts;
    kept_.assign(parts_, true);
    few_ = parts_ <= kSubsetPartsMax;
    exhausted_ = !everything.tearable && parts_ == 0;
}

/// The next one in counting order: the answers so far, the last "kept" turned into "lost".
bool LegalDisks::subset(sim::SimStorage& disk) {
    while (!kept_.empty() && !kept_.back()) kept_.pop_back();
    if (kept_.empty()) return false;
    kept_.back() = false;
    Choices choices([this](size_t number) {
        if (number >= kept_.size()) kept_.push_back(true);
        return bool{kept_[number]};
    });
    attempt(disk, choices);
    kept_.resize(choices.parts);
    return true;
}

bool LegalDisks::alone(sim::SimStorage& disk) {
    if (alone_ >= 2 * parts_) return false;
    const size_t one = alone_ % parts_;
    const bool kept = alone_ >= parts_;
    ++alone_;
    Choices choices([one, kept](size_t number) { return (number == one) == kept; });
    attempt(disk, choices);
    return true;
}

bool LegalDisks::drawn(sim::SimStorage& disk) {
    for (int draws = 0; draws < kDrawsMax; ++draws) {
        const sim::CrashPolicy policy = sim::CrashPolicy::draw(random_);
        Choices choices([&](size_t) { return random_.chance(policy.keep_sector); }, &random_, 0.6,
                        policy.stale);
        attempt(disk, choices);
        if (fresh_) return true;
    }
    return false;
}

bool LegalDisks::next(sim::SimStorage& disk) {
    fresh_ = false;
    if (made_++ == 0) {
        Choices nothing([](size_t) { return false; });
        attempt(disk, nothing);
        return true;
    }
    if (made_ == 2) attempt_all(disk);
    while (!fresh_ && !(complete_ && exhausted_)) {
        const bool by_rule = !complete_ && (exhausted_ || made_ % 2 == 1);
        if (by_rule)
            complete_ = !alone(disk) && !(few_ && subset(disk));
        else
            exhausted_ = !drawn(disk);
    }
    return fresh_;
}

}  // namespace raftd::crash
