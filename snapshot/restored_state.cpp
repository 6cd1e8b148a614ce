#include "snapshot/restored_state.h"

#include "snapshot/configuration.h"
#include "snapshot/state_format.h"

namespace raftd::snapshot {
namespace {

Error bad(const Saved& saved, std::string_view why) {
    return error(Errc::damaged, saved.path() + "/" + saved.snapshot().state.name + ": " + std::string(why));
}

uint64_t content_bytes(const std::vector<ArchiveInfo>& archives) {
    uint64_t bytes = 0;
    for (const ArchiveInfo& archive : archives) bytes += archive.content_bytes;
    return bytes;
}

bool is_kind(std::string_view key, char kind) { return key.size() >= 2 && key[0] == kind && key[1] == '/'; }

/// A checkpoint is kept when all of it lies before the cut; uploads aren't gone on with.
bool keeps_checkpoint(std::string_view value, const LogPoint& at) {
    const std::optional<CheckpointRecord> record = decode_checkpoint_record(value);
    return record && record->committed != 0 && record->committed <= raw(at.index);
}

/// Drops what stands behind the cut, and producers and cursors, whose places there nobody kept. `bytes_gone`:
/// encoded, of the entries behind the cut.
Result<void> cut_back(const Saved& saved, const LogPoint& at, uint64_t bytes_gone, KeptState& state) {
    const std::string open = state_key(kArchiveMarkKeys, raw(saved.snapshot().at.index) + 1);
    auto found = state.keys.find(open);
    std::optional<ArchiveMarkRecord> mark;
    if (found != state.keys.end()) mark = decode_archive_mark(found->second);
    if (!mark || mark->bytes_before < bytes_gone) return bad(saved, "it doesn't say where its archives end");
    std::erase_if(state.keys, [&](const auto& item) {
        const auto& [key, value] = item;
        if (is_kind(key, kProducerKeys) || is_kind(key, kAnswerKeys) || cursor_in(key)) return true;
        if (auto first = number_in(key, kArchiveMarkKeys)) return *first > raw(at.index);
        return is_kind(key, kCheckpointKeys) && !keeps_checkpoint(value, at);
    });
    state.keys[state_key(kArchiveMarkKeys, raw(at.index) + 1)] =
        encode_archive_mark({raw(at.lsn_next), at.timestamp_ms, mark->bytes_before - bytes_gone});
    auto header = decode_header(state.keys.at(std::string(kStateHeaderKey)));
    header->answers_given = 0;
    state.keys[std::string(kStateHeaderKey)] = encode_header(*header);
    return {};
}

}  // namespace

Result<void> KeptState::for_each(
    const std::function<void(std::string_view key, std::string_view value)>& visit) const {
    for (const auto& [key, value] : keys) visit(key, value);
    return {};
}

Result<Lsn> first_lsn(const Saved& saved) {
    TRY(file, saved.state());
    std::optional<RetentionRecord> record;
    TRY_VOID(file.for_each([&](std::string_view key, std::string_view value) {
        if (key == kRetentionKey) record = decode_retention_record(value);
    }));
    if (!record) return bad(saved, "it doesn't say which record is the first");
    return Lsn{record->first_lsn};
}

Result<KeptState> restored_state(const Saved& saved, const RestorePlan& plan,
                                 const std::vector<ArchiveInfo>& archives) {
    TRY(file, saved.state());
    KeptState state;
    TRY_VOID(file.for_each([&](std::string_view key, std::string_view value) {
        if (!is_kind(key, kConfigKeys)) state.keys.emplace(key, value);
    }));
    auto found = state.keys.find(std::string(kStateHeaderKey));
    std::optional<StateHeader> header;
    if (found != state.keys.end()) header = decode_header(found->second);
    if (!header) return bad(saved, "a state of another format");
    if (header->archive_entries != 0 || header->feature_level != saved.snapshot().feature_level)
        return bad(saved, "it doesn't stand at the end of an archive, or at another feature level");
    const LogPoint at = plan.cut ? plan.cut->at : saved.snapshot().at;
    if (plan.cut)
        TRY_VOID(
            cut_back(saved, at, content_bytes(saved.snapshot().archives) - content_bytes(archives), state));
    Configuration config;
    for (const GenesisMember& member : plan.members) {
        config.membership.now.push_back(
            {.id = member.id, .learner = member.learner, .priority = member.priority});
        config.infos.emplace(member.id, member);
        state.keys[state_key(kUsedIdKeys, raw(member.id))] = "";
    }
    const std::vector<std::byte> body = encode_configuration(config.membership, config.infos);
    state.keys[state_key(kConfigKeys, raw(at.index))] = as_text(body);
    return state;
}

}  // namespace raftd::snapshot
