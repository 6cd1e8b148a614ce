// Bodies of the entries that carry a checkpoint: begin, chunks in order, commit. The number of a checkpoint
// is the index of the entry that began it. Byte diagrams: docs/formats.md. Each decode gives nothing when the
// body isn't whole and in its one form: such an entry changes nothing when applied.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"

namespace raftd::daemon {

using Sha256 = std::array<std::byte, 32>;

struct CheckpointBegin {
    Lsn upto{};     // what the application's state stands for; not 0
    uint64_t size;  // bytes in all
    Sha256 sha256;  // of them, as whoever uploads says; checked by whoever reads
};
std::vector<std::byte> encode_checkpoint_begin(const CheckpointBegin& entry);
std::optional<CheckpointBegin> decode_checkpoint_begin(ByteView body);

struct CheckpointChunk {
    uint64_t id;      // not 0
    uint64_t offset;  // of the first byte
    ByteView data;    // at least one
};
/// What stands before the data.
inline constexpr uint64_t kChunkHeadBytes = 16;
std::vector<std::byte> encode_checkpoint_chunk(const CheckpointChunk& entry);
std::optional<CheckpointChunk> decode_checkpoint_chunk(ByteView body);

std::vector<std::byte> encode_checkpoint_commit(uint64_t id);
std::optional<uint64_t> decode_checkpoint_commit(ByteView body);

}  // namespace raftd::daemon
