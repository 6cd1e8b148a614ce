#include "snapshot/archive.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "base/checksum.h"
#include "snapshot/archive_reader.h"
#include "tests/support/archive_log.h"
#include "tests/support/hex.h"
#include "tests/support/memory_files.h"

namespace raftd::snapshot {
namespace {

using raftd::fakes::MemoryFiles;
using By = ArchiveSeek::By;

class Archive : public ::testing::Test {
protected:
    Archive() { files.make_dir("/s"); }

    /// Archives the whole log, giving the writer `piece` entries at a time.
    ArchiveInfo write(const ArchiveLog& log, int level = 1, size_t piece = 5) {
        ArchiveWriter writer("/s", log.before, level);
        for (size_t at = 0; at < log.ends.size();) {
            const uint64_t from = at == 0 ? 0 : log.ends[at - 1];
            at = std::min(at + piece, log.ends.size());
            auto added = writer.add(files, log.view().subspan(from, log.ends[at - 1] - from));
            EXPECT_TRUE(added) << added.error().what;
        }
        auto info = writer.finish(files);
        EXPECT_TRUE(info) << info.error().what;
        return *info;
    }
    std::string path(const ArchiveInfo& info) const { return "/s/" + info.name(); }
    Result<ArchiveInfo> verify(const std::string& content, const std::string& name) {
        files.put("/s/" + name, content);
        return verify_archive(files, "/s", name);
    }

    MemoryFiles files;
};

ArchiveLog small_log() {
    ArchiveLog log({Index{16}, Term{3}, 0x1122334455667788, Lsn{9}, 1'700'000'000'000});
    log.add(EntryKind::noop, 0, {}, Term{4}, 1'700'000'000'100);
    log.batch({"hello", "", "world"}, Term{4}, 1'700'000'000'200);
    log.batch({"again"}, Term{5}, 1'700'000'000'300);
    return log;
}

ArchiveLog long_log(uint64_t entries, uint64_t bytes_each, uint64_t seed = 7) {
    ArchiveLog log({Index{1000}, Term{2}, 42, Lsn{500}, 1000});
    Random random(seed);
    log.random(random, entries, bytes_each);
    return log;
}

std::string zstd_dc(const std::string& file) {
    std::string content, piece(64 << 10, '\0');
    ZSTD_DStream* stream = ZSTD_createDStream();
    ZSTD_inBuffer in{file.data(), file.size(), 0};
    size_t state = 0;
    while (in.pos < in.size) {
        ZSTD_outBuffer out{piece.data(), piece.size(), 0};
        state = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(state)) break;
        content.append(piece.data(), out.pos);
    }
    EXPECT_EQ(state, 0u) << "not at the end of a frame";
    ZSTD_freeDStream(stream);
    return content;
}

TEST_F(Archive, GivesBackWhatWasWritten) {
    const ArchiveLog log = long_log(3000, 600);
    const ArchiveInfo info = write(log);
    EXPECT_EQ(info.before, log.before);
    EXPECT_EQ(info.end, log.end);
    EXPECT_EQ(info.content_bytes, log.bytes.size());
    EXPECT_FALSE(files.exists("/s/archive.tmp"));
    auto reader = ArchiveReader::open(files, path(info));
    ASSERT_TRUE(reader) << reader.error().what;
    EXPECT_EQ(reader->info(), info);
    EXPECT_GT(reader->frames().size(), 3u);
    EXPECT_TRUE(reader->verify());
    EXPECT_EQ(*verify_archive(files, "/s", info.name()), info);
    std::string all;
    for (size_t i = 0; i < reader->frames().size(); ++i) all += as_text(*reader->content(i));
    EXPECT_EQ(all, as_text(log.view()));
}

// What zstd -dc prints is the entries and nothing else.
TEST_F(Archive, IsAPlainZstdFileOfItsEntries) {
    const ArchiveLog log = long_log(2000, 600);
    EXPECT_EQ(zstd_dc(files.content(path(write(log)))), as_text(log.view()));
}

// Members cut what they read at other places, and may compress harder: the name must not show it (H13).
TEST_F(Archive, HasAHashOfItsEntriesAlone) {
    const ArchiveLog log = long_log(700, 900);
    const ArchiveInfo info = write(log, 1, 700);
    for (int level : {1, 3, 9}) {
        for (size_t piece : {1, 13, 700}) {
            const ArchiveInfo again = write(log, level, piece);
            EXPECT_EQ(again.name(), info.name());
            EXPECT_EQ(again.hash, info.hash);
        }
    }
    EXPECT_TRUE(is_archive_name(info.name()));
    EXPECT_NE(write(long_log(701, 900)).hash, info.hash);
}

TEST_F(Archive, IsKnownByItsName) {
    const std::string hash(32, 'a');
    EXPECT_TRUE(is_archive_name("1-20-" + hash + ".zst"));
    for (std::string_view other : {"1-20.zst", "manifest-7.json", "state-7", "CURRENT", "-1-2.zst", ""})
        EXPECT_FALSE(is_archive_name(other)) << other;
    EXPECT_FALSE(is_archive_name("1-20-" + hash + ".zst.tmp"));
    EXPECT_FALSE(is_archive_name("1--" + hash + ".zst"));
    EXPECT_FALSE(is_archive_name("1-20-" + hash + "a.zst"));
    EXPECT_FALSE(is_archive_name("../1-20-" + hash + ".zst"));
}

// A reader finds the first entry by index, LSN and time wherever it lies, compared with a plain search.
TEST_F(Archive, FindsByIndexLsnAndTime) {
    const ArchiveLog log = long_log(1500, 700);
    auto reader = ArchiveReader::open(files, path(write(log)));
    ASSERT_TRUE(reader);
    std::vector<std::byte> room(64 << 10);
    auto expect = [&](const ArchiveSeek& seek, auto&& wanted) {
        size_t at = 0;
        while (at < log.points.size() && !wanted(at)) ++at;
        auto run = reader->read(seek, room);
        ASSERT_TRUE(run) << run.error().what;
        if (at == log.points.size()) {
            EXPECT_EQ(run->bytes, 0u);
            return;
        }
        EXPECT_EQ(run->first, log.points[at].index);
        EXPECT_EQ(run->before, at == 0 ? log.before : log.points[at - 1]);
        const uint64_t from = at == 0 ? 0 : log.ends[at - 1];
        ASSERT_LE(from + run->bytes, log.bytes.size());
        EXPECT_TRUE(
            std::equal(room.begin(), room.begin() + run->bytes, log.bytes.begin() + static_cast<long>(from)));
        EXPECT_EQ(log.ends[raw(run->last) - raw(log.before.index) - 1], from + run->bytes);
    };
    Random random(3);
    for (int i = 0; i < 300; ++i) {
        const uint64_t index = 1001 + random.below(1510), lsn = 495 + random.below(3000),
                       ms = 990 + random.below(1600), bytes_max = 1 + random.below(40'000);
        expect({By::index, index, Index{UINT64_MAX}, bytes_max},
               [&](size_t at) { return raw(log.points[at].index) >= index; });
        expect({By::lsn, lsn, Index{UINT64_MAX}, bytes_max}, [&](size_t at) {
            const Lsn before = at == 0 ? log.before.lsn_next : log.points[at - 1].lsn_next;
            return log.points[at].lsn_next != before && raw(log.points[at].lsn_next) > lsn;
        });
        expect({By::time_ms, ms, Index{UINT64_MAX}, bytes_max},
               [&](size_t at) { return log.points[at].timestamp_ms >= ms; });
    }
    auto cut = reader->read({By::index, 1100, Index{1103}, 1 << 20}, room);
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->last, Index{1103});
    EXPECT_EQ(reader->read({By::index, 1100, Index{1099}, 1 << 20}, room)->bytes, 0u);
    for (size_t at = 100; at < 200; ++at) {
        const uint64_t lsn = raw(log.points[at].lsn_next) - 1;
        auto one = reader->read({By::lsn, lsn, Index{UINT64_MAX}, 1 << 20, lsn}, room);
        ASSERT_TRUE(one);
        EXPECT_EQ(one->first, one->last) << "one batch holds it";
        EXPECT_EQ(one->after, log.points[raw(one->last) - 1001]);
        EXPECT_GT(raw(one->after.lsn_next), lsn);
    }
}

TEST_F(Archive, SaysHowMuchRoomALargeEntryNeeds) {
    ArchiveLog log;
    log.batch({"small"});
    log.batch({std::string(3 << 20, 'x')});
    log.batch({"behind"});
    auto reader = ArchiveReader::open(files, path(write(log)));
    ASSERT_TRUE(reader);
    std::vector<std::byte> room(4096);
    auto run = reader->read({By::index, 2}, room);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->bytes, 0u);
    ASSERT_EQ(run->bytes_needed, log.ends[1] - log.ends[0]);
    room.resize(run->bytes_needed);
    EXPECT_EQ(reader->read({By::index, 2, Index{UINT64_MAX}, 1}, room)->bytes, room.size());
}

TEST_F(Archive, IsNotMadeOfEntriesThatDontFollow) {
    const ArchiveLog log = small_log();
    for (size_t at : {0ul, 100ul, 150ul, log.bytes.size() - 1}) {
        std::vector<std::byte> bytes = log.bytes;
        bytes[at] ^= std::byte{1};
        ArchiveWriter writer("/s", log.before, 1);
        EXPECT_FALSE(writer.add(files, bytes)) << at;
    }
    ArchiveWriter elsewhere("/s", LogPoint{}, 1);
    EXPECT_EQ(elsewhere.add(files, log.view()).error().code, Errc::damaged);
    ArchiveWriter cut("/s", log.before, 1);
    EXPECT_FALSE(cut.add(files, log.view().first(log.bytes.size() - 1)));
}

// The fixture was written once: files of today must be readable for good, and new ones say the same.
TEST_F(Archive, ReadsTheFixture) {
    const std::vector<std::byte> bytes = read_hex("archive.hex");
    const ArchiveLog log = small_log();
    const ArchiveInfo written = write(log);
    auto info = verify(std::string(as_text(bytes)), written.name());
    ASSERT_TRUE(info) << info.error().what;
    EXPECT_EQ(info->hash, written.hash);
    EXPECT_EQ(info->before, log.before);
    EXPECT_EQ(info->end, log.end);
    EXPECT_EQ(zstd_dc(std::string(as_text(bytes))), as_text(log.view()));
}

// Each byte changed in three ways: refused, by name and offset, and by every way of reading.
TEST_F(Archive, RefusesEveryChangedByte) {
    const ArchiveLog log = small_log();
    const std::string name = write(log).name(), whole = files.content("/s/" + name);
    std::vector<std::byte> room(4096);
    for (size_t at = 0; at < whole.size(); ++at) {
        for (int change : {0x01, 0x80, 0xff}) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ change);
            auto info = verify(bytes, name);
            ASSERT_FALSE(info) << "byte " << at;
            EXPECT_NE(info.error().what.find("/s/" + name), std::string::npos);
            if (info.error().code == Errc::too_new) continue;
            EXPECT_EQ(info.error().code, Errc::damaged);
            EXPECT_NE(info.error().what.find("at byte"), std::string::npos) << info.error().what;
            auto reader = ArchiveReader::open(files, "/s/" + name);
            if (!reader) continue;
            auto run = reader->read({By::index, 17}, room);
            if (run) {
                EXPECT_EQ(as_text(ByteView(room).first(run->bytes)), as_text(log.view()));
            }
        }
    }
}

TEST_F(Archive, RefusesEveryTruncation) {
    const std::string name = write(small_log()).name(), whole = files.content("/s/" + name);
    for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
        auto info = verify(whole.substr(0, bytes), name);
        ASSERT_FALSE(info) << bytes;
        EXPECT_NE(info.error().what.find("at byte"), std::string::npos);
    }
    EXPECT_FALSE(verify(whole + '\0', name));
    EXPECT_FALSE(verify(whole + whole, name));
}

// An archive whose checksums were made to fit: lengths and counts are bounded before memory is taken.
TEST_F(Archive, RefusesAnIndexThatLies) {
    const std::string name = write(small_log()).name(), whole = files.content("/s/" + name);
    ArchiveFooter footer;
    std::memcpy(&footer, whole.data() + whole.size() - sizeof footer, sizeof footer);
    const size_t header_at = whole.size() - footer.index_bytes, record_at = header_at + sizeof(ArchiveHeader);
    auto lie = [&](size_t at, uint64_t value, size_t bytes) {
        std::string file = whole;
        std::memcpy(file.data() + at, &value, bytes);
        const uint64_t sum = checksum(as_bytes(file).subspan(header_at, footer.index_bytes - 8));
        std::memcpy(file.data() + file.size() - 8, &sum, 8);
        return verify(file, name);
    };
    for (uint64_t value : {uint64_t{0}, uint64_t{1}, UINT64_MAX, uint64_t{1} << 40, uint64_t{1} << 31}) {
        EXPECT_FALSE(lie(header_at + offsetof(ArchiveHeader, content_bytes), value, 8));
        EXPECT_FALSE(lie(header_at + offsetof(ArchiveHeader, frames_bytes), value, 8));
        EXPECT_FALSE(lie(header_at + offsetof(ArchiveHeader, end), value, 8));
        EXPECT_NE(value != 1, lie(header_at + offsetof(ArchiveHeader, frame_count), value, 4).has_value());
        EXPECT_NE(value != 0, lie(record_at + offsetof(FrameRecord, offset), value, 8).has_value());
        EXPECT_FALSE(lie(record_at + offsetof(FrameRecord, packed_bytes), value, 4));
        EXPECT_FALSE(lie(record_at + offsetof(FrameRecord, content_bytes), value, 4));
        EXPECT_FALSE(lie(record_at + offsetof(FrameRecord, checksum), value, 8));
        EXPECT_FALSE(lie(record_at + offsetof(FrameRecord, before), value, 8));
    }
}

// A frame that would unpack to far more than the index says.
TEST_F(Archive, RefusesAFrameThatUnpacksToMore) {
    const std::string name = write(small_log()).name();
    std::string file = files.content("/s/" + name);
    ArchiveHeader header;
    FrameRecord record;
    ArchiveFooter footer;
    std::memcpy(&footer, file.data() + file.size() - sizeof footer, sizeof footer);
    const size_t header_at = file.size() - footer.index_bytes;
    std::memcpy(&header, file.data() + header_at, sizeof header);
    std::memcpy(&record, file.data() + header_at + sizeof header, sizeof record);
    std::vector<char> zeros(20 << 20), bomb(ZSTD_compressBound(zeros.size()));
    bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), zeros.data(), zeros.size(), 1));
    for (uint64_t claimed : {uint64_t{3000}, uint64_t{100} << 10}) {
        header.content_bytes = record.content_bytes = static_cast<uint32_t>(claimed);
        header.frames_bytes = record.packed_bytes = static_cast<uint32_t>(bomb.size());
        record.checksum = checksum(as_bytes({bomb.data(), bomb.size()}));
        std::string index(reinterpret_cast<const char*>(&header), sizeof header);
        index.append(reinterpret_cast<const char*>(&record), sizeof record);
        index.append(reinterpret_cast<const char*>(&footer), 16);
        const uint64_t sum = checksum(as_bytes(index));
        index.append(reinterpret_cast<const char*>(&sum), 8);
        const uint32_t skip[2] = {kSkippableMagic, static_cast<uint32_t>(index.size())};
        auto info = verify(std::string(bomb.data(), bomb.size()) +
                               std::string(reinterpret_cast<const char*>(skip), 8) + index,
                           name);
        ASSERT_FALSE(info);
        EXPECT_NE(info.error().what.find("at byte 0"), std::string::npos) << info.error().what;
    }
}

// The disk fails at every operation: an error, never a file under an archive's name that isn't whole.
TEST_F(Archive, IsNamedOnlyWhenWhole) {
    const ArchiveLog log = small_log();
    const std::string name = write(log).name();
    bool done = false;
    for (uint64_t changes = 0; !done; ++changes) {
        files = MemoryFiles();
        files.make_dir("/s");
        files.sync_dir("/");
        files.changes_left = changes;
        ArchiveWriter writer("/s", log.before, 1);
        auto added = writer.add(files, log.view());
        done = added && writer.finish(files) && files.sync_dir("/s").error == 0;
        files.power_cut();
        EXPECT_EQ(files.exists("/s/" + name), done);
    }
    EXPECT_TRUE(verify_archive(files, "/s", name));
}

}  // namespace
}  // namespace raftd::snapshot
