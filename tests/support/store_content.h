// What a store of the replicated state should hold.
#pragma once

#include <map>
#include <string>

#include "snapshot/store.h"

namespace raftd::snapshot {

using StoreContent = std::map<std::string, std::string>;

/// Of batches 1 to `batches`, which `batch` makes.
inline StoreContent sum_of(uint64_t batches, StoreBatch (*batch)(uint64_t)) {
    StoreContent content;
    for (uint64_t number = 1; number <= batches; ++number)
        for (const auto& [key, value] : batch(number).keys) {
            if (value)
                content[key] = *value;
            else
                content.erase(key);
        }
    return content;
}

}  // namespace raftd::snapshot
