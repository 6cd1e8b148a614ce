#include "daemon/events.h"

#include <gtest/gtest.h>

namespace raftd::daemon {
namespace {

struct Lines : LogSink {
    bool wants(LogLevel level) const override { return level <= LogLevel::warn; }
    void write(LogLevel, std::string_view line) override { seen.emplace_back(line); }
    std::vector<std::string> seen;
};
struct Fixed : io::Clock {
    Instant now() override { return {}; }
    int64_t wall_ms() override { return wall; }
    void wake_at(Instant) override {}
    int64_t wall = 1000;
};

TEST(Events, AreLogLinesOfTheirKindsAndPassOn) {
    Lines lines;
    Fixed clock;
    Events events(lines, clock);
    LogLine(events, LogLevel::warn, "removed")("index", 7);
    LogLine(events, LogLevel::info, "became_leader")("term", 2);  // the log doesn't want it; it is an event
    LogLine(events, LogLevel::warn, "client_frame_bad");          // in the log only
    EXPECT_EQ(lines.seen, (std::vector<std::string>{"removed index=7", "client_frame_bad"}));
    auto found = events.since(0, 10);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].line, "removed index=7");
    EXPECT_EQ(found[1].line, "became_leader term=2");
    EXPECT_EQ(found[1].number, 2u);
    EXPECT_EQ(found[1].wall_ms, 1000);
}

TEST(Events, TheNewestAreKept) {
    Lines lines;
    Fixed clock;
    Events events(lines, clock);
    for (int i = 1; i <= 1500; ++i) LogLine(events, LogLevel::info, "peer_lost")("peer", i);
    EXPECT_EQ(events.last(), 1500u);
    auto all = events.since(0, 5000);
    ASSERT_EQ(all.size(), 1000u);
    EXPECT_EQ(all.front().number, 501u);
    EXPECT_EQ(all.back().line, "peer_lost peer=1500");
    auto some = events.since(1400, 30);
    ASSERT_EQ(some.size(), 30u);
    EXPECT_EQ(some.front().number, 1401u);
    EXPECT_TRUE(events.since(1500, 30).empty());
}

// Some of the text is what peers say of themselves: it must not fill the memory (P7, P9).
TEST(Events, ALongLineIsKeptCutAtACharacter) {
    Lines lines;
    Fixed clock;
    Events events(lines, clock);
    for (size_t shift = 0; shift < 4; ++shift) {
        std::string why(shift, 'x');
        while (why.size() < 5000) why += "\xf0\x9f\x8c\xb2";  // 4 bytes a character
        LogLine(events, LogLevel::warn, "peer_refused")("why", why);
        EXPECT_EQ(lines.seen.back().size(), std::string("peer_refused why=").size() + why.size());
        std::string line = events.since(shift, 1).front().line;
        EXPECT_LE(line.size(), Events::kLineBytesMax);
        EXPECT_GT(line.size(), Events::kLineBytesMax - 8);
        ASSERT_TRUE(line.ends_with("..."));
        line.resize(line.size() - 3);
        EXPECT_TRUE(line.ends_with("\xf0\x9f\x8c\xb2"));
    }
    // Bytes that are no text at all are cut all the same.
    LogLine(events, LogLevel::warn, "peer_refused")("why", std::string(5000, '\x80'));
    EXPECT_LE(events.since(4, 1).front().line.size(), Events::kLineBytesMax);
}

}  // namespace
}  // namespace raftd::daemon
