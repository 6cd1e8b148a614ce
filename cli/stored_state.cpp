#include "cli/stored_state.h"

#include "cli/command.h"

namespace raftd::cli {
namespace {

/// False: the key or its value can't be read.
bool take(StoredState& into, std::string_view key, std::string_view value) {
    if (key == snapshot::kStateHeaderKey) {
        if (auto header = snapshot::decode_header(value)) {
            into.header = *header;
            return true;
        }
    } else if (auto id = snapshot::number_in(key, snapshot::kProducerKeys)) {
        if (auto found = snapshot::decode_producer_record(value)) {
            into.producers.push_back({*id, found->record, std::string(found->name)});
            return true;
        }
    } else if (snapshot::number_in(key, snapshot::kAnswerKeys)) {
        if (snapshot::decode_answers(value)) return true;
    } else if (auto used = snapshot::number_in(key, snapshot::kUsedIdKeys)) {
        into.used_ids.push_back(*used);
        return true;
    } else if (auto index = snapshot::number_in(key, snapshot::kConfigKeys)) {
        into.configs.push_back(*index);
        return true;
    } else if (auto first = snapshot::number_in(key, snapshot::kArchiveMarkKeys)) {
        if (auto mark = snapshot::decode_archive_mark(value)) {
            into.marks.emplace_back(*first, *mark);
            return true;
        }
    } else if (key == snapshot::kRetentionKey) {
        if (snapshot::decode_retention_record(value)) return true;
    } else if (auto cursor = snapshot::cursor_in(key)) {
        if (snapshot::decode_cursor_record(value)) {
            into.cursors.emplace_back(*cursor);
            return true;
        }
    } else if (auto begun = snapshot::number_in(key, snapshot::kCheckpointKeys)) {
        if (snapshot::decode_checkpoint_record(value)) {
            into.checkpoints.push_back(*begun);
            return true;
        }
    }
    return false;
}

}  // namespace

Result<StoredState> read_stored(const snapshot::Store& store) {
    TRY(mark, store.mark());
    if (!mark) return error(Errc::not_found, "the store is empty");
    StoredState found;
    found.mark = *mark;
    std::string unknown;
    TRY_VOID(store.for_each([&](std::string_view key, std::string_view value) {
        if (unknown.empty() && !take(found, key, value)) unknown = key;
    }));
    if (!unknown.empty())
        return error(Errc::damaged, "the key " + printable(unknown) + " or its value can't be read");
    return found;
}

}  // namespace raftd::cli
