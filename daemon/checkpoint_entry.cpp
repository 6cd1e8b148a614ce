#include "daemon/checkpoint_entry.h"

#include "base/check.h"
#include "base/codec.h"

namespace raftd::daemon {
namespace {

struct Begin {
    uint64_t upto, size;
    Sha256 sha256;
};
static_assert(sizeof(Begin) == 48);

}  // namespace

std::vector<std::byte> encode_checkpoint_begin(const CheckpointBegin& entry) {
    CHECK_NE(raw(entry.upto), 0u);
    ByteWriter writer;
    writer.put(Begin{raw(entry.upto), entry.size, entry.sha256});
    return writer.take();
}

std::optional<CheckpointBegin> decode_checkpoint_begin(ByteView body) {
    ByteReader reader(body);
    auto fixed = reader.get<Begin>();
    if (!reader.done() || fixed.upto == 0) return std::nullopt;
    return CheckpointBegin{Lsn{fixed.upto}, fixed.size, fixed.sha256};
}

std::vector<std::byte> encode_checkpoint_chunk(const CheckpointChunk& entry) {
    CHECK_NE(entry.id, 0u);
    CHECK(!entry.data.empty());
    ByteWriter writer;
    writer.put(entry.id);
    writer.put(entry.offset);
    writer.put_bytes(entry.data);
    return writer.take();
}

std::optional<CheckpointChunk> decode_checkpoint_chunk(ByteView body) {
    ByteReader reader(body);
    CheckpointChunk entry{reader.get<uint64_t>(), reader.get<uint64_t>(), reader.rest()};
    if (!reader.ok() || entry.id == 0 || entry.data.empty()) return std::nullopt;
    return entry;
}

std::vector<std::byte> encode_checkpoint_commit(uint64_t id) {
    CHECK_NE(id, 0u);
    ByteWriter writer;
    writer.put(id);
    return writer.take();
}

std::optional<uint64_t> decode_checkpoint_commit(ByteView body) {
    ByteReader reader(body);
    auto id = reader.get<uint64_t>();
    if (!reader.done() || id == 0) return std::nullopt;
    return id;
}

}  // namespace raftd::daemon
