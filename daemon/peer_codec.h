// Between raft/message.h and the frames of proto/peer.h. Decoding trusts nothing: what isn't a whole,
// well-formed message comes back as nothing, and the connection is closed.
#pragma once

#include <optional>
#include <vector>

#include "daemon/members.h"
#include "io/world.h"
#include "proto/peer.h"
#include "raft/step.h"

namespace raftd::daemon {

struct PeerMessage {
    raft::msg::Any message;
    std::vector<raft::EntryMeta> entries;
    std::vector<Configuration> configurations;  // what the metas of membership entries point to
    Slice entry_bytes;                          // of an append: encoded entries end to end
    std::optional<proto::Trailer> trailer;
    proto::Freeze freeze{};  // of an append, or of the trailer
};

std::optional<PeerMessage> decode_peer(const io::Frame& frame);
/// The frame's first slice; an append's entries (entry_count of entry_bytes) follow as other slices. Of the
/// trailer an append takes `freeze` alone.
Slice encode_peer(const raft::msg::Any& message, uint32_t entry_count, uint64_t entry_bytes,
                  const proto::Trailer& trailer);

}  // namespace raftd::daemon
