// A save as a file: what is read of it, and that whatever isn't one is refused with words and in little
// memory.
#include <gtest/gtest.h>

#include <cerrno>

#include "base/random.h"
#include "snapshot/restore.h"
#include "tests/support/hex.h"
#include "tests/support/memory_files.h"
#include "tests/support/saved_cluster.h"

namespace raftd::snapshot {
namespace {

using Contents = std::vector<std::pair<std::string, std::string>>;

struct SaveRig {
    SavedCluster cluster;
    raftd::fakes::MemoryFiles files;
    Contents contents;

    SaveRig() {
        files.make_dir("/member");
        cluster.put_snapshot(files, "/member");
        contents = files_of_save(files, "/member");
        put(tar_of(contents));
    }
    void put(const std::string& tar) { files.put("/save", tar); }
    Result<void> verified() {
        TRY(saved, Saved::open(files, "/save"));
        return saved.verify();
    }
    /// The refusal of this tar; it mustn't be taken.
    Error refusal(const std::string& tar) {
        put(tar);
        Result<void> done = verified();
        EXPECT_FALSE(done);
        return done ? Error{} : done.error();
    }
    size_t place(std::string_view name) const {
        for (size_t i = 0; i < contents.size(); ++i)
            if (contents[i].first.starts_with(name)) return i;
        ADD_FAILURE() << name;
        return 0;
    }
};

/// With one field of the first header changed, and its sum right.
std::string with_field(std::string tar, size_t header, size_t at, std::string_view bytes) {
    tar.replace(header + at, bytes.size(), bytes);
    std::fill_n(tar.begin() + static_cast<std::ptrdiff_t>(header) + 148, 8, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < kTarBlockBytes; ++i) sum += static_cast<unsigned char>(tar[header + i]);
    char digits[9];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    tar.replace(header + 148, 7, std::string(digits, 7));
    return tar;
}

TEST(Saved, ReadsBackWhatAMemberHas) {
    SaveRig rig;
    auto saved = Saved::open(rig.files, "/save");
    ASSERT_TRUE(saved) << saved.error().what;
    EXPECT_EQ(saved->snapshot().at, rig.cluster.log.end);
    EXPECT_EQ(saved->genesis().cluster_id, rig.cluster.genesis.cluster_id);
    EXPECT_GE(saved->snapshot().archives.size(), 3u);
    auto verified = saved->verify();
    EXPECT_TRUE(verified) << verified.error().what;
    auto state = saved->state();
    ASSERT_TRUE(state) << state.error().what;
    auto loaded = daemon::State::load(rig.cluster.limits, *state);
    ASSERT_TRUE(loaded) << loaded.error().what;
    EXPECT_EQ(loaded->digest(), rig.cluster.state.digest());
    EXPECT_TRUE(looks_saved(rig.files, "/save"));
    EXPECT_FALSE(looks_saved(rig.files, "/member/" + rig.contents.back().first));
    EXPECT_EQ(raw(next_id(*saved).value()), 7u) << "6 was a member for a while";
}

TEST(Saved, NothingCanBeWrittenThroughIt) {
    SaveRig rig;
    auto saved = Saved::open(rig.files, "/save");
    ASSERT_TRUE(saved);
    io::Files& files = saved->files();
    int failed = 0;
    EXPECT_EQ(files.open("/save/CURRENT", io::OpenMode::truncate, failed), io::kNoFile);
    EXPECT_EQ(failed, EROFS);
    EXPECT_EQ(files.open("/etc/passwd", io::OpenMode::read, failed), io::kNoFile);
    EXPECT_EQ(files.open("/save/../member/CURRENT", io::OpenMode::read, failed), io::kNoFile);
    EXPECT_EQ(files.remove("/save/CURRENT").error, EROFS);
    EXPECT_EQ(files.list("/", failed).size(), 0u);
}

TEST(Saved, ATarThatToolsPackedAgainIsTaken) {
    SaveRig rig;
    std::string tar = tar_of(rig.contents);
    tar = with_field(tar, 0, 257, std::string_view("ustar  \0", 8));  // GNU tar's magic
    tar = with_field(tar, 0, 100, std::string_view("0000644\0", 8));  // another mode and owner
    tar = with_field(tar, 0, 265, "root");
    tar.resize(tar.size() + 8192);  // the record filled
    rig.put(tar);
    auto done = rig.verified();
    EXPECT_TRUE(done) << done.error().what;
}

// B101: a name is one of a save's own, or there is none.
TEST(Saved, NamesThatNoSaveHasAreRefused) {
    SaveRig rig;
    for (const char* name :
         {"../CURRENT", "/etc/passwd", "a/b", ".", "..", "CURRENT/", "x", "manifest-.json",
          "manifest-../1.json", "state-", "state-1x", "1-2-zz.zst", "LOCK", "identity.toml"}) {
        std::string field(name);
        field.resize(100);
        const Error why = rig.refusal(with_field(tar_of(rig.contents), 0, 0, field));
        EXPECT_EQ(why.code, Errc::damaged) << name;
        EXPECT_NE(why.what.find("a name that no save has"), std::string::npos) << name << ": " << why.what;
    }
}

TEST(Saved, EntriesThatAreNoPlainFilesAreRefused) {
    SaveRig rig;
    const std::string tar = tar_of(rig.contents);
    for (char type : {'1', '2', '3', '4', '5', '6', '7', 'x', 'g', 'L', 'K', 'S', 'M', '\x01', '\xff'}) {
        const Error why = rig.refusal(with_field(tar, 0, 156, std::string_view(&type, 1)));
        EXPECT_EQ(why.code, Errc::damaged);
        EXPECT_NE(why.what.find("no plain file"), std::string::npos) << why.what;
    }
    EXPECT_EQ(rig.refusal(with_field(tar, 0, 157, "target")).code, Errc::damaged);
    EXPECT_EQ(rig.refusal(with_field(tar, 0, 345, "folder")).code, Errc::damaged);
}

TEST(Saved, SizesThatLieAreRefused) {
    SaveRig rig;
    const std::string tar = tar_of(rig.contents);
    for (std::string_view size :
         {std::string_view("77777777777\0", 12), std::string_view("00000000000\0", 12),
          std::string_view("00000000400\0", 12), std::string_view("-0000000001\0", 12),
          std::string_view("999999999999", 12), std::string_view("            ", 12),
          std::string_view("\x80\0\0\0\0\0\0\0\0\0\0\x10", 12),
          std::string_view("1e3\0\0\0\0\0\0\0\0\0", 12)}) {
        const Error why = rig.refusal(with_field(tar, 0, 124, size));
        EXPECT_EQ(why.code, Errc::damaged) << why.what;
    }
    std::string wrong = tar;
    wrong[150] = '7';  // of the sum
    EXPECT_NE(rig.refusal(wrong).what.find("checksum"), std::string::npos);
}

TEST(Saved, CutOffAnywhereOrWithSomethingBehindItIsRefused) {
    SaveRig rig;
    const std::string tar = tar_of(rig.contents);
    for (size_t bytes = 0; bytes < tar.size(); bytes += bytes < 2048 ? 101 : 512) {
        const Error why = rig.refusal(tar.substr(0, bytes));
        EXPECT_EQ(why.code, bytes < kTarBlockBytes ? Errc::bad_input : Errc::damaged) << bytes << why.what;
    }
    EXPECT_EQ(rig.refusal(tar + std::string(512, 'x')).code, Errc::damaged);
    EXPECT_EQ(rig.refusal(tar + std::string(4u << 20, '\0')).code, Errc::damaged);
    EXPECT_EQ(rig.refusal("#!/bin/sh\n" + std::string(4096, 'x')).code, Errc::bad_input);
}

TEST(Saved, MoreOrLessThanTheManifestNamesIsRefused) {
    SaveRig rig;
    for (size_t i = 0; i < rig.contents.size(); ++i) {
        Contents less = rig.contents;
        less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_EQ(rig.refusal(tar_of(less)).code, Errc::damaged) << i;
        Contents twice = rig.contents;
        twice.push_back(rig.contents[i]);
        EXPECT_NE(rig.refusal(tar_of(twice)).what.find("there twice"), std::string::npos) << i;
        Contents longer = rig.contents;
        longer[i].second += 'x';
        EXPECT_EQ(rig.refusal(tar_of(longer)).code, Errc::damaged) << i;
    }
    Contents more = rig.contents;
    more.emplace_back("state-7", "x");
    EXPECT_NE(rig.refusal(tar_of(more)).what.find("doesn't name"), std::string::npos);
}

TEST(Saved, AnyFlippedBitOfContentIsFound) {
    SaveRig rig;
    Random random(5);
    const std::string tar = tar_of(rig.contents);
    uint64_t padding = 0;
    for (int i = 0; i < 400; ++i) {
        std::string damaged = tar;
        const size_t at = random.below(tar.size());
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
        rig.put(damaged);
        padding +=
            rig.verified().has_value();  // behind a file, or a field that says nothing: mode, owner, time
    }
    EXPECT_LT(padding, 200u);
    for (const auto& [name, content] : rig.contents) {
        for (int i = 0; i < 40; ++i) {
            Contents damaged = rig.contents;
            std::string& bytes = damaged[rig.place(name)].second;
            const size_t at = random.below(bytes.size());
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
            EXPECT_EQ(rig.refusal(tar_of(damaged)).code, Errc::damaged) << name << " at " << at;
        }
    }
}

// A save made by an earlier version stays readable: its bytes stand in tests/support/golden/.
TEST(Saved, TheFixtureReadsBack) {
    raftd::fakes::MemoryFiles files;
    files.put("/save", std::string(as_text(read_hex("save.hex"))));
    auto saved = Saved::open(files, "/save");
    ASSERT_TRUE(saved) << saved.error().what;
    EXPECT_TRUE(saved->verify());
    EXPECT_EQ(saved->snapshot().at.lsn_next, Lsn{2});
    EXPECT_EQ(to_hex(saved->snapshot().archives[0].hash).substr(0, 8), "74b747ca");
}

// H14: an archive that is whole in itself and of another history is found by its chain.
TEST(Saved, AnArchiveOfAnotherHistoryIsFound) {
    SaveRig rig;
    SavedCluster other(2);
    raftd::fakes::MemoryFiles files;
    files.make_dir("/member");
    other.put_snapshot(files, "/member");
    Contents theirs = files_of_save(files, "/member"), mixed = rig.contents;
    mixed.back().second = theirs.back().second;
    EXPECT_EQ(rig.refusal(tar_of(mixed)).code, Errc::damaged);
    Contents swapped = rig.contents;
    std::swap(swapped.back().second, swapped[swapped.size() - 2].second);
    EXPECT_EQ(rig.refusal(tar_of(swapped)).code, Errc::damaged);
}

}  // namespace
}  // namespace raftd::snapshot
