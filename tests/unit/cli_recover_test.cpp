// A new cluster from one member: what it takes over, what it refuses, and that a power cut leaves it whole or
// not there.
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "tests/support/recover_rig.h"
#include "tests/support/wal_rig.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

const ClusterId kOld{1, 2}, kNew{7, 8};

snapshot::Manifest old_manifest() {
    snapshot::Manifest manifest;
    manifest.cluster_id = kOld;
    manifest.cluster_name = "demo";
    manifest.feature_level = 2;
    manifest.min_members = 2;
    for (uint64_t id = 1; id <= 3; ++id)
        manifest.members.push_back({NodeId{id}, "n" + std::to_string(id),
                                    "127.0.0.1:710" + std::to_string(id),
                                    "127.0.0.1:720" + std::to_string(id),
                                    snapshot::genesis_incarnation(kOld, NodeId{id}), false, 0});
    return manifest;
}

void add(std::vector<std::byte>& entries, LogPoint& at, EntryHeader header, ByteView body, Term term) {
    header.body_bytes = static_cast<uint32_t>(body.size());
    header.body_checksum = checksum(body);
    finish_header(header, at, term, 1000 + raw(at.index));
    at = point_after(header);
    const auto* bytes = reinterpret_cast<const std::byte*>(&header);
    entries.insert(entries.end(), bytes, bytes + sizeof header);
    entries.insert(entries.end(), body.begin(), body.end());
}

void add_record(std::vector<std::byte>& entries, LogPoint& at, std::string_view record, Term term) {
    std::vector<std::byte> body(body_bytes_for(1, record.size()));
    const ByteView view = as_bytes(record);
    encode_body({&view, 1}, body);
    add(entries, at, draft_batch(1, body), body, term);
}

void add_members(std::vector<std::byte>& entries, LogPoint& at, const std::vector<uint64_t>& ids, Term term) {
    snapshot::Configuration config;
    for (uint64_t id : ids) {
        config.membership.now.push_back({.id = NodeId{id}});
        config.infos[NodeId{id}] = {
            NodeId{id}, "n" + std::to_string(id), "h:" + std::to_string(id), "h:1", {9, id}, false, 0};
    }
    EntryHeader header{};
    header.kind = EntryKind::membership;
    add(entries, at, header, snapshot::encode_configuration(config.membership, config.infos), term);
}

/// A machine with n1's data directory of a cluster that once had a member 6.
struct OldMember {
    sim::SimStorage storage;
    std::vector<std::byte> entries;
    LogPoint last;

    explicit OldMember(const std::vector<uint64_t>& members_at_last = {1, 2, 3}) {
        storage.make_dir("/old");
        storage.sync_dir("/");
        sim::SimFiles files(storage);
        const snapshot::Manifest manifest = old_manifest();
        EXPECT_TRUE(snapshot::create(files, "/old/data", manifest, NodeId{1}));
        wal::Options options;
        options.dir = "/old/data/wal";
        options.cluster_id = kOld;
        options.incarnation = manifest.members[0].incarnation;
        options.base = last = snapshot::genesis_point(manifest);
        options.first_segment_bytes = options.segment_bytes = 64 << 10;
        for (int i = 0; i < 20; ++i) add_record(entries, last, "record " + std::to_string(i), Term{1});
        add_members(entries, last, {1, 2, 3, 6}, Term{1});
        add_members(entries, last, members_at_last, Term{3});
        for (int i = 20; i < 300; ++i) add_record(entries, last, std::string(400, 'x'), Term{3});
        wal::LogMaker maker(files, options, {Term{5}, NodeId{2}});
        EXPECT_TRUE(maker.append(entries));
        EXPECT_TRUE(maker.finish());
        EXPECT_FALSE(storage.has_unsynced());
    }
};

std::vector<std::byte> entries_of(io::Files& files, const Survivor& member) {
    wal::Options options;
    options.dir = member.dir.path + "/wal";
    options.cluster_id = member.dir.identity.cluster_id;
    options.incarnation = member.dir.identity.incarnation;
    options.base = member.dir.base;
    std::vector<std::byte> all;
    auto walk = wal::LogWalk::open(files, options);
    EXPECT_TRUE(walk) << walk.error().what;
    for (;;) {
        auto some = walk->next(64 << 10);
        EXPECT_TRUE(some) << some.error().what;
        if (!some || some->empty()) return all;
        all.insert(all.end(), some->view().begin(), some->view().end());
    }
}

/// The new directory holds what the old one did, entry by entry, and a last one of its own.
void expect_taken_over(io::Files& files, const OldMember& old) {
    auto fresh = examine_survivor(files, "/new/n1/data");
    ASSERT_TRUE(fresh) << fresh.error().what;
    EXPECT_EQ(fresh->dir.identity.cluster_id, kNew);
    EXPECT_EQ(fresh->dir.identity.id, NodeId{7});
    EXPECT_EQ(fresh->last.index, old.last.index + 1);
    EXPECT_EQ(fresh->last.lsn_next, old.last.lsn_next);
    EXPECT_EQ(fresh->last.term, Term{3});
    EXPECT_EQ(fresh->config.index, fresh->last.index);
    EXPECT_EQ(fresh->config.membership, (Membership{{{.id = NodeId{7}}}, {}, false}));
    EXPECT_EQ(fresh->self().peer, "h:1") << "where the old configuration had it";
    EXPECT_EQ(fresh->dir.manifest.min_members, 0u);
    EXPECT_EQ(fresh->dir.manifest.feature_level, 2u);
    std::vector<std::byte> bytes = entries_of(files, *fresh);
    EntryCursor now(bytes);
    expect_chained_anew(old.entries, now, fresh->dir.base);
}

TEST(Recover, TakesOverEveryEntryUnderANewIdentity) {
    OldMember old;
    sim::SimFiles files(old.storage);
    auto survivor = examine_survivor(files, "/old/data");
    ASSERT_TRUE(survivor) << survivor.error().what;
    EXPECT_EQ(survivor->last, old.last);
    EXPECT_EQ(survivor->next_id, NodeId{7}) << "above one that was removed long ago";
    auto made = make_new_cluster(files, *survivor, recover_plan(kNew));
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_FALSE(old.storage.has_unsynced());
    expect_taken_over(files, old);
    auto again = examine_survivor(files, "/old/data");
    ASSERT_TRUE(again);
    EXPECT_EQ(entries_of(files, *again), old.entries);
    auto twice = make_new_cluster(files, *survivor, recover_plan(kNew));
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code, Errc::conflict);
}

TEST(Recover, APowerCutAtAnyCallLeavesItWholeOrNotThere) {
    const OldMember old;
    const PowerCuts cuts = cut_power_in_recovery(
        old.storage, kNew, 4,
        [&](io::Files& files, const Survivor& survivor) {
            EXPECT_EQ(entries_of(files, survivor), old.entries);
        },
        [&](io::Files& files) { expect_taken_over(files, old); });
    EXPECT_GT(cuts.whole, 4u);
    EXPECT_GT(cuts.absent, 40u);
}

TEST(Recover, WhatWasRemovedFromItsClusterIsRefused) {
    OldMember old({2, 3});
    sim::SimFiles files(old.storage);
    auto survivor = examine_survivor(files, "/old/data");
    ASSERT_FALSE(survivor);
    EXPECT_EQ(survivor.error().code, Errc::conflict);
    EXPECT_NE(survivor.error().what.find("n1 was removed from its cluster by entry 22"), std::string::npos)
        << survivor.error().what;
}

// A start would believe a sealed segment's footer; here every entry counts.
TEST(Recover, OneDamagedByteAnywhereInTheLogIsRefused) {
    OldMember old;
    ASSERT_TRUE(old.storage.flip_bit("/old/data/wal/0000000000000001.wal", wal::kFirstGroupAt + 300, 1));
    sim::SimFiles files(old.storage);
    auto survivor = examine_survivor(files, "/old/data");
    ASSERT_FALSE(survivor);
    EXPECT_EQ(survivor.error().code, Errc::damaged);
}

TEST(Recover, AHalfMadeDirectoryIsRefused) {
    OldMember old;
    old.storage.remove("/old/data/identity.toml");
    sim::SimFiles files(old.storage);
    auto survivor = examine_survivor(files, "/old/data");
    ASSERT_FALSE(survivor);
    EXPECT_EQ(survivor.error().code, Errc::conflict);
}

TEST(Recover, WhatAnInterruptedCallLeftIsNamed) {
    OldMember old;
    sim::SimFiles files(old.storage);
    auto survivor = examine_survivor(files, "/old/data");
    ASSERT_TRUE(survivor);
    NewCluster cluster = recover_plan(kNew);
    cluster.go_on = [](Index) { return false; };
    auto stopped = make_new_cluster(files, *survivor, cluster);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().what, "interrupted; nothing was made");
    auto again = make_new_cluster(files, *survivor, recover_plan(kNew));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().hint, "if no other one runs: rm -r /new.unfinished");
}

}  // namespace
}  // namespace raftd::cli
