#include "wal/format.h"

#include <cstddef>

#include "base/checksum.h"
#include "base/uuid.h"

namespace raftd::wal {
namespace {

constexpr uint64_t kVersionBits = 0xffull << 56;

/// All fields but the last, which is the checksum.
template <class T>
uint64_t checksum_of(const T& value, uint64_t seed) {
    static_assert(offsetof(T, checksum) + 8 == sizeof(T));
    return checksum({reinterpret_cast<const std::byte*>(&value), sizeof(T) - 8}, seed);
}

template <class T>
bool load(ByteView bytes, T& into) {
    if (bytes.size() < sizeof(T)) return false;
    std::memcpy(&into, bytes.data(), sizeof(T));
    return true;
}

}  // namespace

void sign(SegmentHeader& header) { header.checksum = checksum_of(header, 0); }
void sign(Seal& seal, SegmentKey key) { seal.checksum = checksum_of(seal, key.salt); }
void sign(GroupHeader& header, SegmentKey key) { header.checksum = checksum_of(header, key.salt); }

Form form_of_header(ByteView block, uint64_t id, SegmentHeader& into) {
    if (all_zero(block)) return Form::zero;
    if (!load(block, into)) return Form::bad;
    bool ours = (into.magic_version & ~kVersionBits) == (kSegmentMagic & ~kVersionBits);
    if (ours && into.magic_version >> 56 > kSegmentAnewMagic >> 56) return Form::too_new;
    if (into.magic_version != kSegmentMagic && !into.begins_anew()) return Form::bad;
    if (into.checksum != checksum_of(into, 0)) return Form::bad;
    return into.segment_id == id && into.file_bytes >= kFirstGroupAt ? Form::good : Form::bad;
}

Form form_of_seal(ByteView block, SegmentKey key, Seal& into) {
    if (all_zero(block)) return Form::zero;
    if (!load(block, into)) return Form::bad;
    bool good = into.magic_version == kSealMagic && into.segment_id == key.id &&
                into.checksum == checksum_of(into, key.salt);
    return good ? Form::good : Form::bad;
}

bool is_group(ByteView bytes, SegmentKey key, uint64_t offset, GroupHeader& into) {
    return load(bytes, into) && into.magic_version == kGroupMagic && into.segment_id == key.id &&
           into.file_offset == offset && into.checksum == checksum_of(into, key.salt) &&
           into.group_bytes >= kBlockBytes && into.group_bytes % kBlockBytes == 0;
}

bool looks_like_group(ByteView bytes, uint64_t segment_id, uint64_t offset) {
    GroupHeader header;
    return load(bytes, header) && header.magic_version == kGroupMagic && header.segment_id == segment_id &&
           header.file_offset == offset;
}

bool all_zero(ByteView bytes) {
    // The second half compares the bytes with themselves shifted by one: all equal to the first, which is
    // zero.
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

std::string segment_name(uint64_t id) { return to_hex(id) + ".wal"; }

std::optional<uint64_t> segment_id_of(std::string_view name) {
    if (name.size() != 20 || name.substr(16) != ".wal") return std::nullopt;
    uint64_t id = 0;
    for (char c : name.substr(0, 16)) {
        if (c >= '0' && c <= '9')
            id = id << 4 | static_cast<uint64_t>(c - '0');
        else if (c >= 'a' && c <= 'f')
            id = id << 4 | static_cast<uint64_t>(c - 'a' + 10);
        else
            return std::nullopt;
    }
    return id;
}

std::string segment_path(std::string_view dir, uint64_t id) {
    return std::string(dir) + "/" + segment_name(id);
}

}  // namespace raftd::wal
