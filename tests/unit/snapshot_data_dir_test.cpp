#include "snapshot/data_dir.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/codec.h"
#include "base/uuid.h"
#include "sim/files.h"
#include "snapshot/boots.h"
#include "snapshot/identity.h"
#include "tests/support/memory_files.h"

namespace raftd::snapshot {
namespace {

using raftd::fakes::MemoryFiles;
const ClusterId kCluster{0x6f1c000000000001u, 0x8000000000000002u};

Manifest three_members() {
    Manifest manifest;
    manifest.cluster_id = kCluster;
    manifest.cluster_name = "demo";
    for (uint64_t id = 1; id <= 3; ++id) {
        std::string name = "n" + std::to_string(id), port = std::to_string(7100 + id);
        manifest.members.push_back({NodeId{id}, name, "127.0.0.1:" + port, "127.0.0.1:7201",
                                    genesis_incarnation(kCluster, NodeId{id}), id == 3, 0});
    }
    return manifest;
}

// Several machines run init apart and must begin from the same bytes, or their chains never agree.
TEST(Manifest, IsTheSameBytesEverywhereAndReadsBack) {
    std::string text = encode_manifest(three_members());
    EXPECT_EQ(text, encode_manifest(three_members()));
    EXPECT_EQ(text.find(' '), std::string::npos);
    auto back = parse_manifest(text);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(encode_manifest(*back), text);
    EXPECT_EQ(genesis_point(*back).chain, checksum(as_bytes(text)));
    EXPECT_EQ(genesis_point(*back).lsn_next, Lsn{1});
    Membership members = membership_of(*back);
    ASSERT_EQ(members.now.size(), 3u);
    EXPECT_FALSE(members.now[0].learner);
    EXPECT_TRUE(members.now[2].learner);
}

// Directories of before these keys were there begin with the chain that their bytes give.
TEST(Manifest, WritesTheBoundsOfItsMembersOnlyWhenThereAreSome) {
    Manifest manifest = three_members();
    EXPECT_EQ(encode_manifest(manifest).find("m_members"), std::string::npos);
    uint64_t chain = genesis_point(manifest).chain;
    manifest.min_members = 2;
    manifest.max_members = 5;
    auto back = parse_manifest(encode_manifest(manifest));
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->min_members, 2u);
    EXPECT_EQ(back->max_members, 5u);
    EXPECT_NE(genesis_point(*back).chain, chain);
}

TEST(Manifest, KeepsNumbersThatJsonReadersRound) {
    Manifest manifest = three_members();
    manifest.at = {Term{7}, Index{65536}};
    manifest.chain_before = 0xfedcba9876543211u;
    auto back = parse_manifest(encode_manifest(manifest));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->chain_before, manifest.chain_before);
    EXPECT_EQ(back->at, manifest.at);
}

TEST(Manifest, RefusesWhatItWouldNotWrite) {
    std::string text = encode_manifest(three_members());
    EXPECT_FALSE(parse_manifest(text.substr(0, text.size() - 1)));
    EXPECT_FALSE(parse_manifest(" " + text));
    EXPECT_FALSE(parse_manifest("{}"));
    EXPECT_FALSE(parse_manifest("[1,2"));
    std::string newer = text;
    newer.replace(newer.find("\"format\":1"), 10, "\"format\":2");
    EXPECT_EQ(parse_manifest(newer).error().code, Errc::too_new);
}

// Directories made before feature levels keep their bytes, and so the chain that their log begins with.
TEST(Manifest, SaysItsFeatureLevelOnlyAboveTheFirst) {
    EXPECT_EQ(encode_manifest(three_members()).find("feature_level"), std::string::npos);
    Manifest manifest = three_members();
    manifest.feature_level = 2;
    std::string text = encode_manifest(manifest);
    auto back = parse_manifest(text);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->feature_level, 2u);
    EXPECT_EQ(parse_manifest(encode_manifest(three_members()))->feature_level, 1u);
    text.replace(text.find("\"feature_level\":2"), 17, "\"feature_level\":1");
    EXPECT_FALSE(parse_manifest(text));  // not what would be written
    manifest.feature_level = 1000;
    auto newer = parse_manifest(encode_manifest(manifest));
    ASSERT_FALSE(newer);
    EXPECT_EQ(newer.error().code, Errc::too_new);
    EXPECT_NE(newer.error().what.find("feature level 1000"), std::string::npos);
}

// printf '%s:1' CLUSTER_ID | sha256sum gives the same first 32 digits: a reader of the docs can check it.
TEST(Incarnation, IsTheShaOfClusterAndMember) {
    EXPECT_EQ(to_hex(genesis_incarnation(ClusterId{}, NodeId{1})), "ed093ea075616cca2b4946b1e8121e74");
    EXPECT_NE(genesis_incarnation(kCluster, NodeId{1}), genesis_incarnation(kCluster, NodeId{2}));
}

TEST(DataDir, InspectingChangesNothing) {
    MemoryFiles files;
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{2}));
    for (int i = 0; i < 2; ++i) {
        auto seen = inspect(files, "/data");
        ASSERT_TRUE(seen) << seen.error().what;
        EXPECT_EQ(seen->boots.mine.number, 0u);
    }
    EXPECT_EQ(open(files, "/data", 7)->boots.mine.number, 1u);
    EXPECT_EQ(inspect(files, "/data")->boots.mine, (Boot{1, 7}));
}

TEST(DataDir, IsMadeOnceAndOpensWithARisingBoot) {
    MemoryFiles files;
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{2}));
    auto first = open(files, "/data", 11);
    ASSERT_TRUE(first) << first.error().what;
    EXPECT_EQ(first->identity.name, "n2");
    EXPECT_EQ(first->identity.cluster_id, kCluster);
    EXPECT_EQ(first->identity.incarnation, genesis_incarnation(kCluster, NodeId{2}));
    EXPECT_EQ(first->boots.mine, (Boot{1, 11}));
    EXPECT_EQ(first->base, genesis_point(three_members()));
    files.power_cut();
    auto second = open(files, "/data", 12);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->boots.mine, (Boot{2, 12}));
    auto again = create(files, "/data", three_members(), NodeId{2});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::conflict);
}

TEST(DataDir, RemembersTheBootsOfPeers) {
    MemoryFiles files;
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
    Boots boots;
    boots.mine = {5, 50};
    boots.peers[NodeId{2}] = {9, 90};
    boots.peers[NodeId{3}] = {1, 10};
    ASSERT_TRUE(write_boots(files, "/data", boots));
    files.power_cut();
    auto found = open(files, "/data", 60);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->boots.mine, (Boot{6, 60}));
    EXPECT_EQ(found->boots.peers, boots.peers);
}

// Who is put back to an old image has other starts behind it than its peers saw, whatever its number is by
// now.
TEST(DataDir, RemembersTheStartsBeforeTheLast) {
    MemoryFiles files;
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
    for (uint64_t nonce = 1; nonce <= 4; ++nonce) ASSERT_TRUE(open(files, "/data", nonce * 11));
    auto found = open(files, "/data", 55);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->boots.mine, (Boot{5, 55}));
    EXPECT_EQ(found->boots.before, (std::vector<uint64_t>{44, 33, 22, 11}));
    for (uint64_t nonce = 0; nonce < Boots::kBeforeMax + 10; ++nonce) found = open(files, "/data", nonce);
    EXPECT_EQ(found->boots.before.size(), Boots::kBeforeMax);
}

// A directory of the first format has none of them.
TEST(DataDir, BootsOfTheFirstFormatAreRead) {
    ByteWriter writer;
    for (uint32_t word : {0x544f4f42u, 1u}) writer.put(word);
    for (uint64_t word : {5u, 50u, 1u, 2u, 9u, 90u}) writer.put(word);
    writer.put(checksum(writer.view()));
    auto boots = parse_boots(writer.view());
    ASSERT_TRUE(boots) << boots.error().what;
    EXPECT_EQ(boots->boots.mine, (Boot{5, 50}));
    EXPECT_EQ(boots->boots.peers.at(NodeId{2}), (Boot{9, 90}));
    EXPECT_TRUE(boots->boots.before.empty());
    EXPECT_EQ(boots->version, 0u);
    // The next write makes the file anew, with room for two copies.
    MemoryFiles files;
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
    files.put("/data/boots", std::string(as_text(writer.view())));
    auto opened = open(files, "/data", 60);
    ASSERT_TRUE(opened) << opened.error().what;
    EXPECT_EQ(opened->boots.mine, (Boot{6, 60}));
    EXPECT_EQ(inspect(files, "/data")->boots.mine, (Boot{6, 60}));
    EXPECT_EQ(files.content("/data/boots").size() % 8192, 0u);
}

Boots some_boots() {
    Boots boots;
    boots.mine = {5, 50};
    boots.before = {40, 30};
    boots.peers[NodeId{2}] = {9, 90};
    return boots;
}

// Rot in one copy costs nothing, in both it is damage: a start never forgets its number.
TEST(DataDir, OneGoodCopyOfTheBootsIsEnough) {
    const std::vector<std::byte> good = encode_boots(some_boots(), 7);
    const size_t half = good.size() / 2;
    uint64_t survived = 0;
    for (size_t at = 0; at < half; ++at) {
        std::vector<std::byte> bad = good;
        bad[at] ^= std::byte{4};
        auto one = parse_boots(bad);
        ASSERT_TRUE(one) << at << ": " << one.error().what;
        EXPECT_EQ(one->boots.mine, (Boot{5, 50}));
        survived += one->copies == 1;
        bad[at + half] ^= std::byte{4};
        auto both = parse_boots(bad);
        EXPECT_EQ(!both, one->copies == 1) << at;
    }
    EXPECT_GT(survived, 100u) << "the rest is padding";
    for (size_t bytes = 0; bytes < good.size(); ++bytes)
        EXPECT_FALSE(parse_boots(ByteView(good).first(bytes))) << bytes;
}

// B74, and the greeting of a peer that was started again: both write this file.
TEST(DataDir, AFullDiskHasRoomForTheBoots) {
    sim::SimStorage storage;
    sim::SimFiles files(storage);
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
    storage.set_room(0);
    for (uint64_t nonce = 1; nonce <= 2 * Boots::kBeforeMax; ++nonce) {
        auto opened = open(files, "/data", nonce);
        ASSERT_TRUE(opened) << nonce << ": " << opened.error().what;
        EXPECT_EQ(opened->boots.mine, (Boot{nonce, nonce}));
    }
}

// One copy is whole at any time, and what was returned is durable.
TEST(DataDir, APowerCutWhileBootsAreWrittenLeavesTheOldOrTheNew) {
    Random random(1);
    uint64_t olds = 0, news = 0;
    for (uint64_t cut = 1; cut <= 16; ++cut)
        for (int tries = 0; tries < 25; ++tries) {
            sim::SimStorage storage;
            sim::SimFiles files(storage);
            ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
            ASSERT_TRUE(write_boots(files, "/data", some_boots()));
            Boots newer = some_boots();
            newer.mine = {6, 60};
            const uint64_t before = storage.calls();
            storage.fault = [&](uint64_t number, const sim::DiskCall&) {
                return sim::Verdict{.cut_power = number == before + cut};
            };
            bool done = false;
            try {
                done = write_boots(files, "/data", newer).has_value();
            } catch (const sim::ProcessEnded&) {
            }
            storage.fault = nullptr;
            storage.crash(random, sim::CrashPolicy::draw(random));
            sim::SimFiles after(storage);
            auto found = inspect(after, "/data");
            ASSERT_TRUE(found) << "cut at call " << cut << ": " << found.error().what;
            const bool is_new = found->boots.mine == newer.mine;
            EXPECT_TRUE(is_new || found->boots.mine == some_boots().mine);
            EXPECT_TRUE(is_new || !done);
            EXPECT_EQ(found->boots.peers, newer.peers);
            (is_new ? news : olds) += 1;
        }
    EXPECT_GT(olds, 50u);
    EXPECT_GT(news, 50u);
}

// A killed process or a power cut at any step of making leaves nothing, a directory called half-made, or a
// whole one: never damage, and never one that looks ready but isn't.
TEST(DataDir, CrashWhileMakingIsCalledHalfMade) {
    for (bool power : {false, true}) {
        bool made = false;
        uint64_t half_made = 0;
        for (uint64_t changes = 0; !made; ++changes) {
            MemoryFiles files;
            files.changes_left = changes;
            made = create(files, "/data", three_members(), NodeId{1}).has_value();
            files.changes_left = UINT64_MAX;
            if (power) files.power_cut();
            auto found = open(files, "/data", 1);
            ASSERT_TRUE(found || !made) << found.error().what;
            if (found) continue;
            half_made += found.error().code == Errc::conflict;
            EXPECT_TRUE(found.error().code == Errc::conflict || found.error().code == Errc::not_found)
                << changes << ": " << found.error().what;
            ASSERT_LT(changes, 100u);
        }
        EXPECT_TRUE(power || half_made > 10) << half_made;
    }
}

TEST(DataDir, WithoutIdentityIsHalfMade) {
    MemoryFiles files;
    files.make_dir("/data");
    files.put("/data/boots", "x");
    auto found = open(files, "/data", 1);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::conflict);
    EXPECT_EQ(open(files, "/none", 1).error().code, Errc::not_found);
}

// An edited or rotten file must never make this member somebody else, or forget its boots.
TEST(DataDir, EveryFlippedByteIsDamage) {
    for (const char* name : {"/data/identity.toml", "/data/snapshot/manifest-0.json"}) {
        MemoryFiles files;
        ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
        std::string good = files.content(name);
        for (size_t at = 0; at < good.size(); ++at) {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ 0x04);
            files.put(name, bad);
            auto found = open(files, "/data", 1);
            ASSERT_FALSE(found) << name << " byte " << at;
            EXPECT_TRUE(found.error().code == Errc::damaged || found.error().code == Errc::too_new)
                << found.error().what;
        }
        for (size_t bytes = 0; bytes < good.size(); ++bytes) {
            files.put(name, good.substr(0, bytes));
            ASSERT_FALSE(open(files, "/data", 1)) << name << " cut to " << bytes;
        }
    }
}

// The name and the hash of the manifest stand in it: one byte that is wrong is known by the others.
TEST(DataDir, AFlippedByteOfCurrentIsPutRight) {
    MemoryFiles files;
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
    const std::string name = "/data/snapshot/CURRENT", good = files.content(name);
    files.put("/data/snapshot/manifest-7.json", "another one, never in force");
    for (size_t at = 0; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x04);
        files.put(name, bad);
        ASSERT_TRUE(inspect(files, "/data")) << at;
        EXPECT_EQ(files.content(name), bad);
        auto found = open(files, "/data", 1);
        ASSERT_TRUE(found) << at << ": " << found.error().what;
        EXPECT_EQ(found->notes.size(), 1u);
        EXPECT_EQ(files.content(name), good);
        bad[(at + 9) % bad.size()] = static_cast<char>(bad[(at + 9) % bad.size()] ^ 0x04);
        files.put(name, bad);
        found = open(files, "/data", 1);
        ASSERT_FALSE(found) << at;
        EXPECT_NE(found.error().what.find("CURRENT"), std::string::npos) << found.error().what;
    }
    for (size_t bytes = 0; bytes < good.size(); ++bytes) {
        files.put(name, good.substr(0, bytes));
        ASSERT_FALSE(open(files, "/data", 1)) << name << " cut to " << bytes;
    }
}

TEST(DataDir, RefusesTheIdentityOfAnotherCluster) {
    MemoryFiles files;
    ASSERT_TRUE(create(files, "/data", three_members(), NodeId{1}));
    Identity other{ClusterId{1, 1}, "other", NodeId{1}, "n1", Incarnation{2, 2}};
    files.put("/data/identity.toml", encode_identity(other));
    EXPECT_EQ(open(files, "/data", 1).error().code, Errc::damaged);
}

TEST(DataDir, IsMadeOnlyForAMemberOfTheManifest) {
    MemoryFiles files;
    EXPECT_EQ(create(files, "/data", three_members(), NodeId{9}).error().code, Errc::bad_input);
    EXPECT_FALSE(files.exists("/data"));
}

}  // namespace
}  // namespace raftd::snapshot
