// A machine with a save, a new cluster made of it, and what a whole one must look like.
#pragma once

#include "cli/restored_cluster.h"
#include "daemon/members.h"
#include "sim/machine.h"
#include "snapshot/archive_reader.h"
#include "tests/support/saved_cluster.h"
#include "wal/whole.h"

namespace raftd::cli {

using snapshot::RestoreUpto;
using snapshot::Saved;
using snapshot::SavedCluster;

inline const SavedCluster& source() {
    static SavedCluster cluster;
    return cluster;
}

/// A machine with the save and nothing else.
inline sim::SimStorage machine_with_save(const SavedCluster& from = source()) {
    sim::SimStorage storage;
    sim::SimFiles files(storage);
    SavedCluster cluster = SavedCluster();
    storage.make_dir("/member");
    cluster.put_snapshot(files, "/member");
    snapshot::put_file(files, "/save", snapshot::tar_of(snapshot::files_of_save(files, "/member")));
    EXPECT_EQ(cluster.log.end, from.log.end);
    storage.sync_dir("/");
    return storage;
}

inline RestoredCluster plan(size_t members = 3, size_t here = SIZE_MAX) {
    RestoredCluster cluster;
    cluster.folder = "/new";
    cluster.spec.name = "fresh";
    cluster.spec.id = {7, 8};
    for (uint64_t i = 1; i <= members; ++i) {
        const std::string name = "m" + std::to_string(i);
        const bool local = here == SIZE_MAX || here == i;
        cluster.spec.members.push_back({.id = NodeId{6 + i},
                                        .name = name,
                                        .peer = "h:1",
                                        .client = "h:2",
                                        .http = {},
                                        .data = local ? name : ""});
    }
    cluster.cluster_toml = "members";
    return cluster;
}

inline Result<snapshot::Restored> restore(io::Files& files, RestoredCluster cluster,
                                          std::optional<RestoreUpto> upto = {}) {
    TRY(saved, Saved::open(files, "/save"));
    TRY_VOID(saved.verify());
    if (upto) {
        TRY(cut, snapshot::find_cut(saved, *upto));
        cluster.cut = cut;
    }
    return make_restored_cluster(files, saved, cluster);
}

inline daemon::State state_of(io::Files& files, const snapshot::DataDir& dir) {
    auto file = snapshot::StateFile::open(files, dir.path + "/snapshot", dir.current.snapshot->state);
    EXPECT_TRUE(file) << file.error().what;
    auto state = daemon::State::load(source().limits, *file);
    EXPECT_TRUE(state) << state.error().what;
    return std::move(*state);
}

/// All records of its archives, each read with chain and body checked, and joined to the one before.
inline std::map<uint64_t, std::string> records_of(io::Files& files, const snapshot::DataDir& dir) {
    std::map<uint64_t, std::string> records;
    const snapshot::SnapshotManifest& manifest = *dir.current.snapshot;
    for (const snapshot::ArchiveInfo& archive : manifest.archives) {
        auto verified = snapshot::verify_archive(files, dir.path + "/snapshot", archive.name());
        EXPECT_TRUE(verified) << verified.error().what;
        auto reader = snapshot::ArchiveReader::open(files, dir.path + "/snapshot/" + archive.name());
        if (!reader) continue;
        EXPECT_EQ(reader->info(), archive);
        for (size_t frame = 0; frame < reader->frames().size(); ++frame) {
            auto content = reader->content(frame);
            EXPECT_TRUE(content);
            EntryCursor cursor(*content);
            while (const EntryHeader* header = cursor.next()) {
                if (header->kind != EntryKind::batch) continue;
                RecordReader in(*header, cursor.body());
                for (uint64_t lsn = header->lsn_first; auto record = in.next(); ++lsn)
                    records[lsn] = as_text(*record);
            }
        }
    }
    return records;
}

/// The member's directory is one that a start takes: genesis, snapshot, state and empty log agree.
inline snapshot::DataDir expect_whole(io::Files& files, const std::string& path, const LogPoint& end) {
    auto dir = snapshot::inspect(files, path);
    EXPECT_TRUE(dir) << dir.error().what;
    if (!dir) return {};
    EXPECT_EQ(dir->base, snapshot::genesis_point(dir->manifest));
    EXPECT_EQ(dir->base.index, end.index);
    EXPECT_EQ(dir->base.term, end.term);
    EXPECT_EQ(dir->base.lsn_next, end.lsn_next);
    EXPECT_EQ(dir->base.timestamp_ms, end.timestamp_ms);
    EXPECT_EQ(dir->manifest.chain_before, end.chain);
    EXPECT_NE(dir->base.chain, end.chain);
    EXPECT_EQ(dir->base.chain, checksum(as_bytes(snapshot::encode_manifest(dir->manifest))));
    wal::Options options;
    options.dir = path + "/wal";
    options.cluster_id = dir->identity.cluster_id;
    options.incarnation = dir->identity.incarnation;
    options.base = dir->base;
    auto walk = wal::LogWalk::open(files, options);
    EXPECT_TRUE(walk) << walk.error().what;
    if (walk) {
        EXPECT_EQ(walk->found().last, dir->base);
        EXPECT_EQ(walk->found().hard, (HardState{end.term, NodeId{}}));
    }
    return std::move(*dir);
}

}  // namespace raftd::cli
