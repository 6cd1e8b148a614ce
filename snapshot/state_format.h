// Keys and values of the replicated state in its store, as bytes. Only their form is judged here; what they
// mean together is daemon/state.h. Numbers in keys are big-endian, so that keys sort as numbers do. Byte
// diagrams: docs/formats.md.
//   f            level, bounds, the count of answers given, and what stands in the open archive
//   p/<id>       a producer: ProducerRecord, then its name
//   a/<block>    answers, kAnswersInBlock places of a ring: u64 first ordinal, then AnswerRecords; all zero:
//                nobody's any more
//   u/<id>       a member id that was used; no value
//   c/<index>    body of a membership entry
//   m/<index>    where an archive begins: ArchiveMarkRecord
//   t            first LSN and standing policy: RetentionRecord
//   n/<name>     a cursor: CursorRecord
//   k/<index>    a checkpoint, or an upload of one, by the entry that began it: CheckpointRecord
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace raftd::snapshot {

inline constexpr std::string_view kStateHeaderKey = "f";
inline constexpr char kProducerKeys = 'p', kAnswerKeys = 'a', kUsedIdKeys = 'u', kConfigKeys = 'c',
                      kArchiveMarkKeys = 'm', kCheckpointKeys = 'k';
inline constexpr std::string_view kRetentionKey = "t";

/// `n/<name>`, and back.
std::string cursor_key(std::string_view name);
std::optional<std::string_view> cursor_in(std::string_view key);

/// `<kind>/<number>`, and back.
std::string state_key(char kind, uint64_t number);
std::optional<uint64_t> number_in(std::string_view key, char kind);

struct StateHeader {
    uint32_t format;  // 2
    uint32_t feature_level;
    uint64_t answers_given;  // by all producers, ever
    uint64_t producers_max, answers_each_max, answers_all_max, producer_idle_ms;
    uint64_t archive_bytes_max, archive_entries_max, archive_marks_max;
    uint64_t cursors_max, checkpoints_max, uploads_max, upload_distance;
    uint64_t archive_bytes, archive_entries, archive_changes;  // of the open one so far
};
static_assert(sizeof(StateHeader) == 128);
/// 1 had no archives. Another format is no damage: the state is made again from the log.
inline constexpr uint32_t kStateFormat = 2;

struct ProducerRecord {
    uint64_t last, records, opened_index, used_ms;
    uint64_t newest;  // ordinal of its newest answer; 0: none yet
    uint32_t epoch, reserved;
};
static_assert(sizeof(ProducerRecord) == 48);

struct AnswerRecord {
    uint64_t index, lsn_first, term, timestamp_ms, body_checksum;
    uint32_t record_count, reserved;
    uint64_t producer;
    uint32_t sequence_low;  // of the sequence; the producer's newest one is its `last`
    uint32_t reserved2;
};
static_assert(sizeof(AnswerRecord) == 64);
inline constexpr uint64_t kAnswersInBlock = 64;

struct ArchiveMarkRecord {
    uint64_t lsn_first, timestamp_ms, bytes_before;
};
static_assert(sizeof(ArchiveMarkRecord) == 24);

struct RetentionRecord {
    uint64_t first_lsn;
    uint64_t bytes, age_ms, records;  // 0: no bound
    uint32_t below_checkpoint, reserved;
};
static_assert(sizeof(RetentionRecord) == 40);

struct CursorRecord {
    uint64_t lsn, hold_bytes_max, set_ms;
    uint32_t hold, reserved;
};
static_assert(sizeof(CursorRecord) == 32);

struct CheckpointRecord {
    uint64_t upto, size, received;
    uint64_t committed;  // 0: an upload
    uint64_t touched_bytes, touched_ms;
    std::array<std::byte, 32> sha256;
};
static_assert(sizeof(CheckpointRecord) == 80);

std::string encode_header(const StateHeader& header);
std::optional<StateHeader> decode_header(std::string_view value);

std::string encode_archive_mark(const ArchiveMarkRecord& record);
std::optional<ArchiveMarkRecord> decode_archive_mark(std::string_view value);

std::string encode_retention_record(const RetentionRecord& record);
std::optional<RetentionRecord> decode_retention_record(std::string_view value);
std::string encode_cursor_record(const CursorRecord& record);
std::optional<CursorRecord> decode_cursor_record(std::string_view value);
std::string encode_checkpoint_record(const CheckpointRecord& record);
std::optional<CheckpointRecord> decode_checkpoint_record(std::string_view value);

std::string encode_producer_record(const ProducerRecord& record, std::string_view name);
struct NamedProducer {
    ProducerRecord record;
    std::string_view name;  // in the value
};
std::optional<NamedProducer> decode_producer_record(std::string_view value);

struct AnswerBlock {
    uint64_t first_ordinal = 0;  // ordinals begin at 1
    std::vector<AnswerRecord> answers;
};
std::optional<AnswerBlock> decode_answers(std::string_view value);

}  // namespace raftd::snapshot
