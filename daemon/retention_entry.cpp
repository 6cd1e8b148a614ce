#include "daemon/retention_entry.h"

#include "base/check.h"
#include "base/codec.h"

namespace raftd::daemon {
namespace {

struct TrimFields {
    uint32_t reason, reserved;
    uint64_t before;
};
static_assert(sizeof(TrimFields) == 16);

constexpr uint32_t kHasBytes = 1, kHasAge = 2, kHasRecords = 4, kHasBelow = 8;
struct RetentionFields {
    uint32_t named;  // which of the following count; the others are 0
    uint32_t below_checkpoint;
    uint64_t bytes, age_ms, records;
};
static_assert(sizeof(RetentionFields) == 32);

struct CursorFields {
    uint8_t op, hold;
    uint16_t name_bytes;
    uint32_t reserved;
    uint64_t lsn, hold_bytes_max;
};
static_assert(sizeof(CursorFields) == 24);

bool sensible_cursor(const CursorFields& cursor) {
    if (cursor.hold > 1 || cursor.reserved != 0 || cursor.name_bytes == 0 ||
        cursor.name_bytes > kCursorNameBytesMax || (cursor.hold == 0 && cursor.hold_bytes_max != 0))
        return false;
    switch (CursorEntry::Op{cursor.op}) {
        case CursorEntry::Op::set: return cursor.lsn != 0;
        case CursorEntry::Op::advance: return cursor.lsn != 0 && cursor.hold == 0;
        case CursorEntry::Op::remove: return cursor.lsn == 0 && cursor.hold == 0;
    }
    return false;
}

}  // namespace

std::vector<std::byte> encode_trim(const TrimEntry& entry) {
    CHECK_NE(raw(entry.before), 0u);
    ByteWriter writer;
    writer.put(TrimFields{static_cast<uint32_t>(entry.reason), 0, raw(entry.before)});
    return writer.take();
}

std::optional<TrimEntry> decode_trim(ByteView body) {
    ByteReader reader(body);
    auto fixed = reader.get<TrimFields>();
    constexpr auto kLast = static_cast<uint32_t>(TrimEntry::Reason::checkpoint);
    if (!reader.done() || fixed.reserved != 0 || fixed.before == 0 || fixed.reason == 0 ||
        fixed.reason > kLast)
        return std::nullopt;
    return TrimEntry{TrimEntry::Reason{fixed.reason}, Lsn{fixed.before}};
}

const char* text_of(TrimEntry::Reason reason) {
    switch (reason) {
        case TrimEntry::Reason::asked: return "asked";
        case TrimEntry::Reason::bytes: return "bytes";
        case TrimEntry::Reason::age: return "age";
        case TrimEntry::Reason::records: return "records";
        case TrimEntry::Reason::checkpoint: return "checkpoint";
    }
    return "?";
}

std::vector<std::byte> encode_retention(const RetentionEntry& entry) {
    RetentionFields fixed{};
    fixed.named = (entry.bytes ? kHasBytes : 0) | (entry.age_ms ? kHasAge : 0) |
                  (entry.records ? kHasRecords : 0) | (entry.below_checkpoint ? kHasBelow : 0);
    fixed.bytes = entry.bytes.value_or(0);
    fixed.age_ms = entry.age_ms.value_or(0);
    fixed.records = entry.records.value_or(0);
    fixed.below_checkpoint = entry.below_checkpoint.value_or(false);
    ByteWriter writer;
    writer.put(fixed);
    return writer.take();
}

std::optional<RetentionEntry> decode_retention(ByteView body) {
    ByteReader reader(body);
    auto fixed = reader.get<RetentionFields>();
    if (!reader.done() || fixed.named > (kHasBytes | kHasAge | kHasRecords | kHasBelow) ||
        fixed.below_checkpoint > 1)
        return std::nullopt;
    RetentionEntry entry;
    if ((fixed.named & kHasBytes) != 0) entry.bytes = std::exchange(fixed.bytes, 0);
    if ((fixed.named & kHasAge) != 0) entry.age_ms = std::exchange(fixed.age_ms, 0);
    if ((fixed.named & kHasRecords) != 0) entry.records = std::exchange(fixed.records, 0);
    if ((fixed.named & kHasBelow) != 0)
        entry.below_checkpoint = std::exchange(fixed.below_checkpoint, 0) != 0;
    if (fixed.bytes != 0 || fixed.age_ms != 0 || fixed.records != 0 || fixed.below_checkpoint != 0)
        return std::nullopt;
    return entry;
}

std::vector<std::byte> encode_cursor(const CursorEntry& entry) {
    const CursorFields fixed{static_cast<uint8_t>(entry.op),
                             static_cast<uint8_t>(entry.hold),
                             static_cast<uint16_t>(entry.name.size()),
                             0,
                             raw(entry.lsn),
                             entry.hold_bytes_max};
    CHECK_LE(entry.name.size(), kCursorNameBytesMax);
    CHECK(sensible_cursor(fixed));
    ByteWriter writer;
    writer.put(fixed);
    writer.put_bytes(as_bytes(entry.name));
    return writer.take();
}

std::optional<CursorEntry> decode_cursor(ByteView body) {
    ByteReader reader(body);
    auto fixed = reader.get<CursorFields>();
    if (!reader.ok() || !sensible_cursor(fixed)) return std::nullopt;
    CursorEntry entry{CursorEntry::Op{fixed.op}, fixed.hold != 0, Lsn{fixed.lsn}, fixed.hold_bytes_max, {}};
    entry.name = as_text(reader.bytes(fixed.name_bytes));
    if (!reader.done()) return std::nullopt;
    return entry;
}

}  // namespace raftd::daemon
