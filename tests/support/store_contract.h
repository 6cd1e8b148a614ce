// What every store of the replicated state must keep (snapshot/store.h), as one suite of tests. A program
// includes this, says how its stores are made (StoreUnderTest) and instantiates the suite. Failures are by
// the Nth operation of the world below, once or from there on, for N = 1, 2, ... until nothing fails; a crash
// loses what wasn't synced.
#pragma once

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/support/store_content.h"

namespace raftd::snapshot {

/// One store with the world below it.
class StoreUnderTest {
public:
    virtual ~StoreUnderTest() = default;
    virtual StoreMaker& maker() = 0;
    /// The Nth operation from now on that may fail does, and with `lasting` all after it. 0: none.
    virtual void fail_at(uint64_t n, bool lasting) = 0;
    /// Whether the operation chosen was reached since.
    virtual bool has_failed() const = 0;
    /// The power goes: what wasn't synced may be lost. No store is open.
    virtual void crash(Random& random) = 0;
    /// Changes what is on the disk, so that it must be noticed. False: there is nothing to change.
    virtual bool damage(Random& random) = 0;
};

using MakeStore = std::unique_ptr<StoreUnderTest> (*)();

class StoreContract : public testing::TestWithParam<MakeStore> {
protected:
    using Content = StoreContent;

    void SetUp() override { world_ = GetParam()(); }

    /// A batch that depends on `number` alone: some keys again and again, some gone, some large.
    static StoreBatch batch(uint64_t number) {
        Random random(number);
        StoreBatch made;
        for (int i = 0; i < 8; ++i) {
            std::string key = "k/" + std::to_string(random.below(40));
            if (random.below(4) == 0)
                made.keys[key] = std::nullopt;
            else
                made.keys[key] = std::string(random.below(random.below(5) == 0 ? 20'000 : 100),
                                             static_cast<char>('a' + number % 26));
        }
        made.mark = {
            {1, 2}, {3, 4}, LogPoint{Index{number}, Term{number / 3}, number * 17, Lsn{number + 1}, 5}};
        return made;
    }
    static Content content_after(uint64_t batches) { return sum_of(batches, batch); }
    static Content content_of(const Store& store) {
        Content content;
        std::string before;
        auto done = store.for_each([&](std::string_view key, std::string_view value) {
            EXPECT_LT(before, key);  // in order, each once
            before = key;
            content.emplace(key, value);
        });
        EXPECT_TRUE(done) << done.error().what;
        return content;
    }
    /// How many batches a store holds; what it holds must be exactly those.
    static uint64_t batches_in(const Store& store) {
        auto mark = store.mark();
        EXPECT_TRUE(mark);
        uint64_t batches = *mark ? raw((*mark)->applied.index) : 0;
        if (*mark) {
            EXPECT_EQ(**mark, batch(batches).mark);
        }
        EXPECT_TRUE(content_of(store) == content_after(batches)) << batches;
        return batches;
    }
    std::unique_ptr<Store> opened() {
        auto store = world_->maker().open();
        EXPECT_TRUE(store) << store.error().what;
        return store ? std::move(*store) : nullptr;
    }
    std::unique_ptr<Store> with_batches(uint64_t from, uint64_t upto) {
        auto store = opened();
        for (uint64_t number = from; number <= upto; ++number)
            EXPECT_TRUE(store->write(batch(number))) << number;
        return store;
    }

    std::unique_ptr<StoreUnderTest> world_;
};

TEST_P(StoreContract, BeginsEmpty) { EXPECT_EQ(batches_in(*opened()), 0u); }

TEST_P(StoreContract, HoldsWhatWasWrittenAlsoWhenOpenedAgain) {
    auto store = with_batches(1, 200);
    EXPECT_EQ(batches_in(*store), 200u);
    store.reset();
    store = with_batches(201, 230);
    EXPECT_EQ(batches_in(*store), 230u);
}

TEST_P(StoreContract, RemovedIsEmptyAndCanBeUsedAgain) {
    EXPECT_TRUE(world_->maker().remove());  // nothing there yet
    with_batches(1, 20).reset();
    EXPECT_TRUE(world_->maker().remove());
    EXPECT_EQ(batches_in(*opened()), 0u);
    EXPECT_EQ(batches_in(*with_batches(1, 3)), 3u);
}

TEST_P(StoreContract, WhatWasFlushedIsThereAfterACrash) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        world_ = GetParam()();
        uint64_t flushed = random.below(120);
        auto store = with_batches(1, flushed);
        ASSERT_TRUE(store->flush());
        for (uint64_t number = flushed + 1; number <= flushed + random.below(100); ++number)
            ASSERT_TRUE(store->write(batch(number)));
        store.reset();
        world_->crash(random);
        auto again = world_->maker().open();
        // What was lost behind the flush may be any suffix, or be noticed; never anything else.
        if (!again) {
            EXPECT_EQ(again.error().code, Errc::damaged) << again.error().what;
            continue;
        }
        EXPECT_GE(batches_in(**again), flushed);
    }
}

TEST_P(StoreContract, ACrashRightBehindAFlushLosesNothing) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        world_ = GetParam()();
        uint64_t flushed = 1 + random.below(150);
        auto store = with_batches(1, flushed);
        ASSERT_TRUE(store->flush());
        store.reset();
        world_->crash(random);
        EXPECT_EQ(batches_in(*opened()), flushed);
    }
}

TEST_P(StoreContract, DamageIsNoticedOrHarmless) {
    for (uint64_t seed = 1; seed <= 7; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        world_ = GetParam()();
        auto store = with_batches(1, 60);
        ASSERT_TRUE(store->flush());
        store.reset();
        if (!world_->damage(random)) continue;
        auto again = world_->maker().open();
        if (again) {
            const uint64_t held = batches_in(**again);
            EXPECT_TRUE(held == 60 || held == 0) << held;  // untouched, or gone as a whole
        } else {
            EXPECT_NE(again.error().what, "");
        }
        again = error(Errc::failed, "");
        EXPECT_TRUE(world_->maker().remove());
        EXPECT_EQ(batches_in(*opened()), 0u);
    }
}

/// Whatever operation fails: the error is told, the store refuses from then on, and opened anew it holds what
/// was written before, the refused batch wholly or not at all.
TEST_P(StoreContract, AnyOperationMayFail) {
    for (bool lasting : {false, true}) {
        for (uint64_t n = 1;; ++n) {
            SCOPED_TRACE(std::to_string(n) + (lasting ? " lasting" : " once"));
            world_ = GetParam()();
            with_batches(1, 30).reset();
            world_->fail_at(n, lasting);
            uint64_t written = 30;
            bool refused = false;
            if (auto store = world_->maker().open()) {
                for (uint64_t number = 31; number <= 90 && !refused; ++number) {
                    auto done = number % 10 == 0 ? (*store)->flush() : Result<void>();
                    if (done) done = (*store)->write(batch(number));
                    refused = !done;
                    written = done ? number : written;
                    if (!refused) continue;
                    EXPECT_EQ(done.error().code, Errc::io);
                    EXPECT_FALSE((*store)->write(batch(number)));
                    EXPECT_FALSE((*store)->flush());
                }
            }
            const bool reached = world_->has_failed();
            world_->fail_at(0, false);
            auto again = world_->maker().open();
            if (again) {
                uint64_t held = batches_in(**again);
                EXPECT_TRUE(held == written || (refused && held == written + 1)) << held << " " << written;
            } else {  // a cache may be lost to an error, if it says so
                EXPECT_EQ(again.error().code, Errc::damaged) << again.error().what;
                EXPECT_TRUE(world_->maker().remove());
                EXPECT_EQ(batches_in(*opened()), 0u);
            }
            if (HasFailure() || !reached) break;
        }
    }
}

}  // namespace raftd::snapshot
