// The replicated state's store on a simulated machine: batches in memory, of which a power cut may lose any
// suffix that wasn't synced. Survives its process. Faults delete it, put an older one back, or change it.
#pragma once

#include <deque>

#include "base/random.h"
#include "snapshot/store.h"

namespace raftd::sim {

/// What one machine's disk has of it. One open store at a time.
class SimStoreDisk {
public:
    // What happens to the machine.
    void cut_power(Random& random);
    /// Somebody deletes the directory. Only while no process has it open.
    void delete_all();
    /// The newest batches are gone, as after an old copy was put back. At most as many as are remembered.
    void roll_back(size_t batches);
    /// Bits change: the next open finds damage.
    void damage() { damaged_ = true; }
    /// Content of another machine's.
    void copy_from(const SimStoreDisk& other);
    /// The Nth operation from now on fails, and with `lasting` all after it; 0: none. Whoever was refused
    /// once must open anew.
    void fail_at(uint64_t n, bool lasting) {
        fail_at_ = n;
        fail_lasting_ = lasting;
        operations_ = 0;
        has_failed_ = false;
    }
    bool has_failed() const { return has_failed_; }

    size_t batches() const { return recent_.size(); }
    bool empty() const { return recent_.empty() && !base_mark_; }

private:
    friend class SimStore;
    friend class SimStoreMaker;
    void fold_oldest();
    bool refuses();

    std::map<std::string, std::string> base_;  // content before recent_
    std::optional<snapshot::StoreMark> base_mark_;
    std::deque<snapshot::StoreBatch> recent_;
    size_t synced_ = 0;  // of recent_, from the front
    bool damaged_ = false;
    uint64_t fail_at_ = 0, operations_ = 0;
    bool fail_lasting_ = false, has_failed_ = false;
};

class SimStoreMaker final : public snapshot::StoreMaker {
public:
    explicit SimStoreMaker(SimStoreDisk& disk) : disk_(disk) {}
    Result<std::unique_ptr<snapshot::Store>> open() override;
    Result<void> remove() override;

private:
    SimStoreDisk& disk_;
};

}  // namespace raftd::sim
