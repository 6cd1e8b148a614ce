// Body of an entry of kind `producer`: registers an appender, opens one again, or closes it. The entry also
// names whom it makes room for, so that applying it needs no judgement. Byte diagram: docs/formats.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace raftd::daemon {

inline constexpr size_t kProducerNameBytesMax = 128;
inline constexpr size_t kProducersExpiredAtOnce = 64;

struct ProducerEntry {
    enum class Op : uint8_t {
        open = 1,   // a new one (id: this entry's index), or the named one again with its epoch raised
        close = 2,  // `id` is forgotten, if `epoch` is still its own
    };
    Op op = Op::open;
    uint64_t id = 0;               // open: to be opened again, whatever its name; 0: by name, or a new one
    uint32_t epoch = 0;            // close: of whoever closes
    std::string name;              // empty: unnamed
    std::vector<uint64_t> expire;  // forgotten before anything else; unknown ids are passed over
};

/// Requires: name and expire within their bounds; open: no epoch; close: an id and an epoch, no name.
std::vector<std::byte> encode_producer(const ProducerEntry& entry);
/// Nothing when it isn't whole, or breaks a bound: such an entry changes nothing when applied.
std::optional<ProducerEntry> decode_producer(ByteView body);

}  // namespace raftd::daemon
