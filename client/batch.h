// A batch of records in its final encoding, made once by whoever submits it.
#pragma once

#include <span>

#include "base/bytes.h"
#include "base/types.h"
#include "proto/client.h"
#include "proto/frame.h"

namespace raftd::client {

/// What its head needs beside is filled in when it is sent.
struct Batch {
    Slice frame;  // room for the head, then the body
    uint32_t count = 0;
    uint64_t record_bytes_max = 0;  // of its largest record
    Lsn expect{};                   // the LSN that its first record is to get, or it is refused; 0: whichever

    static constexpr uint32_t kHeadBytes = proto::kFrameHeaderBytes + sizeof(proto::Append);
    uint64_t body_bytes() const { return frame.size() - kHeadBytes; }
    uint64_t body_checksum() const;
    /// Encodes the records, once. Requires: at least one, together below 4 GiB.
    static Batch of(std::span<const ByteView> records);
    static Batch of(ByteView record) { return of({&record, 1}); }
};

}  // namespace raftd::client
