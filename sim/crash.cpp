// What a power cut leaves of one disk (SimStorage::crash). Its rules stand at the top of storage.h.
#include <algorithm>
#include <set>

#include "sim/storage.h"

namespace raftd::sim {

CrashPolicy CrashPolicy::draw(Random& random) {
    switch (random.below(6)) {
        case 0: return lose_all();
        case 1: return keep_all();
        case 2: return {0.1, 0.1, 0.9, 0.5, 0.3};
        case 3: return {0.9, 0.5, 0.5, 0.5, 0.1};
        default: return {};
    }
}

namespace {

using What = CrashChoices::What;

class RandomChoices final : public CrashChoices {
public:
    RandomChoices(Random& random, const CrashPolicy& policy) : random_(random), policy_(policy) {}
    uint64_t choose(What what, uint64_t options) override {
        switch (what) {
            case What::name: return random_.chance(policy_.keep_name);
            case What::size: return random_.chance(policy_.keep_size);
            case What::sector: return random_.chance(policy_.keep_sector);
            case What::stale: return random_.chance(policy_.stale);
            case What::tear: return random_.chance(policy_.tear) ? random_.below(options - 1) : options - 1;
            default: return random_.below(options);
        }
    }

private:
    Random& random_;
    const CrashPolicy& policy_;
};

}  // namespace

void SimStorage::crash(Random& random, const CrashPolicy& policy) {
    RandomChoices choices(random, policy);
    crash(choices);
}

void SimStorage::crash(CrashChoices& choices) {
    dead_ = false;
    for (const NameChange& change : changes_)
        if (choices.choose(What::name, 2) == 1) apply(durable_, change);
    changes_.clear();
    for (auto it = durable_.begin(); it != durable_.end();) {  // parents stand before their children
        size_t slash = it->first.rfind('/');
        bool orphan = slash != std::string::npos && slash != 0 &&
                      durable_.find(std::string_view(it->first).substr(0, slash)) == durable_.end();
        it = orphan ? durable_.erase(it) : std::next(it);
    }
    std::set<const Inode*> done;
    for (auto& [path, inode] : durable_)
        if (done.insert(inode.get()).second) {
            crash_content(*inode, choices);
            inode->path = path;
        }
    visible_ = durable_;
    count_used();
}

void SimStorage::count_used() {
    used_ = 0;
    for (const auto& [path, inode] : visible_) used_ += inode->visible.size();
}

void SimStorage::crash_content(Inode& file, CrashChoices& choices) {
    const uint64_t size_before = file.durable.size();
    uint64_t size = size_before;
    size_t torn = file.pending.size();  // which pending write has a torn sector: none
    if (!file.pending.empty()) torn = choices.choose(What::tear, torn + 1);
    for (size_t i = 0; i < file.pending.size(); ++i) {
        const Inode::Pending& write = file.pending[i];
        bool shrinks = write.data.empty() && write.size_after <= write.offset;
        const bool resizes = shrinks || write.size_after > size;
        bool size_kept = choices.choose(What::size, resizes ? 2 : 1) == 1;
        if (size_kept && resizes) size = write.size_after;
        if (shrinks) {
            if (size_kept) file.durable.resize(write.size_after);
            continue;
        }
        uint64_t end = write.offset + write.bytes;
        const uint64_t sectors = (write.bytes + kSectorBytes - 1) / kSectorBytes;
        uint64_t torn_sector =
            i == torn ? write.offset / kSectorBytes + choices.choose(What::torn_sector, sectors) : UINT64_MAX;
        for (uint64_t at = write.offset; at < end;) {
            uint64_t sector_end = std::min(end, (at / kSectorBytes + 1) * kSectorBytes);
            uint64_t to = sector_end;
            if (at / kSectorBytes == torn_sector) to = at + choices.choose(What::torn_byte, to - at);
            if (to != sector_end || choices.choose(What::sector, 2) == 1) {
                if (to > at) crash_sector(file, write, at, to);
            } else if (at >= size_before && !graveyard_.empty() && choices.choose(What::stale, 2) == 1) {
                const BlockRef& block = graveyard_[choices.choose(What::stale_block, graveyard_.size())];
                file.durable.write(at, {block->bytes + at % kBlockBytes, sector_end - at});
            }
            at = sector_end;
        }
    }
    file.durable.resize(size);
    file.visible = file.durable;
    file.pending.clear();
}

void SimStorage::crash_sector(Inode& file, const Inode::Pending& write, uint64_t from, uint64_t to) {
    if (write.data.empty())
        file.durable.zero(from, to);
    else
        file.durable.write(from, ByteView(write.data).subspan(from - write.offset, to - from));
}

}  // namespace raftd::sim
