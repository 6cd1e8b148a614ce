#include "cli/command.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

TEST(Json, KeepsOrderAndNestsAndEscapes) {
    Json members = Json::array();
    members.add(Json::object().add("id", 1).add("name", "n\"1\n"));
    Json json = Json::object();
    json.add("schema", 1).add("ok", true).null("error").add("members", members).add("p99", 0.25);
    EXPECT_EQ(json.text(),
              R"({"schema":1,"ok":true,"error":null,"members":[{"id":1,"name":"n\"1\n"}],"p99":0.25})");
}

// A record may hold any bytes; the output must still be a JSON text in UTF-8.
TEST(Json, ReplacesWhatIsNotUtf8) {
    EXPECT_EQ(json_text("a\xff\xc3\xa9\x01"), "\"a\xef\xbf\xbd\xc3\xa9\\u0001\"");
    EXPECT_EQ(json_text("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    EXPECT_EQ(json_text("\xf0\x9f\x98"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

// A record must not be able to drive somebody's terminal.
TEST(Printable, ShowsControlBytesAndBadUtf8) {
    EXPECT_EQ(printable("a\x1b[2Jb\xc3\xa9"), "a\\x1b[2Jb\xc3\xa9");
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");
    EXPECT_EQ(printable("\xff\x00z"), "\\xff");
}

TEST(Text, OfBytesAndDurations) {
    EXPECT_EQ(text_of_bytes(512), "512 B");
    EXPECT_EQ(text_of_bytes(64u << 20), "64 MiB");
    EXPECT_EQ(text_of_bytes(1536), "1.5 KiB");
    EXPECT_EQ(text_of_duration(milliseconds(150)), "150 ms");
    EXPECT_EQ(text_of_duration(seconds(2)), "2 s");
}

TEST(Exit, FollowsTheErrorCode) {
    EXPECT_EQ(exit_of(Errc::unavailable), Exit::unavailable);
    EXPECT_EQ(exit_of(Errc::bad_input), Exit::usage);
    EXPECT_EQ(exit_of(Errc::io), Exit::failed);
}

}  // namespace
}  // namespace raftd::cli
