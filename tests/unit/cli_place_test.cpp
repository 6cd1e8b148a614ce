#include "cli/place.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace raftd::cli {
namespace {

constexpr int64_t kTenUtc = 1'795'168'800'000;  // 2026-11-20T10:00:00Z

/// Local time of Central Europe, whatever the machine's files of time zones say.
struct LocalTime : testing::Test {
    LocalTime() {
        if (const char* zone = std::getenv("TZ")) before = zone;
        set("CET-1CEST,M3.5.0,M10.5.0/3");
    }
    ~LocalTime() override { set(before.c_str()); }
    static void set(const char* zone) {
        ::setenv("TZ", zone, 1);
        ::tzset();
    }
    std::string before;
};

TEST(Place, Forms) {
    using Kind = Place::Kind;
    auto lsn = parse_place("17", 0);
    ASSERT_TRUE(lsn);
    EXPECT_EQ(lsn->kind, Kind::lsn);
    EXPECT_EQ(lsn->value, 17u);
    EXPECT_EQ(parse_place("first", 0)->kind, Kind::first);
    EXPECT_EQ(parse_place("end", 0)->kind, Kind::end);
    auto ago = parse_place("-2h", 10'000'000);
    ASSERT_TRUE(ago);
    EXPECT_EQ(ago->kind, Kind::time);
    EXPECT_EQ(ago->value, 10'000'000u - 7'200'000u);
    EXPECT_EQ(parse_place("-7d", 1000)->value, 0u);
    EXPECT_EQ(parse_place("@1000", 0)->value, 1'000'000u);
    for (const char* bad :
         {"0", "00", "", "-", "-2", "-0", "@", "@x", "@-5", "last", "1e3", "-1", "99999999999999999999"})
        EXPECT_FALSE(parse_place(bad, 0)) << bad;
}

TEST(Place, ErrorsSayWhatIsWrong) {
    auto what = [](const char* text) { return parse_place(text, 0).error().what; };
    EXPECT_NE(what("@2026-02-30").find("no day 2026-02-30"), std::string::npos);
    EXPECT_NE(what("@2026-11-20T10:00 CET").find("\" CET\" is no time zone"), std::string::npos);
    EXPECT_NE(what("@1732100000000").find("milliseconds"), std::string::npos);
    EXPECT_NE(what("@2026-11-20T9:00").find("time of day"), std::string::npos);
    EXPECT_NE(what("-2").find("-2h"), std::string::npos);
    EXPECT_EQ(parse_place("2026-11-20", 0).error().hint, "a time begins with @: @2026-11-20");
}

TEST(Time, WithAZone) {
    for (const char* text : {"2026-11-20T10:00:00Z", "2026-11-20t10:00z", "2026-11-20 11:00+01:00",
                             "2026-11-20T04:30:00-0530", "1795168800", "2026-11-19T23:00-11:00"})
        EXPECT_EQ(*parse_time(text), kTenUtc) << text;
    EXPECT_EQ(*parse_time("2026-11-20T10:00:00.25Z"), kTenUtc + 250);
    EXPECT_EQ(*parse_time("2026-11-20T10:00:00.123456789Z"), kTenUtc + 123);
    EXPECT_EQ(*parse_time("1795168800.5"), kTenUtc + 500);
    EXPECT_EQ(*parse_time("1970-01-01T00:00Z"), 0);
    EXPECT_EQ(*parse_time("2024-02-29T00:00Z"), 1'709'164'800'000);
    EXPECT_EQ(*parse_time("2016-12-31T23:59:60Z"), *parse_time("2016-12-31T23:59:59Z"));
}

TEST_F(LocalTime, WithoutAZone) {
    EXPECT_EQ(*parse_time("2026-11-20 11:00"), kTenUtc);
    EXPECT_EQ(*parse_time("2026-11-20"), kTenUtc - 11 * 3'600'000);
    EXPECT_EQ(*parse_time("2026-07-01T12:00"), *parse_time("2026-07-01T10:00Z"));  // summer
    EXPECT_EQ(*parse_time("2026-11-20T11:00:00.5"), kTenUtc + 500);
}

TEST_F(LocalTime, AnHourThatTheClocksLeaveOutIsNone) {
    auto gone = parse_time("2026-03-29T02:30");
    ASSERT_FALSE(gone);
    EXPECT_NE(gone.error().what.find("leave this time out"), std::string::npos);
    EXPECT_TRUE(parse_time("2026-03-29T03:30"));
}

TEST(Time, Nonsense) {
    for (const char* bad : {"",
                            "x",
                            "2026-13-01",
                            "2026-00-01",
                            "2026-11-00",
                            "2023-02-29",
                            "2026-11-20T",
                            "2026-11-20T25:00",
                            "2026-11-20T10",
                            "2026-11-20T10:60",
                            "2026-11-20T10:00X",
                            "20-11-2026",
                            "2026-11-20T10:00:00.Z",
                            "2026-11-20T10:00+1",
                            "2026-11-20T10:00+24:00",
                            "2026-11-20Z",
                            "1.2.3",
                            "1.",
                            "1969-12-31",
                            "2026-11-20T10:00:61Z",
                            "2026-11-20T10:00:00Zx"})
        EXPECT_FALSE(parse_time(bad)) << bad;
}

}  // namespace
}  // namespace raftd::cli
