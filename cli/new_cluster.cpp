#include "cli/new_cluster.h"

#include <algorithm>
#include <cstring>

#include "base/checksum.h"
#include "cli/unfinished.h"
#include "snapshot/restore.h"
#include "snapshot/restored_state.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

constexpr uint64_t kReadBytes = 8u << 20;
constexpr const char* kChooseAnother = "choose another folder with --into DIR";

wal::Options log_of(const snapshot::DataDir& dir) {
    wal::Options options;
    options.dir = dir.path + "/wal";
    options.cluster_id = dir.identity.cluster_id;
    options.incarnation = dir.identity.incarnation;
    options.base = dir.base;
    return options;
}

/// The newest configuration, and the highest id of all that ever were.
Result<void> take_members(const wal::Recovered& log, Survivor& into) {
    into.config = snapshot::configuration_at(into.dir.current, into.dir.base.index);
    NodeId highest = into.dir.identity.id;
    auto note = [&](const snapshot::Configuration& config) {
        for (const auto& [id, info] : config.infos) highest = std::max(highest, id);
    };
    note(into.config);
    for (const auto& found : log.configs) {
        auto config = snapshot::decode_configuration(found.index, found.body);
        if (!config)
            return error(Errc::damaged, into.dir.path + ": the membership entry " +
                                            std::to_string(raw(found.index)) + " can't be read");
        note(*config);
        if (config->index >= into.config.index) into.config = std::move(*config);
    }
    into.next_id = highest + 1;
    return {};
}

Result<void> check_belongs(const Survivor& into) {
    if (into.config.infos.contains(into.dir.identity.id)) return {};
    return error(Errc::conflict,
                 into.dir.path + ": " + into.dir.identity.name + " was removed from its cluster by entry " +
                     std::to_string(raw(into.config.index)) + ", so its log may end before the others'",
                 "take the data directory of a member that belonged to the cluster to the end");
}

/// Gives the entries their chain behind `at`. Only the header's last field changes.
LogPoint chain_anew(MutableBytes entries, LogPoint at) {
    for (size_t offset = 0; offset < entries.size();) {
        EntryHeader header;
        std::memcpy(&header, entries.data() + offset, sizeof header);
        header.chain = chain_after(at.chain, header);
        std::memcpy(entries.data() + offset, &header, sizeof header);
        at = point_after(header);
        offset += encoded_bytes(header);
    }
    return at;
}

/// The only member of the new cluster.
snapshot::GenesisMember new_member(const Survivor& survivor, const NewCluster& cluster) {
    snapshot::GenesisMember member = survivor.self();
    member.id = survivor.next_id;
    member.incarnation = cluster.incarnation;
    member.learner = false;
    return member;
}

snapshot::Manifest manifest_of(const Survivor& survivor, const NewCluster& cluster) {
    snapshot::Manifest manifest = survivor.dir.manifest;
    manifest.cluster_id = cluster.id;
    manifest.chain_before = survivor.dir.base.chain;
    manifest.min_members = 0;  // one member is all there is
    manifest.members = {new_member(survivor, cluster)};
    return manifest;
}

/// The entry that ends all the old configurations: the one new member, voting.
std::vector<std::byte> configuration_entry(const snapshot::GenesisMember& member, const LogPoint& before) {
    snapshot::Manifest manifest;
    manifest.members = {member};
    snapshot::Configuration config = snapshot::genesis_configuration(manifest);
    std::vector<std::byte> body = snapshot::encode_configuration(config.membership, config.infos);
    EntryHeader header{};
    header.kind = EntryKind::membership;
    header.body_bytes = static_cast<uint32_t>(body.size());
    header.body_checksum = checksum(body);
    finish_header(header, before, before.term, before.timestamp_ms);
    std::vector<std::byte> entry(sizeof header);
    std::memcpy(entry.data(), &header, sizeof header);
    entry.insert(entry.end(), body.begin(), body.end());
    return entry;
}

}  // namespace

Result<Survivor> look_at_members(io::Files& files, const std::string& data_dir) {
    Survivor survivor;
    TRY(dir, snapshot::inspect(files, data_dir));
    survivor.dir = std::move(dir);
    TRY(walk, wal::LogWalk::open(files, log_of(survivor.dir)));
    survivor.last = walk.found().last;
    TRY_VOID(take_members(walk.found(), survivor));
    return survivor;
}

namespace {

/// Archives and state, read whole, and what they say of ids and records.
Result<void> check_snapshot(io::Files& files, const std::function<bool(size_t)>& go_on, Survivor& into) {
    TRY(saved, snapshot::Saved::open_folder(files, into.dir.path + "/snapshot"));
    TRY_VOID(saved.verify(go_on));
    TRY(first, snapshot::first_lsn(saved));
    TRY(lowest, snapshot::next_id(saved));
    into.first_lsn =
        std::max(first, saved.snapshot().begin().lsn_next);  // a trim behind S frees archives too
    into.next_id = std::max(into.next_id, lowest);
    return {};
}

}  // namespace

Result<Survivor> examine_survivor(io::Files& files, const std::string& data_dir,
                                  const std::function<bool(size_t archive)>& go_on) {
    Survivor survivor;
    TRY(dir, snapshot::inspect(files, data_dir));
    survivor.dir = std::move(dir);
    if (survivor.dir.manifest.restored() && !survivor.dir.current.snapshot)
        return error(Errc::conflict,
                     data_dir + ": what its cluster was restored with never came to it, so it has no log",
                     "take the data directory of a member that had caught up");
    TRY(walk, wal::LogWalk::open(files, log_of(survivor.dir)));
    survivor.last = walk.found().last;
    survivor.first_lsn = survivor.dir.base.lsn_next;
    survivor.notes = walk.notes();
    TRY_VOID(take_members(walk.found(), survivor));
    TRY_VOID(check_belongs(survivor));
    if (survivor.dir.current.snapshot) TRY_VOID(check_snapshot(files, go_on, survivor));
    walk.seek(survivor.dir.base.index);  // before it archives have it all
    for (;;) {
        TRY(entries, walk.next(kReadBytes));
        if (entries.empty()) return survivor;
    }
}

namespace {

/// The data directory but for its log; returns where that begins.
Result<LogPoint> make_beginning(io::Files& files, const Survivor& survivor, const NewCluster& cluster,
                                const std::string& into) {
    if (!survivor.dir.current.snapshot) {
        const snapshot::Manifest manifest = manifest_of(survivor, cluster);
        TRY_VOID(snapshot::create(files, into, manifest, survivor.next_id));
        return snapshot::genesis_point(manifest);
    }
    TRY(saved, snapshot::Saved::open_folder(files, survivor.dir.path + "/snapshot"));
    snapshot::RestorePlan plan;
    plan.cluster_id = cluster.id;
    plan.cluster_name = survivor.dir.identity.cluster_name;
    plan.members = {new_member(survivor, cluster)};
    plan.go_on = [&] { return cluster.go_on(survivor.dir.base.index); };
    TRY(made, snapshot::make_restored(files, into, saved, plan, survivor.next_id));
    return made.snapshot.at;
}

Result<void> make_data(io::Files& files, const Survivor& survivor, const NewCluster& cluster,
                       const std::string& into) {
    TRY(base, make_beginning(files, survivor, cluster, into));
    wal::Options options;
    options.dir = into + "/wal";
    options.cluster_id = cluster.id;
    options.incarnation = cluster.incarnation;
    options.base = base;
    options.salt_seed = cluster.salt_seed;
    wal::LogMaker maker(files, options, {survivor.last.term, NodeId{}});
    TRY(walk, wal::LogWalk::open(files, log_of(survivor.dir)));
    walk.seek(survivor.dir.base.index);
    for (;;) {
        TRY(entries, walk.next(kReadBytes));
        if (entries.empty()) break;
        chain_anew(entries.writable(), maker.end());
        TRY_VOID(maker.append(entries.view()));
        if (!cluster.go_on(maker.end().index)) return error(Errc::failed, "interrupted; nothing was made");
    }
    if (maker.end().index != survivor.last.index)
        return error(Errc::conflict, survivor.dir.path + " changed while it was read");
    if (survivor.config.index > survivor.dir.base.index)
        TRY_VOID(maker.append(configuration_entry(new_member(survivor, cluster), maker.end())));
    return maker.finish();
}

}  // namespace

std::string unfinished(const NewCluster& cluster) { return unfinished_name(cluster.folder); }

Result<void> make_new_cluster(io::Files& files, const Survivor& survivor, const NewCluster& cluster) {
    TRY_VOID(begin_unfinished(files, cluster.folder, "recover", kChooseAnother));
    cluster.begun();
    const std::string temporary = unfinished(cluster), member = temporary + "/" + survivor.dir.identity.name;
    TRY_VOID(make_dir(files, member));
    TRY_VOID(write_text(files, member, "raftd.toml", cluster.member_toml));
    TRY_VOID(make_data(files, survivor, cluster, member + "/data"));
    TRY_VOID(write_text(files, temporary, "cluster.toml", cluster.cluster_toml));
    return finish_unfinished(files, cluster.folder, {member}, kChooseAnother);
}

}  // namespace raftd::cli
