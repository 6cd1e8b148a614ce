// A small cluster's log with every kind of entry that the replicated state knows, the snapshot that a member
// takes of it, and a save of that: the same for the same arguments.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "base/uuid.h"
#include "daemon/state.h"
#include "snapshot/configuration.h"
#include "snapshot/data_dir.h"
#include "snapshot/saved.h"
#include "tests/support/memory_store.h"
#include "tests/support/state_log.h"

namespace raftd::snapshot {

inline Manifest saved_genesis() {
    Manifest manifest;
    manifest.cluster_id = {0xaa, 0xbb};
    manifest.cluster_name = "demo";
    manifest.feature_level = 3;
    manifest.min_members = 2;
    for (uint64_t id = 1; id <= 3; ++id)
        manifest.members.push_back({NodeId{id}, "n" + std::to_string(id), "h:710" + std::to_string(id),
                                    "h:720" + std::to_string(id),
                                    genesis_incarnation(manifest.cluster_id, NodeId{id}), false, 0});
    return manifest;
}

struct SavedCluster {
    struct Record {
        std::string text;
        uint64_t timestamp_ms = 0;
    };
    daemon::StateLimits limits{.archive = {.entries = 20}};
    Manifest genesis = saved_genesis();
    daemon::State state{limits, genesis_point(genesis), 3, daemon::genesis_configuration(genesis)};
    daemon::StateLog log;
    std::vector<std::byte> entries;
    std::vector<LogPoint> ends;          // of archives
    std::map<uint64_t, Record> records;  // by LSN
    std::vector<uint64_t> batch_ends;    // their last LSNs

    /// `rounds` of about 13 entries each, and a cut at the end.
    explicit SavedCluster(uint64_t rounds = 6) {
        log.end = genesis_point(genesis);
        take(log.add(EntryKind::noop, {}));
        const uint64_t job = raw(log.end.index) + 1;
        take(log.open("job"));
        for (uint64_t round = 1; round <= rounds; ++round) add_round(round, job);
        write_records(1, 0, 0);
        take(log.add(EntryKind::cut, {}));
        EXPECT_EQ(state.archives().open_first(), log.end.index + 1);
    }

    void take(const daemon::LoggedEntry& entry) {
        const auto* head = reinterpret_cast<const std::byte*>(&entry.header);
        entries.insert(entries.end(), head, head + sizeof entry.header);
        entries.insert(entries.end(), entry.body.begin(), entry.body.end());
        if (daemon::apply(state, entry).archive_end) ends.push_back(log.end);
        log.now_ms += 10;
    }
    void write_records(uint32_t count, uint64_t producer, uint64_t sequence) {
        std::vector<std::string> texts;
        std::vector<ByteView> views;
        uint64_t payload = 0;
        for (uint32_t i = 0; i < count; ++i) {
            texts.push_back("record " + std::to_string(raw(log.end.lsn_next) + i));
            records[raw(log.end.lsn_next) + i] = {texts.back(), log.now_ms};
            payload += texts.back().size();
        }
        for (const std::string& text : texts) views.push_back(as_bytes(text));
        std::vector<std::byte> body(body_bytes_for(count, payload));
        encode_body(views, body);
        EntryHeader draft = draft_batch(count, body);
        draft.producer = producer;
        draft.producer_epoch = producer != 0 ? 1 : 0;
        draft.sequence = sequence;
        take(log.add(EntryKind::batch, std::move(body), draft));
        batch_ends.push_back(raw(log.end.lsn_next) - 1);
    }
    void add_round(uint64_t round, uint64_t job) {
        for (uint64_t i = 0; i < 4; ++i) write_records(static_cast<uint32_t>(1 + (round + i) % 4), 0, 0);
        for (uint64_t i = 1; i <= 3; ++i) write_records(2, job, (round - 1) * 3 + i);
        const uint64_t lsn = raw(log.end.lsn_next) - 1;
        take(log.cursor("reader" + std::to_string(round), lsn));
        const uint64_t upload = raw(log.end.index) + 1;
        take(log.begin(lsn, 4));
        take(log.chunk(upload, 0, 4));
        take(log.commit(upload));
        if (round == 2) take(log.members({1, 2, 3, 6}));
        if (round == 3) take(log.members({1, 2, 3})), log.term = Term{4};
    }

    /// Puts the snapshot at the end into the folder, as a member does.
    void put_snapshot(io::Files& files, const std::string& folder) {
        SnapshotManifest manifest;
        manifest.cluster_id = genesis.cluster_id;
        manifest.cluster_name = genesis.cluster_name;
        manifest.genesis_name = manifest_name(genesis);
        manifest.genesis_hash = genesis_point(genesis).chain;
        manifest.at = log.end;
        manifest.feature_level = state.feature_level();
        for (const auto& [index, body] : state.configs()) {
            auto config = decode_configuration(index, as_bytes(body));
            SnapshotConfig& added = manifest.configs.emplace_back();
            added = {index, config->membership, {}};
            for (const auto& [id, info] : config->infos) added.infos.push_back(info);
        }
        manifest.used_ids = state.used_ids();
        MemoryStore store;
        StoreBatch batch;
        state.all_dirty();
        state.take_dirty(batch);
        ASSERT_TRUE(store.write(batch));
        auto written = write_state_file(files, folder, log.end, store);
        ASSERT_TRUE(written) << written.error().what;
        manifest.state = *written;
        put_archives(files, folder, manifest.archives);
        ASSERT_TRUE(write_genesis(files, folder, genesis));
        auto done = put_in_force(files, folder, manifest);
        ASSERT_TRUE(done) << done.error().what;
    }
    void put_archives(io::Files& files, const std::string& folder, std::vector<ArchiveInfo>& archives) {
        LogPoint before = genesis_point(genesis);
        EntryCursor cursor(entries);
        for (const LogPoint& end : ends) {
            ArchiveWriter writer(folder, before, 1);
            while (writer.end().index < end.index) {
                ASSERT_NE(cursor.next(), nullptr);
                auto added = writer.add(files, cursor.entry());
                ASSERT_TRUE(added) << added.error().what;
            }
            auto info = writer.finish(files);
            ASSERT_TRUE(info) << info.error().what;
            archives.push_back(*info);
            before = end;
        }
    }
};

/// What CURRENT of a snapshot folder leads to, as names and contents in the order of a save.
inline std::vector<std::pair<std::string, std::string>> files_of_save(io::Files& files,
                                                                      const std::string& folder) {
    std::vector<std::pair<std::string, std::string>> found;
    auto current = read_current(files, folder);
    EXPECT_TRUE(current) << current.error().what;
    if (!current) return found;
    std::vector<std::string> names{"CURRENT", current->name, current->genesis_name,
                                   current->snapshot->state.name};
    for (const ArchiveInfo& archive : current->snapshot->archives) names.push_back(archive.name());
    for (const std::string& name : names) {
        EXPECT_EQ(
            io::read_file(files, folder + "/" + name, 64u << 20, found.emplace_back(name, "").second).error,
            0)
            << name;
    }
    return found;
}

inline std::string tar_of(const std::vector<std::pair<std::string, std::string>>& contents) {
    std::string tar;
    TarWriter writer(
        [&tar](ByteView bytes) -> Result<void> {
            tar += as_text(bytes);
            return {};
        },
        0);
    for (const auto& [name, content] : contents) {
        EXPECT_TRUE(writer.begin(name, content.size()));
        EXPECT_TRUE(writer.add(as_bytes(content)));
    }
    EXPECT_TRUE(writer.finish());
    return tar;
}

inline void put_file(io::Files& files, const std::string& path, std::string_view content) {
    int failed = 0;
    const io::FileId file = files.open(path, io::OpenMode::truncate, failed);
    ASSERT_NE(file, io::kNoFile);
    EXPECT_EQ(files.write(file, 0, as_bytes(content)).error, 0);
    EXPECT_EQ(files.sync(file).error, 0);
    files.close(file);
}

}  // namespace raftd::snapshot
