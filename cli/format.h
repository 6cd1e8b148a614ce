// Records to and from bytes, for append, tail and get: cutting an input into records, writing records out,
// and the places that --from and --to name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "client/types.h"

namespace raftd::cli {

enum class Framing : uint8_t {
    lines,   // LF ends a record and isn't part of it
    nul,     // a zero byte does
    raw,     // the whole input is one record; records are written end to end
    length,  // u32 big-endian before each
};
/// The four words; nothing for another one.
std::optional<Framing> parse_framing(std::string_view word);

enum class DataAs : uint8_t { automatic, text, base64 };
std::optional<DataAs> parse_data_as(std::string_view word);

/// Cuts an input that arrives in pieces into records.
class Splitter {
public:
    Splitter(Framing framing, uint64_t record_bytes_max) : framing_(framing), max_(record_bytes_max) {}

    /// Appends to `records` those that end in `piece`. Views of `piece`, or of this object until the next
    /// call. Errors: bad_input when a record is longer than allowed (those before it have been added).
    Result<void> feed(ByteView piece, std::vector<ByteView>& records);
    /// The input has ended: a last record without its end counts. Errors: bad_input.
    Result<void> finish(std::vector<ByteView>& records);
    /// Number of the record that an error is about: 1, 2, ...
    uint64_t number() const { return number_ + 1; }

private:
    Result<void> add(ByteView record, std::vector<ByteView>& records);
    Result<void> feed_lengths(ByteView piece, std::vector<ByteView>& records);
    Error too_long(uint64_t bytes) const;

    Framing framing_;
    uint64_t max_;
    uint64_t number_ = 0;
    std::string carry_;  // the beginning of a record that isn't whole
    std::string whole_;  // one that was completed by the last piece
};

/// Appends one record to `into`, as tail writes it. `escape`: control bytes as \xNN, for a terminal.
void write_record(std::string& into, Framing framing, ByteView data, bool escape);
/// The members "data" or "data_base64" of a record's JSON object, without braces.
std::string data_member(ByteView data, DataAs as);
bool is_utf8(std::string_view text);
std::string base64(ByteView bytes);

}  // namespace raftd::cli
