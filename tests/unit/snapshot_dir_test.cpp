#include "snapshot/snapshot_dir.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/checksum.h"
#include "tests/support/memory_files.h"
#include "tests/support/memory_store.h"

namespace raftd::snapshot {
namespace {

using raftd::fakes::MemoryFiles;

ArchiveInfo archive(uint64_t after, uint64_t last) {
    ArchiveInfo info;
    info.before = {Index{after}, Term{1}, after * 7, Lsn{after + 1}, after};
    info.end = {Index{last}, Term{2}, last * 7, Lsn{last + 1}, last};
    info.content_bytes = 1000, info.file_bytes = 700;
    info.hash.fill(static_cast<uint8_t>(last));
    if (after == 0)
        info.before = {};
    else
        info.before.term = Term{2};
    return info;
}

SnapshotManifest some_manifest() {
    SnapshotManifest manifest;
    manifest.cluster_id = {1, 2};
    manifest.cluster_name = "de\"format\":2,mo";
    manifest.genesis_name = "manifest-0.json";
    manifest.genesis_hash = 0xfedcba9876543210;
    manifest.archives = {archive(0, 20), archive(20, 33)};
    manifest.at = manifest.archives.back().end;
    manifest.feature_level = 3;
    SnapshotConfig config;
    config.index = Index{17};
    config.membership.now = {{NodeId{1}, false, false, 3}, {NodeId{2}, true, true, 0}};
    config.membership.next = {{NodeId{1}, false, false, 3}};
    config.membership.leave_joint = true;
    config.infos = {{NodeId{1}, "n1", "h:1", "h:2", {3, 4}, false, 3},
                    {NodeId{2}, "n2", "h:3", "h:4", {5, 6}, true, 0}};
    manifest.configs = {config};
    manifest.used_ids = {NodeId{1}, NodeId{2}, NodeId{9}};
    manifest.state = {state_file_name(manifest.at.index), 123, {}};
    return manifest;
}

TEST(SnapshotManifest, SaysAllOfItAndReadsBack) {
    const SnapshotManifest manifest = some_manifest();
    EXPECT_EQ(manifest.name(), "manifest-33.json");
    const std::string text = encode_snapshot(manifest);
    auto back = parse_snapshot(text);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(encode_snapshot(*back), text);
    EXPECT_EQ(back->at, manifest.at);
    EXPECT_EQ(back->archives, manifest.archives);
    EXPECT_EQ(back->used_ids, manifest.used_ids);
    EXPECT_EQ(back->state, manifest.state);
    EXPECT_EQ(text.find(' '), std::string::npos);
    const std::string point =
        "{\"chain\":\"000000000000008c\",\"index\":20,\"lsn_next\":21,\"term\":2,\"timestamp_ms\":20}";
    EXPECT_NE(text.find("\"end\":" + point), std::string::npos) << text;
    ASSERT_EQ(back->configs.size(), 1u);  // B39, B40: with both halves, and as it was at S
    EXPECT_EQ(back->configs[0].membership, manifest.configs[0].membership);
    EXPECT_EQ(back->configs[0].infos[1].client, "h:4");
}

TEST(SnapshotManifest, RefusesPartsThatContradictEachOther) {
    auto refused = [](auto change) {
        SnapshotManifest manifest = some_manifest();
        change(manifest);
        return !parse_snapshot(encode_snapshot(manifest));
    };
    EXPECT_TRUE(refused([](auto& m) { m.archives.pop_back(); }));
    EXPECT_TRUE(refused([](auto& m) { m.archives.erase(m.archives.begin()), m.archives[0].end.chain++; }));
    EXPECT_TRUE(refused([](auto& m) { m.archives[1].before.chain++; }));
    EXPECT_TRUE(refused([](auto& m) { m.archives[0].before = m.archives[0].end; }));
    EXPECT_TRUE(refused([](auto& m) { m.configs.clear(); }));
    EXPECT_TRUE(refused([](auto& m) { m.configs[0].index = Index{34}; }));
    EXPECT_TRUE(refused([](auto& m) { m.configs.push_back(m.configs[0]); }));
    EXPECT_TRUE(refused([](auto& m) { m.genesis_name = "../manifest-0.json"; }));
    EXPECT_FALSE(refused([](auto& m) { m.archives.erase(m.archives.begin()); }));  // after a trim
    SnapshotManifest newer = some_manifest();
    newer.feature_level = 1000;
    EXPECT_EQ(parse_snapshot(encode_snapshot(newer)).error().code, Errc::too_new);
    std::string text = encode_snapshot(some_manifest());
    for (size_t at = 0; at < text.size(); ++at) {
        EXPECT_FALSE(parse_snapshot(text.substr(0, at)));
        std::string other = text;
        other[at] = '?';
        (void)parse_snapshot(other);  // a value, or an error: never anything else
    }
}

struct StateFileTest : ::testing::Test {
    StateFileTest() {
        files.make_dir("/s");
        store.keys = {{"f", "header"}, {"p/1", std::string(300'000, 'x')}, {"u/7", ""}};
        auto written = write_state_file(files, "/s", {Index{33}, Term{2}, 5, Lsn{9}, 7}, store);
        EXPECT_TRUE(written);
        info = *written;
    }
    MemoryFiles files;
    MemoryStore store;
    StateFileInfo info;
};

TEST_F(StateFileTest, HoldsAllKeysInOrder) {
    EXPECT_EQ(info.name, "state-33");
    auto file = StateFile::open(files, "/s", info);
    ASSERT_TRUE(file) << file.error().what;
    EXPECT_EQ(file->at().lsn_next, Lsn{9});
    EXPECT_EQ((*file->mark())->applied, file->at());
    std::map<std::string, std::string> keys;
    EXPECT_TRUE(file->for_each([&](auto key, auto value) { keys.emplace(key, value); }));
    EXPECT_EQ(keys, store.keys);
}

TEST_F(StateFileTest, IsRefusedWithAnyOtherByte) {
    store.keys = {{"f", "header"}, {"u/7", ""}};
    info = *write_state_file(files, "/s", {Index{33}, Term{2}, 5, Lsn{9}, 7}, store);
    const std::string whole = files.content("/s/state-33");
    for (size_t at = 0; at < whole.size(); ++at) {
        std::string bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
        files.put("/s/state-33", bytes);
        auto file = StateFile::open(files, "/s", info);
        ASSERT_FALSE(file);
        EXPECT_NE(file.error().what.find("/s/state-33 at byte 0"), std::string::npos);
        (void)StateFile::parse(bytes, "x");
        files.put("/s/state-33", whole.substr(0, at));
        EXPECT_FALSE(StateFile::open(files, "/s", info));
        // Cut between two keys it is a shorter state: only its hash tells.
        (void)StateFile::parse(whole.substr(0, at), "x");
    }
    EXPECT_EQ(StateFile::open(files, "/s", {"state-34", 1, {}}).error().code, Errc::not_found);
}

// A state of tens of MiB is read at any time, by a scrub or for another member: the file's bytes once, and no
// second copy of them beside.
TEST_F(StateFileTest, IsHeldOnceWhileItIsRead) {
    for (int i = 0; i < 512; ++i) store.keys["a/" + std::to_string(1000 + i)] = std::string(128u << 10, 'x');
    info = *write_state_file(files, "/s", {Index{33}, Term{2}, 5, Lsn{9}, 7}, store);
    const auto in_status = [](const std::string& name) {
        std::ifstream status("/proc/self/status");
        for (std::string line; std::getline(status, line);)
            if (line.starts_with(name)) return std::stoull(line.substr(name.size())) << 10;
        return 0ull;
    };
    ASSERT_TRUE(std::ofstream("/proc/self/clear_refs") << "5") << "the peak can't be begun anew";
    const auto before = in_status("VmRSS:");
    auto file = StateFile::open(files, "/s", info);
    ASSERT_TRUE(file) << file.error().what;
    EXPECT_LT(in_status("VmHWM:"), before + info.bytes * 3 / 2);
}

TEST_F(StateFileTest, BoundsItsLengthsAndWantsOrder) {
    const std::string head = files.content("/s/state-33").substr(0, sizeof(StateFileHeader));
    auto key = [](uint32_t key_bytes, uint32_t value_bytes, std::string_view bytes) {
        std::string text(reinterpret_cast<const char*>(&key_bytes), 4);
        return text.append(reinterpret_cast<const char*>(&value_bytes), 4).append(bytes);
    };
    EXPECT_TRUE(StateFile::parse(head + key(1, 1, "ab"), "x"));
    for (const std::string& bad : {key(1, 1, "ab") + key(1, 1, "ab"), key(1, 0, "b") + key(1, 0, "a"),
                                   key(UINT32_MAX, 0, "a"), key(1, UINT32_MAX, "a"), key(1, 2, "ab")}) {
        auto file = StateFile::parse(head + bad, "x");
        ASSERT_FALSE(file);
        EXPECT_NE(file.error().what.find("x at byte"), std::string::npos);
    }
}

// A crash leaves what CURRENT doesn't lead to; a start removes that and nothing else.
TEST(SnapshotDir, RemovesLeftoversOnly) {
    MemoryFiles files;
    files.make_dir("/s");
    Current current;
    current.snapshot = some_manifest();
    current.name = current.snapshot->name();
    current.genesis_name = "manifest-0.json";
    std::set<std::string> kept{"CURRENT", "manifest-0.json", current.name, "state-33", "mine.txt"};
    for (const ArchiveInfo& info : current.snapshot->archives) kept.insert(info.name());
    for (const std::string& name : kept) files.put("/s/" + name, "x");
    ArchiveInfo other = archive(33, 40);
    for (const std::string& name : {std::string("manifest-20.json"), std::string("state-20"), other.name(),
                                    std::string("archive.tmp"), std::string("CURRENT.tmp")})
        files.put("/s/" + name, "x");
    auto removed = remove_leftovers(files, "/s", current);
    ASSERT_TRUE(removed);
    EXPECT_EQ(*removed, 5u);
    int error = 0;
    const auto names = files.list("/s", error);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), kept);
}

}  // namespace
}  // namespace raftd::snapshot
