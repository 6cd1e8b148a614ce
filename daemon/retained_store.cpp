// What stays of the log, as keys and values of the state's store. A store's content is foreign bytes:
// whatever can't be is damage, and the state is then made again.
#include "daemon/retained.h"

namespace raftd::daemon {
namespace {

using namespace snapshot;

constexpr uint64_t kChangeBytes = 96;  // of a key and its value, reckoned

CursorRecord record_of(const Cursor& cursor) {
    return {raw(cursor.lsn), cursor.hold_bytes_max, cursor.set_ms, cursor.hold, 0};
}

CheckpointRecord record_of(const Checkpoint& checkpoint) {
    return {raw(checkpoint.upto),     checkpoint.size,       checkpoint.received, raw(checkpoint.committed),
            checkpoint.touched_bytes, checkpoint.touched_ms, checkpoint.sha256};
}

}  // namespace

void Retained::all_dirty() {
    point_changed_ = true;
    cursors_changed_.clear();
    checkpoints_changed_.clear();
    for (const auto& [name, cursor] : cursors_) cursors_changed_.insert(name);
    for (const auto& [id, checkpoint] : checkpoints_) checkpoints_changed_.insert(id);
}

uint64_t Retained::dirty_bytes() const {
    return (cursors_changed_.size() + checkpoints_changed_.size()) * kChangeBytes;
}

void Retained::take_dirty(StoreBatch& into) {
    if (point_changed_)
        into.keys[std::string(kRetentionKey)] = encode_retention_record(
            {raw(first_lsn_), policy_.bytes, policy_.age_ms, policy_.records, policy_.below_checkpoint, 0});
    for (const std::string& name : cursors_changed_) {
        auto kept = cursors_.find(name);
        auto& value = into.keys[cursor_key(name)];
        if (kept != cursors_.end()) value = encode_cursor_record(record_of(kept->second));
    }
    for (uint64_t id : checkpoints_changed_) {
        auto kept = checkpoints_.find(id);
        auto& value = into.keys[state_key(kCheckpointKeys, id)];
        if (kept != checkpoints_.end()) value = encode_checkpoint_record(record_of(kept->second));
    }
    point_changed_ = false;
    cursors_changed_.clear();
    checkpoints_changed_.clear();
}

bool Retained::is_key(std::string_view key) {
    return key == kRetentionKey || cursor_in(key) || number_in(key, kCheckpointKeys);
}

bool Retained::take(std::string_view key, std::string_view value) {
    if (key == kRetentionKey) {
        auto record = decode_retention_record(value);
        if (!record) return false;
        first_lsn_ = Lsn{record->first_lsn};
        policy_ = {record->bytes, record->age_ms, record->records, record->below_checkpoint != 0};
        point_changed_ = false;
        return true;
    }
    if (auto name = cursor_in(key)) {
        auto record = decode_cursor_record(value);
        if (!record || name->empty() || name->size() > kCursorNameBytesMax) return false;
        name_bytes_ += name->size();
        Cursor cursor{Lsn{record->lsn}, record->hold != 0, record->hold_bytes_max, record->set_ms};
        return cursors_.emplace(*name, cursor).second;
    }
    if (auto id = number_in(key, kCheckpointKeys)) {
        auto record = decode_checkpoint_record(value);
        if (!record || *id == 0) return false;
        Checkpoint checkpoint{
            Lsn{record->upto},        record->size,          record->received,  record->sha256,
            Index{record->committed}, record->touched_bytes, record->touched_ms};
        uploads_ += !checkpoint.whole();
        return checkpoints_.emplace(*id, checkpoint).second;
    }
    return false;
}

bool Retained::fits(const LogPoint& applied, uint64_t bytes_total) const {
    if (point_changed_ || first_lsn_ > applied.lsn_next) return false;
    if (cursors_.size() > limits_.cursors_max || uploads_ > limits_.uploads_max ||
        checkpoints_.size() - uploads_ > limits_.checkpoints_max)
        return false;
    for (const auto& [name, cursor] : cursors_)
        if (cursor.lsn > applied.lsn_next) return false;
    for (const auto& [id, checkpoint] : checkpoints_) {
        const Index last = checkpoint.whole() ? checkpoint.committed : Index{id};
        if (id > raw(last) || last > applied.index || checkpoint.upto >= applied.lsn_next ||
            checkpoint.upto + 1 < first_lsn_ || checkpoint.received > checkpoint.size ||
            (checkpoint.whole() && checkpoint.received != checkpoint.size) ||
            checkpoint.touched_bytes > bytes_total)
            return false;
    }
    return true;
}

void Retained::add_to(Checksummer& sum) const {
    auto add = [&](const auto& value) {
        sum.add({reinterpret_cast<const std::byte*>(&value), sizeof(value)});
    };
    add(raw(first_lsn_));
    add(policy_.bytes), add(policy_.age_ms), add(policy_.records);
    add(uint64_t{policy_.below_checkpoint});
    for (const auto& [name, cursor] : cursors_) {
        add(name.size());
        sum.add(as_bytes(name));
        add(record_of(cursor));
    }
    for (const auto& [id, checkpoint] : checkpoints_) {
        add(id);
        add(record_of(checkpoint));
    }
}

}  // namespace raftd::daemon
