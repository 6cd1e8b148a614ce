// Where the groups with entries lie in the segments of a simulated disk, for tests that damage them.
#pragma once

#include <string>
#include <vector>

#include "sim/storage.h"
#include "wal/format.h"

namespace raftd::wal {

struct GroupPlace {
    std::string path;
    uint64_t offset;
    Index first, last;  // its entries
    bool sealed;
};
/// By segment, each in order. `dir`: with a slash behind; empty: all.
inline std::vector<GroupPlace> group_places(const sim::SimStorage& storage, const std::string& dir = "") {
    std::vector<GroupPlace> places;
    for (const std::string& path : storage.durable_paths()) {
        auto id = segment_id_of(std::string_view(path).substr(path.rfind('/') + 1));
        if (!id || !path.starts_with(dir)) continue;
        const std::vector<std::byte> bytes = storage.durable_bytes(path);
        SegmentHeader header;
        if (form_of_header(ByteView(bytes).first(kBlockBytes), *id, header) != Form::good) continue;
        const bool sealed = !all_zero(ByteView(bytes).subspan(kSealAt, kBlockBytes));
        for (uint64_t at = kFirstGroupAt; at < bytes.size(); at += kBlockBytes) {
            GroupHeader group;
            if (!is_group(ByteView(bytes).subspan(at), {*id, header.salt}, at, group)) continue;
            if (group.entry_count == 0) continue;
            places.push_back(
                {path, at, group.before.index + 1, group.before.index + group.entry_count, sealed});
        }
    }
    return places;
}

}  // namespace raftd::wal
