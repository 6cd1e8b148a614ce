#include "client/batch.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::client {

Batch Batch::of(std::span<const ByteView> records) {
    CHECK(!records.empty());
    Batch batch;
    uint64_t payload = 0;
    for (ByteView record : records) {
        payload += record.size();
        batch.record_bytes_max = std::max<uint64_t>(batch.record_bytes_max, record.size());
    }
    uint64_t total = kHeadBytes + body_bytes_for(records.size(), payload);
    CHECK_LE(total, UINT32_MAX);
    batch.count = static_cast<uint32_t>(records.size());
    batch.frame = Chunk::make(static_cast<uint32_t>(total));
    MutableBytes body = batch.frame.writable().subspan(kHeadBytes);
    encode_body(records, body);
    proto::Append append{};
    append.size = sizeof append;
    append.draft = draft_batch(batch.count, body);
    std::memcpy(batch.frame.data() + proto::kFrameHeaderBytes, &append, sizeof append);
    return batch;
}

uint64_t Batch::body_checksum() const {
    proto::Append append;
    std::memcpy(&append, frame.data() + proto::kFrameHeaderBytes, sizeof append);
    return append.draft.body_checksum;
}

}  // namespace raftd::client
