#include "snapshot/state_format.h"

#include <cstring>

#include "base/codec.h"

namespace raftd::snapshot {
namespace {

constexpr size_t kKeyBytes = 2 + 8;

template <class T>
std::string bytes_of(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

}  // namespace

std::string state_key(char kind, uint64_t number) {
    std::string key(kKeyBytes, '/');
    key[0] = kind;
    for (size_t i = 0; i < 8; ++i) key[2 + i] = static_cast<char>(number >> (8 * (7 - i)));
    return key;
}

std::optional<uint64_t> number_in(std::string_view key, char kind) {
    if (key.size() != kKeyBytes || key[0] != kind || key[1] != '/') return std::nullopt;
    uint64_t number = 0;
    for (size_t i = 2; i < kKeyBytes; ++i) number = number << 8 | static_cast<unsigned char>(key[i]);
    return number;
}

std::string encode_header(const StateHeader& header) { return bytes_of(header); }

std::optional<StateHeader> decode_header(std::string_view value) {
    ByteReader reader(as_bytes(value));
    auto header = reader.get<StateHeader>();
    if (!reader.done() || header.format != kStateFormat || header.feature_level == 0) return std::nullopt;
    return header;
}

std::string encode_archive_mark(const ArchiveMarkRecord& record) { return bytes_of(record); }

std::optional<ArchiveMarkRecord> decode_archive_mark(std::string_view value) {
    ByteReader reader(as_bytes(value));
    auto record = reader.get<ArchiveMarkRecord>();
    if (!reader.done() || record.lsn_first == 0) return std::nullopt;
    return record;
}

std::string cursor_key(std::string_view name) { return std::string("n/").append(name); }

std::optional<std::string_view> cursor_in(std::string_view key) {
    if (!key.starts_with("n/")) return std::nullopt;
    return key.substr(2);
}

std::string encode_retention_record(const RetentionRecord& record) { return bytes_of(record); }

std::optional<RetentionRecord> decode_retention_record(std::string_view value) {
    ByteReader reader(as_bytes(value));
    auto record = reader.get<RetentionRecord>();
    if (!reader.done() || record.first_lsn == 0 || record.below_checkpoint > 1 || record.reserved != 0)
        return std::nullopt;
    return record;
}

std::string encode_cursor_record(const CursorRecord& record) { return bytes_of(record); }

std::optional<CursorRecord> decode_cursor_record(std::string_view value) {
    ByteReader reader(as_bytes(value));
    auto record = reader.get<CursorRecord>();
    if (!reader.done() || record.lsn == 0 || record.hold > 1 || record.reserved != 0 ||
        (record.hold == 0 && record.hold_bytes_max != 0))
        return std::nullopt;
    return record;
}

std::string encode_checkpoint_record(const CheckpointRecord& record) { return bytes_of(record); }

std::optional<CheckpointRecord> decode_checkpoint_record(std::string_view value) {
    ByteReader reader(as_bytes(value));
    auto record = reader.get<CheckpointRecord>();
    if (!reader.done() || record.upto == 0) return std::nullopt;
    return record;
}

std::string encode_producer_record(const ProducerRecord& record, std::string_view name) {
    return bytes_of(record).append(name);
}

std::optional<NamedProducer> decode_producer_record(std::string_view value) {
    ByteReader reader(as_bytes(value));
    NamedProducer found{reader.get<ProducerRecord>(), as_text(reader.rest())};
    if (!reader.ok() || found.record.epoch == 0 || found.record.reserved != 0) return std::nullopt;
    return found;
}

std::optional<AnswerBlock> decode_answers(std::string_view value) {
    ByteReader reader(as_bytes(value));
    AnswerBlock block{reader.get<uint64_t>(), {}};
    const size_t bytes = reader.rest().size();
    if (!reader.ok() || block.first_ordinal == 0 || bytes == 0 || bytes % sizeof(AnswerRecord) != 0 ||
        bytes / sizeof(AnswerRecord) > kAnswersInBlock)
        return std::nullopt;
    while (!reader.done()) {
        block.answers.push_back(reader.get<AnswerRecord>());
        if (block.answers.back().reserved != 0 || block.answers.back().reserved2 != 0) return std::nullopt;
    }
    return block;
}

}  // namespace raftd::snapshot
