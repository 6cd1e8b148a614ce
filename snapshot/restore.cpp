#include "snapshot/restore.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "snapshot/configuration.h"
#include "snapshot/data_dir.h"
#include "snapshot/restored_state.h"
#include "snapshot/sha256.h"
#include "snapshot/state_format.h"

namespace raftd::snapshot {
namespace {

constexpr uint64_t kCopiedAtOnceBytes = 1u << 20;

Error copy_error(std::string_view doing, const std::string& path, int number) {
    return error(Errc::io, std::string(doing) + " " + path + ": " + std::strerror(number));
}

bool keeps(const RestoreUpto& upto, const EntryHeader& header) {
    if (header.kind != EntryKind::batch || header.record_count == 0) return false;
    if (upto.by == RestoreUpto::By::time_ms) return header.timestamp_ms <= upto.value;
    return header.lsn_first + header.record_count - 1 <= upto.value;
}

/// The log behind the last batch that is kept; nothing: none in this archive is.
Result<std::optional<LogPoint>> last_kept(ArchiveReader& archive, const RestoreUpto& upto) {
    for (size_t frame = archive.frames().size(); frame-- > 0;) {
        TRY(content, archive.content(frame));
        std::optional<LogPoint> found;
        EntryCursor cursor(content);
        while (const EntryHeader* header = cursor.next())
            if (keeps(upto, *header)) found = point_after(*header);
        if (found) return found;
    }
    return std::optional<LogPoint>();
}

Result<void> check_range(const Saved& saved, const RestoreUpto& upto, Lsn first) {
    const uint64_t next = raw(saved.snapshot().at.lsn_next);
    if (upto.by != RestoreUpto::By::lsn) return {};
    if (upto.value >= next)
        return error(Errc::not_found, "record " + std::to_string(upto.value) +
                                          " is beyond the end of the save, which is " +
                                          std::to_string(next - 1));
    if (upto.value < raw(first))
        return error(Errc::not_found, "record " + std::to_string(upto.value) +
                                          " was trimmed; the first one in the save is " +
                                          std::to_string(raw(first)));
    return {};
}

/// Copies one file of the save into a folder, synced.
Result<void> copy(io::Files& files, const Saved& saved, const std::string& name, const std::string& folder,
                  const RestorePlan& plan) {
    const std::string from = saved.path() + "/" + name, to = folder + "/" + name;
    int failed = 0;
    const io::FileId source = saved.files().open(from, io::OpenMode::read, failed);
    if (source == io::kNoFile) return copy_error("can't read", from, failed);
    const io::FileId file = files.open(to, io::OpenMode::create_new, failed);
    if (file == io::kNoFile) {
        saved.files().close(source);
        return copy_error("can't make", to, failed);
    }
    std::vector<std::byte> piece(kCopiedAtOnceBytes);
    bool going = true;
    for (uint64_t at = 0; failed == 0 && going;) {
        const io::FileResult got = saved.files().read(source, at, piece);
        if (got.error != 0 || got.bytes == 0) {
            failed = got.error;
            break;
        }
        const io::FileResult put = files.write(file, at, ByteView(piece).first(got.bytes));
        failed = put.error == 0 && put.bytes != got.bytes ? ENOSPC : put.error;
        at += got.bytes;
        going = plan.go_on();
    }
    if (failed == 0 && going) failed = files.sync(file).error;
    files.close(file);
    saved.files().close(source);
    if (failed != 0) return copy_error("can't copy to", to, failed);
    if (!going) return error(Errc::failed, "interrupted; nothing was made");
    return {};
}

/// The entries of an archive up to the cut, as an archive of their own.
Result<ArchiveInfo> write_part(io::Files& files, const Saved& saved, const RestorePlan& plan,
                               const std::string& folder) {
    const Cut& cut = *plan.cut;
    TRY(source, saved.archive(cut.archives));
    ArchiveWriter writer(folder, source.info().before, plan.level);
    for (size_t frame = 0; frame < source.frames().size() && writer.end().index < cut.at.index; ++frame) {
        TRY(content, source.content(frame));
        EntryCursor cursor(content);
        uint64_t upto = 0;
        while (const EntryHeader* header = cursor.next()) {
            if (Index{header->index} > cut.at.index) break;
            upto = cursor.offset();
        }
        TRY_VOID(writer.add(files, content.first(upto)));
        if (!plan.go_on()) return error(Errc::failed, "interrupted; nothing was made");
    }
    return writer.finish(files);
}

Result<std::vector<ArchiveInfo>> put_archives(io::Files& files, const Saved& saved, const RestorePlan& plan,
                                              const std::string& folder) {
    std::vector<ArchiveInfo> archives = saved.snapshot().archives;
    if (plan.cut) archives.resize(plan.cut->archives);
    for (const ArchiveInfo& archive : archives) TRY_VOID(copy(files, saved, archive.name(), folder, plan));
    if (!plan.cut || !plan.cut->part) return archives;
    TRY(part, write_part(files, saved, plan, folder));
    archives.push_back(part);
    return archives;
}

/// One number for all that the new cluster begins with.
ContentHash content_hash(const std::vector<ArchiveInfo>& archives, const KeptState& state) {
    Sha256Hasher hasher;
    for (const ArchiveInfo& archive : archives)
        hasher.add({reinterpret_cast<const std::byte*>(archive.hash.data()), archive.hash.size()});
    for (const auto& [key, value] : state.keys) {
        const uint32_t sizes[2] = {static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
        hasher.add({reinterpret_cast<const std::byte*>(sizes), sizeof sizes});
        hasher.add(as_bytes(key));
        hasher.add(as_bytes(value));
    }
    const Sha256 sum = hasher.result();
    ContentHash hash;
    std::memcpy(hash.data(), sum.data(), hash.size());
    return hash;
}

Manifest make_genesis(const Saved& saved, const RestorePlan& plan, const LogPoint& at) {
    Manifest genesis;
    genesis.cluster_id = plan.cluster_id;
    genesis.cluster_name = plan.cluster_name;
    genesis.members = plan.members;
    genesis.at = at.id();
    genesis.lsn_next = at.lsn_next;
    genesis.chain_before = at.chain;
    genesis.feature_level = saved.snapshot().feature_level;
    genesis.timestamp_ms = at.timestamp_ms;
    return genesis;
}

/// Archives went since the snapshot was taken; a save never has such a one.
bool released(const Saved& saved) {
    const bool restored = saved.snapshot().at.index == genesis_point(saved.genesis()).index;
    return saved.snapshot().revision > (restored ? 1u : 0u);
}

/// All of the snapshot but for the state's file.
SnapshotManifest make_snapshot(const Saved& saved, const Manifest& genesis) {
    const Configuration config = genesis_configuration(genesis);
    SnapshotManifest made;
    made.cluster_id = genesis.cluster_id;
    made.cluster_name = genesis.cluster_name;
    made.genesis_name = manifest_name(genesis);
    made.genesis_hash = genesis_point(genesis).chain;
    for (const auto& seam : saved.snapshot().seams)
        if (seam.index <= genesis.at.index) made.seams.push_back(seam);
    made.seams.push_back(*seam_of(genesis));
    made.at = genesis_point(genesis);
    // 0 is the genesis' own name. Of a member's folder whose archives went by a trim behind S, which this
    // state doesn't know of, there is one more, as there was.
    made.revision = released(saved) ? 2 : 1;
    made.feature_level = genesis.feature_level;
    made.configs = {{genesis.at.index, config.membership, genesis.members}};
    made.used_ids = saved.snapshot().used_ids;
    for (const GenesisMember& member : genesis.members) made.used_ids.insert(member.id);
    return made;
}

Result<void> check_members(const Saved& saved, const RestorePlan& plan) {
    TRY(lowest, next_id(saved));
    for (const GenesisMember& member : plan.members)
        if (member.id < lowest)
            return error(Errc::bad_input, "member id " + std::to_string(raw(member.id)) +
                                              " was used in the saved cluster; new ones begin at " +
                                              std::to_string(raw(lowest)));
    return {};
}

}  // namespace

Result<NodeId> next_id(const Saved& saved) {
    NodeId highest{};
    for (NodeId id : saved.snapshot().used_ids) highest = std::max(highest, id);
    for (const GenesisMember& member : saved.genesis().members) highest = std::max(highest, member.id);
    for (const SnapshotConfig& config : saved.snapshot().configs)
        for (const GenesisMember& member : config.infos) highest = std::max(highest, member.id);
    TRY(state, saved.state());
    TRY_VOID(state.for_each([&](std::string_view key, std::string_view) {
        if (auto id = number_in(key, kUsedIdKeys)) highest = std::max(highest, NodeId{*id});
    }));
    if (raw(highest) >= uint64_t{1} << 52)
        return error(Errc::damaged, saved.path() + ": a member id that can't be");
    return highest + 1;
}

Result<Cut> find_cut(const Saved& saved, const RestoreUpto& upto) {
    TRY(first, first_lsn(saved));
    TRY_VOID(check_range(saved, upto, first));
    const SnapshotManifest& snapshot = saved.snapshot();
    for (size_t i = snapshot.archives.size(); i-- > 0;) {
        const ArchiveInfo& archive = snapshot.archives[i];
        const bool later = upto.by == RestoreUpto::By::lsn ? raw(archive.before.lsn_next) > upto.value
                                                           : archive.before.timestamp_ms > upto.value;
        if (later) continue;
        TRY(reader, saved.archive(i));
        TRY(at, last_kept(reader, upto));
        if (!at) continue;
        if (at->lsn_next <= first) break;
        if (*at == archive.end) return Cut{i + 1, snapshot.behind(*at), false};
        return Cut{i, *at, true};
    }
    return error(Errc::not_found,
                 "whole batches alone are kept, and none ends by then; the first record in the save is " +
                     std::to_string(raw(first)));
}

Result<Restored> make_restored(io::Files& files, const std::string& data_dir, const Saved& saved,
                               const RestorePlan& plan, NodeId self) {
    TRY_VOID(check_members(saved, plan));
    auto member = std::find_if(plan.members.begin(), plan.members.end(),
                               [self](const GenesisMember& some) { return some.id == self; });
    if (member == plan.members.end())
        return error(Errc::bad_input, "member " + std::to_string(raw(self)) + " isn't in the plan");
    TRY_VOID(make_folders(files, data_dir));
    const std::string folder = data_dir + "/snapshot";
    TRY(archives, put_archives(files, saved, plan, folder));
    LogPoint at = plan.cut ? plan.cut->at : saved.snapshot().at;
    Restored made{make_genesis(saved, plan, at), {}};
    TRY(state, restored_state(saved, plan, archives));
    made.genesis.content = content_hash(archives, state);
    made.snapshot = make_snapshot(saved, made.genesis);
    made.snapshot.archives = std::move(archives);
    TRY(file, write_state_file(files, folder, made.snapshot.at, state));
    made.snapshot.state = std::move(file);
    TRY_VOID(write_genesis(files, folder, made.genesis));
    TRY_VOID(put_in_force(files, folder, made.snapshot));
    TRY_VOID(finish_folders(files, data_dir,
                            {plan.cluster_id, plan.cluster_name, self, member->name, member->incarnation}));
    return made;
}

}  // namespace raftd::snapshot
