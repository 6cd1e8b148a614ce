// Makes logs for tests of the replicated state: finished headers with their bodies, as a leader would.
#pragma once

#include <vector>

#include "base/checksum.h"
#include "base/codec.h"
#include "daemon/state.h"

namespace raftd::daemon {

struct LoggedEntry {
    EntryHeader header;
    std::vector<std::byte> body;
};

/// Entries in order behind `end`.
class StateLog {
public:
    LogPoint end;
    uint64_t now_ms = 1000;
    Term term{1};

    LoggedEntry add(EntryKind kind, std::vector<std::byte> body, EntryHeader draft = {}) {
        draft.kind = kind;
        draft.body_bytes = static_cast<uint32_t>(body.size());
        if (draft.body_checksum == 0) draft.body_checksum = checksum(body);
        finish_header(draft, end, term, now_ms);
        end = point_after(draft);
        return {draft, std::move(body)};
    }
    LoggedEntry open(std::string name = {}, std::vector<uint64_t> expire = {}, uint64_t id = 0) {
        return add(EntryKind::producer,
                   encode_producer({ProducerEntry::Op::open, id, 0, std::move(name), std::move(expire)}));
    }
    LoggedEntry close(uint64_t id, uint32_t epoch) {
        return add(EntryKind::producer, encode_producer({ProducerEntry::Op::close, id, epoch, {}, {}}));
    }
    /// A batch as the state sees it: its header only.
    LoggedEntry batch(uint64_t producer, uint32_t epoch, uint64_t sequence, uint32_t records = 1) {
        EntryHeader draft{};
        draft.record_count = records;
        draft.producer = producer;
        draft.producer_epoch = epoch;
        draft.sequence = sequence;
        draft.body_checksum = sequence * 7919 + producer;
        return add(EntryKind::batch, {}, draft);
    }
    LoggedEntry feature(uint32_t level) {
        ByteWriter body;
        body.put(level);
        return add(EntryKind::feature, body.take());
    }
    LoggedEntry trim(uint64_t before, TrimEntry::Reason reason = TrimEntry::Reason::asked) {
        return add(EntryKind::trim, encode_trim({reason, Lsn{before}}));
    }
    LoggedEntry retention(const RetentionEntry& entry) {
        return add(EntryKind::retention, encode_retention(entry));
    }
    LoggedEntry cursor(const std::string& name, uint64_t lsn, bool hold = false,
                       uint64_t hold_bytes_max = 0) {
        return add(EntryKind::cursor,
                   encode_cursor({CursorEntry::Op::set, hold, Lsn{lsn}, hold_bytes_max, name}));
    }
    LoggedEntry advance(const std::string& name, uint64_t lsn) {
        return add(EntryKind::cursor, encode_cursor({CursorEntry::Op::advance, false, Lsn{lsn}, 0, name}));
    }
    LoggedEntry remove_cursor(const std::string& name) {
        return add(EntryKind::cursor, encode_cursor({CursorEntry::Op::remove, false, Lsn{}, 0, name}));
    }
    LoggedEntry begin(uint64_t upto, uint64_t size) {
        return add(EntryKind::checkpoint_begin, encode_checkpoint_begin({Lsn{upto}, size, {}}));
    }
    LoggedEntry chunk(uint64_t id, uint64_t offset, uint64_t bytes) {
        std::vector<std::byte> data(bytes);
        return add(EntryKind::checkpoint_chunk, encode_checkpoint_chunk({id, offset, data}));
    }
    LoggedEntry commit(uint64_t id) {
        return add(EntryKind::checkpoint_commit, encode_checkpoint_commit(id));
    }
    /// A batch that nobody numbered, of so many records.
    LoggedEntry records(uint32_t count, uint32_t body_bytes = 0) {
        EntryHeader draft{};
        draft.record_count = count;
        return add(EntryKind::batch, std::vector<std::byte>(body_bytes), draft);
    }
    LoggedEntry members(const std::vector<uint64_t>& ids) {
        Configuration config = configuration(ids);
        return add(EntryKind::membership, encode_configuration(config.membership, config.infos));
    }
    /// Of voters with these ids, in order.
    static Configuration configuration(const std::vector<uint64_t>& ids) {
        Configuration config;
        for (uint64_t id : ids) {
            config.membership.now.push_back({.id = NodeId{id}});
            MemberInfo& info = config.infos[NodeId{id}];
            info.id = NodeId{id};
            info.name = "n" + std::to_string(id);
        }
        return config;
    }
};

inline Effects apply(State& state, const LoggedEntry& entry) { return state.apply(entry.header, entry.body); }

}  // namespace raftd::daemon
