// Bodies of the entries of kinds `trim`, `retention` and `cursor`. Byte diagrams: docs/formats.md. Each
// decode gives nothing when the body isn't whole, isn't in its one form, or breaks a bound: such an entry
// changes nothing when applied.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"

namespace raftd::daemon {

inline constexpr size_t kCursorNameBytesMax = 128;

/// Records below `before` are to go. How far it comes is decided when it is applied.
struct TrimEntry {
    enum class Reason : uint32_t { asked = 1, bytes, age, records, checkpoint };
    Reason reason = Reason::asked;
    Lsn before{};  // not 0
};
std::vector<std::byte> encode_trim(const TrimEntry& entry);
std::optional<TrimEntry> decode_trim(ByteView body);
/// `asked`, `bytes`, ...; `?` for another.
const char* text_of(TrimEntry::Reason reason);

/// The standing policy. 0: no bound of that kind.
struct RetentionPolicy {
    uint64_t bytes = 0;             // of the log, encoded, whole archives
    uint64_t age_ms = 0;            // by the log's time
    uint64_t records = 0;           // that stay
    bool below_checkpoint = false;  // nothing above the newest checkpoint goes; alone: all below it goes
    bool bounded() const { return bytes != 0 || age_ms != 0 || records != 0; }
    bool operator==(const RetentionPolicy&) const = default;
};

/// Changes those parts of the policy that it names, so that two changes at once both hold.
struct RetentionEntry {
    std::optional<uint64_t> bytes{}, age_ms{}, records{};
    std::optional<bool> below_checkpoint{};
    bool operator==(const RetentionEntry&) const = default;
};
std::vector<std::byte> encode_retention(const RetentionEntry& entry);
std::optional<RetentionEntry> decode_retention(ByteView body);

struct CursorEntry {
    enum class Op : uint8_t {
        set = 1,      // to exactly this, with this hold
        advance = 2,  // up to there, never back; the hold stays as it is, a new cursor has none
        remove = 3,
    };
    Op op = Op::set;
    bool hold = false;            // set: nothing at or above it is trimmed
    Lsn lsn{};                    // next one to be read; not 0 but of remove
    uint64_t hold_bytes_max = 0;  // set: the hold ends once it keeps more than this; 0: never
    std::string name;             // 1 to kCursorNameBytesMax bytes
    bool operator==(const CursorEntry&) const = default;
};
/// Requires: within the bounds said above.
std::vector<std::byte> encode_cursor(const CursorEntry& entry);
std::optional<CursorEntry> decode_cursor(ByteView body);

}  // namespace raftd::daemon
