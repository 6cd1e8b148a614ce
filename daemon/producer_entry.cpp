#include "daemon/producer_entry.h"

#include "base/check.h"
#include "base/codec.h"

namespace raftd::daemon {
namespace {

struct ProducerFields {
    uint8_t op, reserved;
    uint16_t name_bytes;
    uint32_t epoch;
    uint64_t id;
    uint32_t expire_count, reserved2;
};
static_assert(sizeof(ProducerFields) == 24);

bool sensible(const ProducerFields& fixed) {
    if (fixed.reserved != 0 || fixed.reserved2 != 0 || fixed.name_bytes > kProducerNameBytesMax ||
        fixed.expire_count > kProducersExpiredAtOnce)
        return false;
    switch (ProducerEntry::Op{fixed.op}) {
        case ProducerEntry::Op::open: return fixed.epoch == 0;
        case ProducerEntry::Op::close: return fixed.id != 0 && fixed.epoch != 0 && fixed.name_bytes == 0;
    }
    return false;
}

}  // namespace

std::vector<std::byte> encode_producer(const ProducerEntry& entry) {
    const ProducerFields fixed{static_cast<uint8_t>(entry.op),
                               0,
                               static_cast<uint16_t>(entry.name.size()),
                               entry.epoch,
                               entry.id,
                               static_cast<uint32_t>(entry.expire.size()),
                               0};
    CHECK_LE(entry.name.size(), kProducerNameBytesMax);
    CHECK_LE(entry.expire.size(), kProducersExpiredAtOnce);
    CHECK(sensible(fixed));
    ByteWriter writer;
    writer.put(fixed);
    for (uint64_t id : entry.expire) writer.put(id);
    writer.put_bytes(as_bytes(entry.name));
    return writer.take();
}

std::optional<ProducerEntry> decode_producer(ByteView body) {
    ByteReader reader(body);
    auto fixed = reader.get<ProducerFields>();
    if (!reader.ok() || !sensible(fixed)) return std::nullopt;
    ProducerEntry entry;
    entry.op = ProducerEntry::Op{fixed.op};
    entry.id = fixed.id;
    entry.epoch = fixed.epoch;
    for (uint32_t i = 0; i < fixed.expire_count; ++i) entry.expire.push_back(reader.get<uint64_t>());
    entry.name = as_text(reader.bytes(fixed.name_bytes));
    if (!reader.done()) return std::nullopt;
    return entry;
}

}  // namespace raftd::daemon
