// The long logs that scripts/bench-scale measures are what a member writes: real recovery takes one, and
// every record of it is there, in archives and segments, once.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/uuid.h"
#include "daemon/state.h"
#include "io/asio/loop.h"
#include "snapshot/archive_reader.h"
#include "snapshot/leveldb_store.h"
#include "tests/bench/long_log.h"
#include "wal/whole.h"

namespace raftd::bench {
namespace {

struct Unheard final : LogSink {
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

struct LongLogTest : testing::Test {
    std::string folder = testing::TempDir() + "raftd-long-XXXXXX", path;
    Unheard unheard;

    LongLogTest() {
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        path = folder + "/data";
        io::asio::Loop loop({.data_dir = folder}, unheard);
        snapshot::Manifest manifest;
        manifest.cluster_id = {1, 2};
        manifest.cluster_name = "long";
        manifest.feature_level = 3;
        manifest.members.push_back(
            {NodeId{1}, "n1", "h:1", "h:2", snapshot::genesis_incarnation({1, 2}, NodeId{1}), false, 0});
        auto made = snapshot::create(loop.world().files, path, manifest, NodeId{1});
        EXPECT_TRUE(made) << made.error().what;
        auto dir = snapshot::inspect(loop.world().files, path);
        auto log = wal::create_first(loop.world().files, options_of(*dir));
        EXPECT_TRUE(log) << log.error().what;
    }
    ~LongLogTest() override { std::filesystem::remove_all(folder); }

    wal::Options options_of(const snapshot::DataDir& dir) const {
        wal::Options options;
        options.dir = path + "/wal";
        options.cluster_id = dir.identity.cluster_id;
        options.incarnation = dir.identity.incarnation;
        options.base = dir.base;
        options.first_segment_bytes = 1u << 20;
        return options;
    }

    /// Checks place and bytes of the records in these entries.
    void take(ByteView entries, const LongLog& wanted) {
        EntryCursor cursor(entries);
        while (const EntryHeader* header = cursor.next()) {
            if (header->kind != EntryKind::batch) continue;
            ASSERT_EQ(header->lsn_first, next_lsn);
            ASSERT_EQ(header->timestamp_ms, wanted.first_ms + header->index);
            RecordReader records(*header, cursor.body());
            std::string text(wanted.record_bytes, '\0');
            for (; auto record = records.next(); ++next_lsn) {
                fill_record(next_lsn, text.data(), text.size());
                ASSERT_EQ(as_text(*record), text);
            }
        }
        EXPECT_EQ(cursor.remaining(), 0u);
    }
    void read_archives(io::Files& files, const snapshot::DataDir& dir, const LongLog& wanted) {
        for (const auto& archive : dir.current.snapshot->archives) {
            auto reader = snapshot::ArchiveReader::open(files, path + "/snapshot/" + archive.name());
            ASSERT_TRUE(reader) << reader.error().what;
            EXPECT_EQ(reader->info(), archive);
            for (size_t frame = 0; frame < reader->frames().size(); ++frame) {
                auto content = reader->content(frame);
                ASSERT_TRUE(content) << content.error().what;
                take(*content, wanted);
            }
        }
    }
    /// The whole directory, as a start and as a reader sees it.
    void expect_whole(const LongLog& wanted, const LongLogMade& made) {
        io::asio::Loop loop({.data_dir = folder}, unheard);
        io::Files& files = loop.world().files;
        auto dir = snapshot::inspect(files, path);
        ASSERT_TRUE(dir) << dir.error().what;
        if (made.archives != 0) read_archives(files, *dir, wanted);
        EXPECT_EQ(next_lsn, made.archived_records + 1);
        auto walk = wal::LogWalk::open(files, options_of(*dir));
        ASSERT_TRUE(walk) << walk.error().what;
        EXPECT_EQ(raw(walk->found().last.index), made.entries);
        EXPECT_EQ(raw(walk->found().last.lsn_next), made.records + 1);
        walk->seek(dir->base.index);
        for (;;) {
            auto entries = walk->next(1u << 20);
            ASSERT_TRUE(entries) << entries.error().what;
            if (entries->size() == 0) break;
            take(entries->view(), wanted);
        }
        EXPECT_EQ(next_lsn, wanted.records + 1);
        auto store = snapshot::LevelDbMaker(path + "/state").open();
        ASSERT_TRUE(store) << store.error().what;
        auto state = daemon::State::load({}, **store);
        ASSERT_TRUE(state) << state.error().what;
        EXPECT_EQ(raw(state->applied()), made.entries - wanted.unstored);
        if (wanted.unstored == 0) {
            EXPECT_EQ(state->digest(), made.digest);
        }
    }

    uint64_t next_lsn = 1;
};

TEST_F(LongLogTest, SegmentsAloneHoldAllRecords) {
    const LongLog wanted{.records = 100'000, .segment_bytes = 4u << 20};
    auto made = make_long_log(path, wanted);
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(made->records, wanted.records);
    EXPECT_EQ(made->archives, 0u);
    expect_whole(wanted, *made);
}

TEST_F(LongLogTest, ArchivesAndSegmentsHoldAllRecordsTogether) {
    const LongLog wanted{.records = 100'000,
                         .batch_records = 1,
                         .archived = 0.5,
                         .unstored = 1000,
                         .producers = 100,
                         .segment_bytes = 4u << 20};
    auto made = make_long_log(path, wanted);
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(made->archives, 1u) << "of 65,536 entries each";
    EXPECT_EQ(made->producers, 100u);
    expect_whole(wanted, *made);
    EXPECT_FALSE(make_long_log(path, wanted)) << "it has entries";
}

}  // namespace
}  // namespace raftd::bench
