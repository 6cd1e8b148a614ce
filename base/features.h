// Feature levels: what kinds of entries a log may hold. The level is replicated (an entry of kind `feature`
// raises it); a member that meets an entry above it, or a level above its own program, stops before it
// applies: it would have another state than the others.
#pragma once

#include "base/entry.h"

namespace raftd {

/// The newest level that this program knows.
inline constexpr uint32_t kFeatureLevelMax = 2;

/// The level that brought a kind; 0: none yet.
constexpr uint32_t level_of(EntryKind kind) {
    switch (kind) {
        case EntryKind::batch:
        case EntryKind::noop:
        case EntryKind::membership:
        case EntryKind::feature: return 1;
        case EntryKind::producer: return 2;
        default: return 0;
    }
}

constexpr bool kind_allowed(EntryKind kind, uint32_t level) {
    return level_of(kind) != 0 && level_of(kind) <= level;
}

}  // namespace raftd
