// Indices, LSNs and terms around 2^63: logs, archives, manifests and the replicated state go on through it.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/uuid.h"
#include "daemon/state.h"
#include "io/asio/loop.h"
#include "snapshot/archive_reader.h"
#include "snapshot/saved.h"
#include "tests/support/archive_log.h"
#include "tests/support/memory_store.h"
#include "tests/support/state_log.h"
#include "wal/make.h"
#include "wal/whole.h"

namespace raftd {
namespace {

constexpr uint64_t kHalf = 1ull << 63;
/// Some entries below 2^63, so that a few hundred go beyond.
const LogPoint kNearHalf{Index{kHalf - 300}, Term{kHalf - 5}, 77, Lsn{kHalf - 200}, 1'700'000'000'000};

struct HalfSilent final : LogSink {
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

struct Half : testing::Test {
    std::string folder = testing::TempDir() + "raftd-half-XXXXXX";
    HalfSilent silent;
    std::unique_ptr<io::asio::Loop> loop;

    Half() {
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        loop = std::make_unique<io::asio::Loop>(io::asio::LoopOptions{.data_dir = folder}, silent);
    }
    ~Half() override {
        loop.reset();
        std::filesystem::remove_all(folder);
    }
    io::Files& files() { return loop->world().files; }
    wal::Options log_options(const LogPoint& base = {}) const {
        wal::Options options;
        options.dir = folder + "/wal";
        options.cluster_id = {1, 2};
        options.incarnation = {3, 4};
        options.base = base;
        options.segment_bytes = options.first_segment_bytes = 1u << 20;
        return options;
    }
};

ArchiveLog half_log(const LogPoint& before, uint64_t entries, uint64_t bytes_each) {
    ArchiveLog log(before);
    Random random(9);
    log.random(random, entries, bytes_each);
    return log;
}

TEST_F(Half, ALogGoesOnThroughTwoToThe63) {
    const ArchiveLog log = half_log(kNearHalf, 1000, 300);
    ASSERT_GT(raw(log.end.index), kHalf);
    ASSERT_GT(raw(log.end.lsn_next), kHalf);
    ASSERT_GT(raw(log.end.term), kHalf);
    wal::Options options = log_options(kNearHalf);
    options.segment_bytes = 64u << 10;
    wal::LogMaker maker(files(), options, {log.end.term, NodeId{kHalf + 1}});
    for (size_t at = 0; at < log.ends.size(); ++at) {
        const uint64_t from = at == 0 ? 0 : log.ends[at - 1];
        auto added = maker.append(log.view().subspan(from, log.ends[at] - from));
        ASSERT_TRUE(added) << added.error().what;
    }
    ASSERT_TRUE(maker.finish());
    auto found = wal::open(loop->world(), options);
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->last, log.end);
    EXPECT_EQ(found->hard, (HardState{log.end.term, NodeId{kHalf + 1}}));
    EXPECT_GT(found->report.segments, 3u);
    using By = wal::ReadRequest::By;
    for (size_t at = 1; at < log.points.size(); at += 7) {
        const LogPoint& before = log.points[at - 1];
        for (const auto& [by, value] :
             {std::pair{By::index, raw(before.index) + 1}, std::pair{By::lsn, raw(before.lsn_next)}}) {
            const wal::ReadResult got = found->wal->read_now({by, value, 1, Index{UINT64_MAX}});
            if (by == By::lsn && before.lsn_next == log.end.lsn_next) continue;
            ASSERT_EQ(got.code, wal::ReadCode::ok) << got.what;
            EXPECT_GE(got.first, before.index + 1);
            const uint64_t place = raw(got.first) - raw(log.before.index) - 1;
            EXPECT_EQ(
                as_text(got.entries.view()),
                as_text(log.view().subspan(log.ends[place - 1], log.ends[place] - log.ends[place - 1])));
        }
    }
}

TEST_F(Half, AnArchiveAndAManifestGoThroughTwoToThe63) {
    const ArchiveLog log = half_log(kNearHalf, 1000, 300);
    snapshot::ArchiveWriter writer(folder, log.before, 1);
    ASSERT_TRUE(writer.add(files(), log.view()));
    auto info = writer.finish(files());
    ASSERT_TRUE(info) << info.error().what;
    EXPECT_TRUE(snapshot::is_archive_name(info->name())) << info->name();
    auto reader = snapshot::ArchiveReader::open(files(), folder + "/" + info->name());
    ASSERT_TRUE(reader) << reader.error().what;
    std::vector<std::byte> room(64u << 10);
    for (size_t at = 1; at < log.points.size(); at += 13) {
        auto got = reader->read({snapshot::ArchiveSeek::By::index, raw(log.points[at].index)}, room);
        ASSERT_TRUE(got) << got.error().what;
        EXPECT_EQ(got->first, log.points[at].index);
        EXPECT_EQ(got->before, log.points[at - 1]);
    }
    snapshot::SnapshotManifest manifest;
    manifest.cluster_id = {1, 2};
    manifest.cluster_name = "large";
    manifest.genesis_name = "manifest-0.json";
    manifest.archives = {*info};
    manifest.at = info->end;
    manifest.feature_level = 3;
    snapshot::SnapshotConfig config;
    config.index = kNearHalf.index;
    config.membership.now = {{NodeId{kHalf + 1}, false, false, 0}};
    config.infos = {{NodeId{kHalf + 1}, "n1", "h:1", "h:2", {3, 4}, false, 0}};
    manifest.configs = {config};
    manifest.used_ids = {NodeId{kHalf + 1}};
    manifest.state = {snapshot::state_file_name(manifest.at.index), 123, {}};
    auto back = snapshot::parse_snapshot(snapshot::encode_snapshot(manifest));
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->at, manifest.at);
    EXPECT_EQ(back->archives, manifest.archives);
    EXPECT_EQ(back->configs[0].index, kNearHalf.index);
    EXPECT_EQ(back->configs[0].membership, config.membership);
    EXPECT_EQ(back->used_ids, manifest.used_ids);
    EXPECT_TRUE(snapshot::is_state_file_name(back->state.name));
}

TEST_F(Half, TheReplicatedStateGoesThroughTwoToThe63) {
    const daemon::StateLimits limits{.producers_max = 8,
                                     .answers_each_max = 50,
                                     .answers_all_max = 200,
                                     .archive = {.bytes = 1u << 20, .entries = 64}};
    daemon::StateLog log;
    log.end = kNearHalf;
    log.term = kNearHalf.term;
    log.now_ms = kNearHalf.timestamp_ms;
    daemon::State state(limits, log.end, 3);
    auto apply = [&](const daemon::LoggedEntry& entry) { return state.apply(entry.header, entry.body); };
    const uint64_t first = apply(log.open("first")).producer_id;
    EXPECT_EQ(first, raw(kNearHalf.index) + 1);
    for (uint64_t i = 1; i <= 400; ++i) apply(log.batch(first, 1, i, 3));
    const uint64_t second = apply(log.open("second")).producer_id;
    EXPECT_GT(second, kHalf);
    for (uint64_t i = 1; i <= 40; ++i) apply(log.batch(second, 1, i, 2));
    apply(log.trim(raw(log.end.lsn_next) - 10));
    apply(log.cursor("reader", raw(log.end.lsn_next) - 5));
    EXPECT_GT(raw(state.applied()), kHalf);
    EXPECT_EQ(state.first_lsn(), log.end.lsn_next - 10);
    const daemon::Producer* producer = state.find(second);
    ASSERT_NE(producer, nullptr);
    const daemon::Answer* answer = producer->answer(40);
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer->lsn_first, raw(log.end.lsn_next) - 2);

    snapshot::MemoryStore store;
    snapshot::StoreBatch batch;
    state.take_dirty(batch);
    ASSERT_TRUE(store.write(batch));
    auto loaded = daemon::State::load(limits, store);
    ASSERT_TRUE(loaded) << loaded.error().what;
    EXPECT_EQ(loaded->digest(), state.digest());
    EXPECT_EQ(loaded->point(), log.end);
    EXPECT_EQ(loaded->find("second")->answer(40)->lsn_first, answer->lsn_first);
    auto info = snapshot::write_state_file(files(), folder, log.end, store);
    ASSERT_TRUE(info) << info.error().what;
    auto file = snapshot::StateFile::open(files(), folder, *info);
    ASSERT_TRUE(file) << file.error().what;
    EXPECT_EQ(file->at(), log.end);
    EXPECT_EQ(daemon::State::load(limits, *file)->digest(), state.digest());
}

}  // namespace
}  // namespace raftd
