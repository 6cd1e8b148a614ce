#include "sim/rot.h"

#include <algorithm>
#include <vector>

#include "wal/format.h"

namespace raftd::sim {
namespace {

struct Group {
    uint64_t at, bytes;  // what is used of it, without padding
};
/// What one segment file holds, as far as it is on the disk.
struct Layout {
    std::string path;
    bool sealed = false;
    bool closed = false;  // the last group only witnesses the one before
    uint64_t footer_at = 0, footer_bytes = 0;
    std::vector<Group> groups;
};

uint64_t used_bytes(ByteView file, uint64_t at, const wal::GroupHeader& group) {
    uint64_t end = at + wal::kGroupHeaderBytes;
    for (uint32_t i = 0; i < group.entry_count && end + kEntryHeaderBytes <= file.size(); ++i) {
        EntryHeader entry;
        std::memcpy(&entry, file.data() + end, sizeof entry);
        end += encoded_bytes(entry);
    }
    return std::min<uint64_t>(end - at, group.group_bytes);
}

std::optional<Layout> lay_out(const SimStorage& storage, const std::string& path) {
    std::optional<uint64_t> id = wal::segment_id_of(std::string_view(path).substr(path.rfind('/') + 1));
    std::vector<std::byte> bytes = storage.durable_bytes(path);
    wal::SegmentHeader header;
    ByteView file(bytes);
    if (!id || file.size() < wal::kFirstGroupAt ||
        wal::form_of_header(file.first(wal::kBlockBytes), *id, header) != wal::Form::good)
        return std::nullopt;
    Layout layout;
    layout.path = path;
    wal::SegmentKey key{*id, header.salt};
    wal::Seal seal;
    if (wal::form_of_seal(file.subspan(wal::kSealAt, wal::kBlockBytes), key, seal) == wal::Form::good) {
        layout.sealed = true;
        layout.footer_at = seal.footer_offset, layout.footer_bytes = seal.footer_bytes;
    }
    HardState hard = header.hard.state;
    wal::GroupHeader group;
    for (uint64_t at = wal::kFirstGroupAt;
         at < file.size() && wal::is_group(file.subspan(at), key, at, group); at += group.group_bytes) {
        layout.groups.push_back({at, used_bytes(file, at, group)});
        layout.closed = group.entry_count == 0 && group.hard.state == hard;
        hard = group.hard.state;
    }
    return layout;
}

void damage(SimStorage& storage, const std::string& path, uint64_t from, uint64_t bytes, Random& random) {
    uint64_t at = from + random.below(bytes);
    if (random.chance(0.7)) {
        storage.flip_bit(path, at, static_cast<int>(random.below(8)));
        return;
    }
    uint64_t sector = at / kSectorBytes * kSectorBytes;  // lost, or overwritten by a write that went astray
    std::vector<std::byte> garbage(kSectorBytes);
    if (random.chance(0.5))
        for (std::byte& value : garbage) value = std::byte(random.below(256));
    storage.overwrite(path, sector, garbage);
}

}  // namespace

std::optional<std::string> rot(SimStorage& storage, const std::string& dir, Random& random) {
    std::vector<std::string> small, segments;
    for (const std::string& path : storage.durable_paths()) {
        if (!path.starts_with(dir + "/") || storage.size_of(path) == 0) continue;
        (path.starts_with(dir + "/wal/") ? segments : small).push_back(path);
    }
    auto hit = [&](const char* what, const std::string& path, uint64_t from, uint64_t bytes) {
        damage(storage, path, from, bytes, random);
        return std::string(what) + " of " + path;
    };
    const uint64_t kind = random.below(6);
    if (kind == 0 && !small.empty()) {
        const std::string& path = small[random.below(small.size())];
        return hit("content", path, 0, storage.size_of(path));
    }
    if (segments.empty()) return std::nullopt;
    // The newest ones more often: there the rules are the finest.
    size_t place = random.chance(0.5)
                       ? segments.size() - 1 - random.below(std::min<size_t>(segments.size(), 3))
                       : random.below(segments.size());
    std::optional<Layout> layout = lay_out(storage, segments[place]);
    if (!layout) return std::nullopt;
    if (kind == 1) return hit("header", layout->path, 0, sizeof(wal::SegmentHeader));
    if (kind == 2) return hit("seal", layout->path, wal::kSealAt, sizeof(wal::Seal));
    if (kind == 3 && layout->footer_bytes != 0)
        return hit("footer", layout->path, layout->footer_at, layout->footer_bytes);
    size_t witnessed = layout->groups.size();
    if (!layout->sealed && !layout->closed && witnessed > 0) --witnessed;
    if (witnessed == 0) return std::nullopt;
    bool last = kind == 4;  // or the one before the marker behind it
    size_t chosen =
        last ? witnessed - 1 - random.below(std::min<size_t>(witnessed, 2)) : random.below(witnessed);
    const Group& group = layout->groups[chosen];
    return hit("group", layout->path, group.at, group.bytes);
}

}  // namespace raftd::sim
