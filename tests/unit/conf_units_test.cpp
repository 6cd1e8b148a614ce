#include "conf/units.h"

#include <gtest/gtest.h>

#include <array>

namespace raftd::conf {
namespace {

TEST(Units, ReadDurationsAndSizes) {
    EXPECT_EQ(parse_duration("150ms"), milliseconds(150));
    EXPECT_EQ(parse_duration("7d"), seconds(7 * 86400));
    EXPECT_EQ(parse_duration("5m"), seconds(300));
    for (const char* bad : {"", "5", "ms", "1.5s", "-1s", "1 s", "1S", "99999999999d", "1s "})
        EXPECT_FALSE(parse_duration(bad)) << bad;
    EXPECT_EQ(parse_bytes("512"), 512u);
    EXPECT_EQ(parse_bytes("2GiB"), uint64_t{2} << 30);
    for (const char* bad : {"", "1GB", "1k", "-1", "0x10", "1 MiB", "99999999999TiB"})
        EXPECT_FALSE(parse_bytes(bad)) << bad;
}

// A value that is written must be read back as the same value, or a rewritten file changes a cluster.
TEST(Units, TextFormsReadBack) {
    for (int64_t ns : {0l, 1'000l, 1'500'000l, 1'000'000'000l, 90'000'000'000l, 86'400'000'000'000l})
        EXPECT_EQ(parse_duration(text_of(Duration{ns})), Duration{ns}) << ns;
    for (uint64_t bytes : {0ul, 1ul, 1023ul, 1024ul, 1536ul, 1ul << 20, (1ul << 30) + 1})
        EXPECT_EQ(parse_bytes(text_of_bytes(bytes)), bytes);
    EXPECT_EQ(text_of(milliseconds(1500)), "1500ms");
    EXPECT_EQ(text_of_bytes(64u << 20), "64MiB");
}

TEST(HostPort, IsReadStrictly) {
    auto v6 = parse_host_port("[::1]:7101");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host, "::1");
    EXPECT_EQ(text_of(*v6), "[::1]:7101");
    EXPECT_EQ(parse_host_port("db.example.net:80")->port, 80);
    for (const char* bad : {"", ":1", "a", "a:", "a:0", "a:65536", "a:1x", "::1:7", "a b:1", "a:-1", "a:+1"})
        EXPECT_FALSE(parse_host_port(bad)) << bad;
}

TEST(Nearest, FindsTypingErrorsAndNothingFar) {
    constexpr std::array<std::string_view, 4> kWords = {"status", "start", "stop", "append"};
    EXPECT_EQ(nearest("statsu", kWords), "status");
    EXPECT_EQ(nearest("apend", kWords), "append");
    EXPECT_EQ(nearest("stat", kWords), "status");
    EXPECT_FALSE(nearest("frobnicate", kWords));
}

TEST(Names, AreSafeInPathsAndFiles) {
    EXPECT_TRUE(valid_name("n1"));
    EXPECT_TRUE(valid_name("eu-west.db_1"));
    for (const char* bad : {"", ".", "..", "-n", "a/b", "a b", "a\"b", "\xc3\xa9"})
        EXPECT_FALSE(valid_name(bad));
    EXPECT_FALSE(valid_name(std::string(64, 'a')));
}

// A listener beyond loopback is open to whoever reaches it: nothing may pass for loopback by its looks.
TEST(Addresses, OnlyThisMachinesOwnAreLoopback) {
    for (const char* own : {"127.0.0.1:7101", "127.8.8.8:1", "localhost:7101", "[::1]:7101"})
        EXPECT_TRUE(is_loopback(own)) << own;
    for (const char* open :
         {"0.0.0.0:7101", "10.0.0.1:7101", "[::]:7101", "127.example.org:7101", "n1:7101", ":7101"})
        EXPECT_FALSE(is_loopback(open)) << open;
}

}  // namespace
}  // namespace raftd::conf
