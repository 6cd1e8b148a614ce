#include "sim/store.h"

#include <algorithm>

namespace raftd::sim {
namespace {

constexpr size_t kRemembered = 64;  // what is older has long been written by the system

Error no_room() { return error(Errc::io, "state: no space left on device"); }

void put_into(const snapshot::StoreBatch& batch, std::map<std::string, std::string>& keys) {
    for (const auto& [key, value] : batch.keys) {
        if (value)
            keys[key] = *value;
        else
            keys.erase(key);
    }
}

}  // namespace

class SimStore final : public snapshot::Store {
public:
    explicit SimStore(SimStoreDisk& disk) : disk_(disk) {}

    Result<void> write(const snapshot::StoreBatch& batch) override {
        if (disk_.refuses()) failed_ = true;
        if (failed_) return no_room();
        disk_.recent_.push_back(batch);
        if (disk_.recent_.size() > kRemembered) disk_.fold_oldest();
        return {};
    }
    Result<void> flush() override {
        if (disk_.refuses()) failed_ = true;
        if (failed_) return no_room();
        disk_.synced_ = disk_.recent_.size();
        return {};
    }
    Result<std::optional<snapshot::StoreMark>> mark() const override {
        return disk_.recent_.empty() ? disk_.base_mark_ : std::optional(disk_.recent_.back().mark);
    }
    Result<void> for_each(
        const std::function<void(std::string_view, std::string_view)>& visit) const override {
        std::map<std::string, std::string> keys = disk_.base_;
        for (const snapshot::StoreBatch& batch : disk_.recent_) put_into(batch, keys);
        for (const auto& [key, value] : keys) visit(key, value);
        return {};
    }

private:
    SimStoreDisk& disk_;
    bool failed_ = false;
};

void SimStoreDisk::fold_oldest() {
    put_into(recent_.front(), base_);
    base_mark_ = recent_.front().mark;
    recent_.pop_front();
    if (synced_ > 0) --synced_;
}

void SimStoreDisk::cut_power(Random& random) {
    recent_.resize(recent_.size() - random.below(recent_.size() - synced_ + 1));
}

bool SimStoreDisk::refuses() {
    ++operations_;
    bool refused = fail_at_ != 0 && (operations_ == fail_at_ || (operations_ > fail_at_ && fail_lasting_));
    has_failed_ |= refused;
    return refused;
}

void SimStoreDisk::delete_all() {
    base_.clear();
    base_mark_.reset();
    recent_.clear();
    synced_ = 0;
    damaged_ = false;
}

void SimStoreDisk::roll_back(size_t batches) {
    recent_.resize(recent_.size() - std::min(batches, recent_.size()));
    synced_ = std::min(synced_, recent_.size());
}

void SimStoreDisk::copy_from(const SimStoreDisk& other) {
    base_ = other.base_;
    base_mark_ = other.base_mark_;
    recent_ = other.recent_;
    synced_ = other.synced_;
    damaged_ = other.damaged_;
}

Result<std::unique_ptr<snapshot::Store>> SimStoreMaker::open() {
    if (disk_.refuses()) return no_room();
    if (disk_.damaged_) return error(Errc::damaged, "state: checksum mismatch");
    return std::unique_ptr<snapshot::Store>(std::make_unique<SimStore>(disk_));
}

Result<void> SimStoreMaker::remove() {
    if (disk_.refuses()) return no_room();
    disk_.delete_all();
    return {};
}

}  // namespace raftd::sim
