#include "base/features.h"

#include "base/codec.h"

#ifndef RAFTD_FEATURE_LEVEL
#define RAFTD_FEATURE_LEVEL kFeatureLevelNewest
#endif

namespace raftd {

uint32_t feature_level_max() { return RAFTD_FEATURE_LEVEL; }

const char* name_of_feature_level(uint32_t level) {
    switch (level) {
        case 1: return "batches, members";
        case 2: return "producers: appends that are sent again land once";
        case 3: return "archives and snapshots, retention, cursors, checkpoints";
        default: return "";
    }
}

std::vector<std::byte> encode_feature(uint32_t level) {
    ByteWriter writer;
    writer.put(level);
    return writer.take();
}

std::optional<uint32_t> decode_feature(ByteView body) {
    ByteReader reader(body);
    auto level = reader.get<uint32_t>();
    if (!reader.done() || level == 0) return std::nullopt;
    return level;
}

}  // namespace raftd
