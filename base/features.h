// Feature levels: what kinds of entries a log may hold. The level is replicated (an entry of kind `feature`
// raises it); a member that meets an entry above it, or a level above its own program, stops before it
// applies: it would have another state than the others. A leader uses a level only once it is applied (H17).
#pragma once

#include <optional>
#include <vector>

#include "base/entry.h"

namespace raftd {

/// The newest level that this source knows.
inline constexpr uint32_t kFeatureLevelNewest = 3;

/// The newest level that this program takes part in. Tests build an older program from the same source, by
/// RAFTD_FEATURE_LEVEL at features.cpp.
uint32_t feature_level_max();

/// What a level brought, for people; nothing for one that isn't known.
const char* name_of_feature_level(uint32_t level);

/// The level that brought a kind; 0: none yet.
constexpr uint32_t level_of(EntryKind kind) {
    switch (kind) {
        case EntryKind::batch:
        case EntryKind::noop:
        case EntryKind::membership:
        case EntryKind::feature: return 1;
        case EntryKind::producer: return 2;
        case EntryKind::cut:
        case EntryKind::trim:
        case EntryKind::retention:
        case EntryKind::cursor:
        case EntryKind::checkpoint_begin:
        case EntryKind::checkpoint_chunk:
        case EntryKind::checkpoint_commit: return 3;
        default: return 0;
    }
}

constexpr bool kind_allowed(EntryKind kind, uint32_t level) {
    return level_of(kind) != 0 && level_of(kind) <= level;
}

/// Body of a `feature` entry: the level as u32.
std::vector<std::byte> encode_feature(uint32_t level);
/// Nothing when it isn't whole, or asks for level 0.
std::optional<uint32_t> decode_feature(ByteView body);

}  // namespace raftd
