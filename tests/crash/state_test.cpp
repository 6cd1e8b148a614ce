// The replicated state's store: LevelDB over the simulated disk. It is a cache (docs/durability.md): a start
// finds exactly the sum of its first batches, all that were flushed among them, or is told of damage where
// something was written since the flush. Never anything else.
#include <gtest/gtest.h>

#include "snapshot/leveldb_store.h"
#include "tests/crash/totals.h"
#include "tests/support/sim_env.h"
#include "tests/support/store_content.h"

namespace raftd::crash {
namespace {

using snapshot::Store;
using snapshot::StoreBatch;
using Content = snapshot::StoreContent;

constexpr const char* kDir = "d/state";

/// Depends on `number` alone: some keys again and again, some gone.
StoreBatch batch(uint64_t number) {
    Random random(number);
    StoreBatch made;
    for (int i = 0; i < 4; ++i) {
        std::string key = "k/" + std::to_string(random.below(20));
        if (random.below(4) == 0)
            made.keys[key] = std::nullopt;
        else
            made.keys[key] =
                std::string(random.below(i == 0 ? 3000 : 100), static_cast<char>('a' + number % 26));
    }
    made.mark = {{1, 2}, {3, 4}, LogPoint{Index{number}, Term{1}, number * 17, Lsn{number + 1}, 5}};
    return made;
}

Content content_after(uint64_t batches) { return snapshot::sum_of(batches, batch); }

class StateLife final : public Life {
public:
    explicit StateLife(const sim::SimStorage& disk) : disk_(disk) {}
    ~StateLife() override { end(); }

    sim::SimStorage& disk() override { return disk_; }
    std::unique_ptr<Life> copy() override {
        auto made = std::make_unique<StateLife>(disk_);
        made->written_ = written_, made->flushed_ = flushed_, made->clean_ = clean_;
        made->new_dir_ = new_dir_, made->ever_ = ever_;
        return made;
    }
    bool start() override {
        auto opened = maker_.open();
        if (disk_.dead()) return false;
        if (!opened) {
            EXPECT_EQ(opened.error().code, Errc::damaged) << opened.error().what;
            EXPECT_FALSE(clean_) << "damage behind a flush: " << opened.error().what;
            return begin_anew();
        }
        store_ = std::move(*opened);
        check();
        return !disk_.dead();
    }
    void go_on(Random& random) override {
        write(1 + random.below(4));
        if (random.chance(0.5)) flush();
        if (random.chance(0.5)) write(1);
    }
    void end() override { store_.reset(); }

    void write(uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t number = written_ + 1;
            {
                std::lock_guard lock(env_.mutex());
                written_ = number, ever_ = std::max(ever_, number);
            }
            const bool done = store_->write(batch(number)).has_value();
            std::lock_guard lock(env_.mutex());
            clean_ = false;
            if (!done) return;
        }
    }
    void flush() {
        if (!store_->flush()) return;
        std::lock_guard lock(env_.mutex());
        flushed_ = written_, clean_ = true;
    }

private:
    void check() {
        auto mark = store_->mark();
        ASSERT_TRUE(mark);
        const uint64_t held = *mark ? raw((*mark)->applied.index) : 0;
        const bool gone = held == 0 && new_dir_;  // LevelDB doesn't sync where its directory is
        EXPECT_TRUE(held >= flushed_ || gone) << held << " of " << flushed_;
        EXPECT_LE(held, ever_);  // a removal that was cut may leave one that is whole
        Content content;
        auto done = store_->for_each([&](auto key, auto value) { content.emplace(key, value); });
        ASSERT_TRUE(done) << done.error().what;
        EXPECT_TRUE(content == content_after(held)) << held;
        std::lock_guard lock(env_.mutex());
        written_ = held, flushed_ = std::min(flushed_, held);
    }
    /// As a start does with a damaged one: away with it, the log has it all.
    bool begin_anew() {
        {
            std::lock_guard lock(env_.mutex());
            written_ = flushed_ = 0, new_dir_ = true;
        }
        (void)maker_.remove();
        auto opened = maker_.open();
        if (disk_.dead()) return false;
        EXPECT_TRUE(opened) << opened.error().what;
        if (!opened) return false;
        store_ = std::move(*opened);
        return true;
    }

    sim::SimStorage disk_;
    snapshot::SimEnv env_{disk_};
    snapshot::LevelDbMaker maker_{kDir, &env_};
    std::unique_ptr<Store> store_;
    uint64_t written_ = 0, flushed_ = 0, ever_ = 0;  // in batches; of the present store, and of all
    bool clean_ = false;                             // nothing was written since the flush
    bool new_dir_ = false;
};

Script flush_script() {
    return {"state store flush",
            [] {
                sim::SimStorage disk;
                disk.make_dir("d");
                disk.sync_dir("");
                auto life = std::make_unique<StateLife>(disk);
                EXPECT_TRUE(life->start());
                life->disk().sync_dir("d");
                life->write(5);
                return life;
            },
            [](Life& life) {
                auto& state = static_cast<StateLife&>(life);
                for (int round = 0; round < 3; ++round) {
                    state.write(2);
                    state.flush();
                }
                state.write(1);
            },
            2};
}

TEST(CrashState, Flush) { look_at(flush_script()); }

// Not missed: what a later sync of the same file has too.
TEST(CrashState, NoSyncCanBeForgotten) {
    const Forgotten found = forget_each_sync(flush_script(), {.disks = 300});
    for (const Sync& sync : found.unnoticed) printf("%s\n", text_of(sync).c_str());
    EXPECT_LE(found.unnoticed.size(), 0u);
    EXPECT_GT(found.syncs, 10u);
}

}  // namespace
}  // namespace raftd::crash
