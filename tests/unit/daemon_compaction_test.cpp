// How fast the log is archived: slowly while clients write a lot, until the log has grown to twice what is to
// stay; else as fast as it can.
#include <gtest/gtest.h>

#include "daemon/compaction_pace.h"
#include "tests/support/stage.h"

namespace raftd::sim {
namespace {

using daemon::CompactionPace;

constexpr uint64_t kPiece = 1u << 20;
constexpr Duration kOfAPiece = milliseconds(3);  // at full speed
const Duration kSlow{static_cast<int64_t>(kPiece * 1'000'000'000 / CompactionPace::kBytesASecond)};

struct Pace : testing::Test {
    CompactionPace pace;
    CompactionPace::Log log{.written = 0, .bytes = 0, .keep_bytes = 100 * kPiece};
    Instant now{seconds(5).ns};

    /// Archives one piece while the log grows by `grown`; how long until the next one may begin.
    Duration piece(uint64_t grown) {
        const Instant began = now = std::max(now, pace.next_at());
        pace.begin(now, log);
        now = now + kOfAPiece;
        log.written += grown;
        pace.end(now, kPiece, log);
        return std::max(now, pace.next_at()) - began;
    }
};

TEST_F(Pace, FullSpeedWhileNobodyWritesMuch) {
    log.written = 1u << 30;  // long ago
    for (uint64_t grown : {uint64_t{0}, uint64_t{4096}, kPiece / CompactionPace::kBusyShare})
        EXPECT_EQ(piece(grown), kOfAPiece);
    EXPECT_EQ(pace.yields(), 0u);
}

TEST_F(Pace, AQuarterWhileMuchIsWrittenAndFullSpeedAgainBehindIt) {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(piece(kPiece), kSlow);
    EXPECT_EQ(pace.yields(), 10u);
    EXPECT_EQ(piece(0), kOfAPiece);
    EXPECT_EQ(pace.yields(), 10u);
}

// What comes in the pause that it makes counts: so it doesn't go back and forth.
TEST_F(Pace, GoesOnSlowlyAtAThirdOfTheRateThatItBeganAt) {
    EXPECT_EQ(piece(kPiece / 10), kSlow);
    for (int i = 0; i < 10; ++i) {
        log.written += kPiece / 20;  // in the pause
        EXPECT_EQ(piece(kPiece / 50), kSlow);
    }
}

TEST_F(Pace, FullSpeedOnceTheLogHasTwiceWhatIsToStay) {
    log.bytes = 2 * log.keep_bytes - 1;
    EXPECT_EQ(piece(kPiece), kSlow);
    log.bytes = 2 * log.keep_bytes;
    EXPECT_EQ(piece(kPiece), kOfAPiece);
    log.bytes = 2 * log.keep_bytes - 1;
    EXPECT_EQ(piece(kPiece), kSlow);
    log = {.written = log.written, .bytes = 0, .keep_bytes = 0};
    EXPECT_EQ(piece(kPiece), kOfAPiece) << "nothing is to stay";
}

TEST_F(Pace, APieceThatTookLongIsPauseEnough) {
    pace.begin(now, log);
    now = now + seconds(1);
    log.written += 100 * kPiece;
    pace.end(now, kPiece, log);
    EXPECT_LE(pace.next_at(), now);
}

/// A member that leads and is given 128 MB/s, and archives that.
struct Busy {
    Stage stage;
    explicit Busy(uint64_t wal_keep_bytes) {
        stage.options.settings.snapshot.wal_keep_bytes = wal_keep_bytes;
        stage.options.state_limits.archive.bytes = 4u << 20;
        stage.start();
        EXPECT_TRUE(stage.lead());
    }
    void append(int records) {
        for (int i = 0; i < records; ++i) {
            stage.append(Draft::of({std::string(256u << 10, 'x')}));
            stage.run_for(milliseconds(2));
        }
    }
    uint64_t counter(const std::string& name) {
        const std::string text = stage.node().dump(), key = name + "=";
        const size_t at = text.find(key);
        EXPECT_NE(at, std::string::npos) << text;
        return std::stoull(text.substr(at + key.size()));
    }
};

TEST(Compaction, HoldsBackUnderLoadAndTheSnapshotsComeAllTheSame) {
    Busy busy(1u << 30);
    busy.append(192);
    EXPECT_GT(busy.counter("archive_yields"), 4u);
    EXPECT_GT(busy.counter("archived_bytes"), 4u << 20);
    busy.stage.run_for(seconds(2));
    ASSERT_NE(busy.stage.node().snapshot(), nullptr);
    EXPECT_EQ(busy.stage.node().snapshot()->archives.size(), 12u);
}

TEST(Compaction, NeverHoldsBackWhileTheLogIsTooLarge) {
    Busy busy(1u << 20);
    busy.append(192);
    EXPECT_EQ(busy.counter("archive_yields"), 0u);
    EXPECT_GT(busy.counter("archived_bytes"), 8u << 20);
}

}  // namespace
}  // namespace raftd::sim
