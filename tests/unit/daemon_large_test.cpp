// Offsets beyond 4 GiB, in sparse files of the real file system: nothing is read by fewer bits than its
// format has.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>

#include "base/checksum.h"
#include "io/asio/loop.h"
#include "snapshot/archive_reader.h"
#include "snapshot/saved.h"
#include "tests/support/archive_log.h"
#include "wal/make.h"
#include "wal/whole.h"

namespace raftd {
namespace {

constexpr uint64_t kFourGiB = 1ull << 32;

struct Silent final : LogSink {
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

struct Large : testing::Test {
    std::string folder = testing::TempDir() + "raftd-large-XXXXXX";
    Silent silent;
    std::unique_ptr<io::asio::Loop> loop;

    Large() {
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        loop = std::make_unique<io::asio::Loop>(io::asio::LoopOptions{.data_dir = folder}, silent);
    }
    ~Large() override {
        loop.reset();
        std::filesystem::remove_all(folder);
    }
    io::Files& files() { return loop->world().files; }
    void put(const std::string& path, uint64_t offset, ByteView bytes) {
        int error = 0;
        const bool there = std::filesystem::exists(path);
        const io::FileId file =
            files().open(path, there ? io::OpenMode::read_write : io::OpenMode::create_new, error);
        ASSERT_EQ(error, 0);
        ASSERT_EQ(files().write(file, offset, bytes).bytes, bytes.size());
        files().close(file);
    }
    template <class T>
    void put_block(const std::string& path, uint64_t offset, const T& value) {
        std::vector<std::byte> block(wal::kBlockBytes);
        std::memcpy(block.data(), &value, sizeof value);
        put(path, offset, block);
    }
    wal::Options log_options(const LogPoint& base = {}) const {
        wal::Options options;
        options.dir = folder + "/wal";
        options.cluster_id = {1, 2};
        options.incarnation = {3, 4};
        options.base = base;
        options.segment_bytes = options.first_segment_bytes = 1u << 20;
        return options;
    }
    /// Without the gigabytes that nobody wrote.
    uint64_t bytes_on_disk() const {
        uint64_t blocks = 0;
        for (const auto& each : std::filesystem::recursive_directory_iterator(folder)) {
            struct stat seen {};
            if (::stat(each.path().c_str(), &seen) == 0 && S_ISREG(seen.st_mode))
                blocks += static_cast<uint64_t>(seen.st_blocks);
        }
        return blocks * 512;
    }
};

ArchiveLog some_log(const LogPoint& before, uint64_t entries, uint64_t bytes_each) {
    ArchiveLog log(before);
    Random random(9);
    log.random(random, entries, bytes_each);
    return log;
}

/// A sealed segment whose last group lies behind 4 GiB of a file, with the footer behind it; and the next
/// one.
struct SparseSegment {
    static constexpr uint64_t kGroupAt = kFourGiB + (1u << 20);
    ArchiveLog log = some_log({Index{9000}, Term{2}, 55, Lsn{8000}, 1'700'000'000'000}, 50, 400);
    wal::Segment segment;

    void write(Large& test, const wal::Options& options) {
        const LogPoint base{Index{1000}, Term{2}, 5, Lsn{900}, 1'600'000'000'000};
        const wal::SegmentKey key{1, 99};
        const std::string path = wal::segment_path(options.dir, 1);
        wal::GroupHeader group{};
        group.magic_version = wal::kGroupMagic;
        group.segment_id = key.id;
        group.group_number = 7;
        group.file_offset = kGroupAt;
        group.durable_group = 6;
        group.hard = {3, {Term{2}, NodeId{1}}};
        group.before = log.before;
        group.chain_after = log.end.chain;
        group.entry_count = static_cast<uint32_t>(log.points.size());
        const uint64_t bytes = wal::kGroupHeaderBytes + log.bytes.size();
        group.group_bytes = static_cast<uint32_t>(wal::whole_blocks(bytes));
        sign(group, key);
        segment.key = key;
        segment.base = base;
        segment.end = segment.logical_end = log.end;
        segment.end_offset = kGroupAt + group.group_bytes;
        segment.last_group = 7;
        wal::SegmentIndex index;
        index.runs = {{Term{2}, base.index + 1}};
        if (log.end.term != Term{2}) index.runs.push_back({log.end.term, log.end.index});
        index.marks = {{log.before, kGroupAt + wal::kGroupHeaderBytes, kGroupAt}};
        const auto footer = wal::encode_footer(key.id, log.end, index);
        const wal::FooterPlace place{segment.end_offset, footer.size(), checksum(footer, key.salt)};
        const uint64_t file_bytes = segment.end_offset + wal::kBlockBytes;
        std::filesystem::create_directory(options.dir);
        const auto header =
            wal::make_segment_header(options, key, base, nullptr, {3, {Term{2}, NodeId{1}}}, file_bytes);
        test.put_block(path, 0, header);
        test.put_block(path, wal::kSealAt, wal::make_seal(segment, place, 2, log.end.index + 1));
        test.put(path, kGroupAt, ByteView(reinterpret_cast<const std::byte*>(&group), sizeof group));
        test.put(path, kGroupAt + wal::kGroupHeaderBytes, log.bytes);
        test.put(path, place.offset, footer);
        test.put(path, file_bytes - 1, std::vector<std::byte>(1));
        const wal::SegmentKey next{2, 98};
        const auto after_it = wal::make_segment_header(options, next, log.end, &segment,
                                                       {4, {log.end.term, NodeId{1}}}, 1u << 20);
        test.put_block(wal::segment_path(options.dir, 2), 0, after_it);
        test.put(wal::segment_path(options.dir, 2), (1u << 20) - 1, std::vector<std::byte>(1));
    }
};

TEST_F(Large, ASegmentIsReadBehindFourGiB) {
    wal::Options options = log_options({Index{1000}, Term{2}, 5, Lsn{900}, 1'600'000'000'000});
    SparseSegment made;
    made.write(*this, options);
    EXPECT_LT(bytes_on_disk(), 2u << 20);
    auto found = wal::open(loop->world(), options);
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->last, made.log.end);
    EXPECT_LT(found->report.bytes_read, 4u << 20) << "footers, not groups";
    EXPECT_GT(found->wal->bytes(), kFourGiB);
    using By = wal::ReadRequest::By;
    const LogPoint& at = made.log.points[20];
    for (const auto& [by, value] :
         std::vector<std::pair<By, uint64_t>>{{By::index, raw(at.index)},
                                              {By::lsn, raw(made.log.end.lsn_next) - 1},
                                              {By::time_ms, at.timestamp_ms}}) {
        const wal::ReadResult got = found->wal->read_now({by, value, 1u << 20, Index{UINT64_MAX}});
        ASSERT_EQ(got.code, wal::ReadCode::ok) << got.what;
        const uint64_t from = raw(got.first) - raw(made.log.before.index) - 1;
        const uint64_t begin = from == 0 ? 0 : made.log.ends[from - 1];
        EXPECT_EQ(as_text(got.entries.view()), as_text(made.log.view().subspan(begin)));
        EXPECT_EQ(got.after, made.log.end);
    }
}

TEST_F(Large, DamageBehindFourGiBIsNamedByItsOffset) {
    wal::Options options = log_options({Index{1000}, Term{2}, 5, Lsn{900}, 1'600'000'000'000});
    SparseSegment made;
    made.write(*this, options);
    const uint64_t place = SparseSegment::kGroupAt + wal::kGroupHeaderBytes;
    put(wal::segment_path(options.dir, 1), place + 50, as_bytes("rot"));
    auto found = wal::open(loop->world(), options);
    ASSERT_TRUE(found) << found.error().what;
    const wal::ReadResult got =
        found->wal->read_now({wal::ReadRequest::By::index, 9001, 1u << 20, Index{UINT64_MAX}});
    EXPECT_EQ(got.code, wal::ReadCode::damaged);
    EXPECT_NE(got.what.find("at byte " + std::to_string(place)), std::string::npos) << got.what;
}

// An archive is at most 128 MiB, so that it lies behind 4 GiB of a save only.
TEST_F(Large, AnArchiveIsReadBehindFourGiBOfASave) {
    const ArchiveLog log = some_log({Index{9000}, Term{2}, 55, Lsn{8000}, 1'700'000'000'000}, 2000, 600);
    snapshot::ArchiveWriter writer(folder, log.before, 1);
    ASSERT_TRUE(writer.add(files(), log.view()));
    auto info = writer.finish(files());
    ASSERT_TRUE(info) << info.error().what;
    std::string archive;
    ASSERT_EQ(io::read_file(files(), folder + "/" + info->name(), 64u << 20, archive).error, 0);

    const std::string path = folder + "/save";
    constexpr uint64_t kBeforeBytes = kFourGiB + 512;
    put(path, 0, snapshot::tar_header("before", kBeforeBytes, 0));
    uint64_t at = snapshot::kTarBlockBytes + kBeforeBytes;
    put(path, at, snapshot::tar_header(info->name(), archive.size(), 0));
    at += snapshot::kTarBlockBytes;
    put(path, at, as_bytes(archive));
    at += archive.size() + snapshot::tar_padding(archive.size());
    put(path, at + snapshot::kTarEndBytes - 1, std::vector<std::byte>(1));
    EXPECT_LT(bytes_on_disk(), 2 * archive.size() + (1u << 20));

    auto tar =
        snapshot::TarFiles::open(files(), path, [](std::string_view) { return snapshot::kTarFileBytesMax; });
    ASSERT_TRUE(tar) << tar.error().what;
    EXPECT_EQ((*tar)->sizes().at("before"), kBeforeBytes);
    auto read = snapshot::verify_archive(**tar, path, info->name());
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(*read, *info);
}

// State files have a bound below that: a larger one is refused before memory is taken for it.
TEST_F(Large, AStateFileOfMoreThanItsBoundIsRefused) {
    put(folder + "/state-7", kFourGiB + 100, as_bytes("x"));
    auto file = snapshot::StateFile::open(files(), folder, {"state-7", kFourGiB + 101, {}});
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().what.find("state-7"), std::string::npos) << file.error().what;
}

}  // namespace
}  // namespace raftd
