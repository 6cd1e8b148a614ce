#include "snapshot/addresses.h"

#include <gtest/gtest.h>

#include "tests/support/memory_files.h"

namespace raftd::snapshot {
namespace {

using raftd::fakes::MemoryFiles;

MemberInfos two() {
    MemberInfos infos;
    infos[NodeId{1}] = {NodeId{1}, "n1", "h:1", "h:101", {1, 1}, false, 0};
    infos[NodeId{2}] = {NodeId{2}, "n2", "h:2", "h:102", {2, 2}, true, 3};
    return infos;
}

TEST(Addresses, AreReadBack) {
    MemoryFiles files;
    files.make_dir("/data");
    EXPECT_EQ(read_addresses(files, "/data")->size(), 0u);
    AddressHints hints{{NodeId{2}, "h:9", "", "h:2", ""}, {NodeId{1}, "", "h:109", "", "h:101"}};
    ASSERT_TRUE(write_addresses(files, "/data", hints));
    EXPECT_EQ(*read_addresses(files, "/data"), hints);
}

TEST(Addresses, CountUntilTheConfigurationSaysSomethingElse) {
    AddressHints hints{{NodeId{2}, "h:9", "", "h:2", ""}, {NodeId{7}, "h:9", "h:9", "", ""}};
    MemberInfos infos = two();
    take_addresses(infos, hints);
    MemberInfos wanted = two();
    wanted[NodeId{2}].peer = "h:9";
    EXPECT_EQ(infos.size(), 2u);
    for (const auto& [id, info] : wanted) {
        EXPECT_EQ(infos[id].peer, info.peer);
        EXPECT_EQ(infos[id].client, info.client);
        EXPECT_EQ(infos[id].incarnation, info.incarnation);
        EXPECT_EQ(infos[id].learner, info.learner);
    }
    infos = two();
    infos[NodeId{2}].peer = "h:5";  // the cluster moved it somewhere else meanwhile
    take_addresses(infos, hints);
    EXPECT_EQ(infos[NodeId{2}].peer, "h:5");
}

TEST(Addresses, WhatIsNotReadableIsNamed) {
    MemoryFiles files;
    files.make_dir("/data");
    for (const char* text : {"", "{}", "[]", "{\"format\":1,\"members\":[{\"id\":1}]}"}) {
        ASSERT_EQ(
            io::write_file_atomically(files, "/data", "addresses", as_bytes(std::string_view(text))).error,
            0);
        auto read = read_addresses(files, "/data");
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, Errc::damaged);
    }
}

}  // namespace
}  // namespace raftd::snapshot
