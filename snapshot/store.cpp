#include "snapshot/store.h"

namespace raftd::snapshot {

uint64_t StoreBatch::bytes() const {
    uint64_t total = sizeof(StoreMark);
    for (const auto& [key, value] : keys) total += key.size() + (value ? value->size() : 0);
    return total;
}

}  // namespace raftd::snapshot
