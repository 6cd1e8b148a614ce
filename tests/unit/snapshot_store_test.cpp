// The store's contract, over LevelDB on the file system, LevelDB on files that fail, and the simulator's.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sim/store.h"
#include "snapshot/leveldb_store.h"
#include "tests/support/fault_env.h"
#include "tests/support/store_contract.h"

namespace raftd::snapshot {
namespace {

namespace fs = std::filesystem;

class OnFiles final : public StoreUnderTest {
public:
    OnFiles() {
        static int made = 0;
        dir_ = fs::temp_directory_path() /
               ("raftd-store-" + std::to_string(::getpid()) + "-" + std::to_string(++made));
        fs::remove_all(dir_);
        fs::create_directory(dir_);
        maker_ = std::make_unique<LevelDbMaker>((dir_ / "state").string());
    }
    ~OnFiles() override { fs::remove_all(dir_); }
    StoreMaker& maker() override { return *maker_; }
    void fail_at(uint64_t, bool) override {}
    bool has_failed() const override { return false; }
    void crash(Random&) override {}
    bool damage(Random& random) override {
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator(dir_ / "state"))
            if (fs::file_size(entry) > 0) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        const fs::path& chosen = files[random.below(files.size())];
        if (random.below(3) == 0) return fs::remove(chosen);
        std::fstream file(chosen, std::ios::in | std::ios::out | std::ios::binary);
        auto at = static_cast<std::streamoff>(random.below(fs::file_size(chosen)));
        file.seekg(at);
        const int byte = file.get();
        file.seekp(at);
        file.put(static_cast<char>(byte ^ 0x40));
        return true;
    }

private:
    fs::path dir_;
    std::unique_ptr<LevelDbMaker> maker_;
};

class OnFaultyFiles final : public StoreUnderTest {
public:
    StoreMaker& maker() override { return maker_; }
    void fail_at(uint64_t n, bool lasting) override { env_.fail_at(n, lasting); }
    bool has_failed() const override { return env_.has_failed(); }
    void crash(Random& random) override { env_.crash(random); }
    bool damage(Random& random) override { return env_.damage(random); }

private:
    mutable FaultEnv env_;
    LevelDbMaker maker_{"/data/state", &env_};
};

class Simulated final : public StoreUnderTest {
public:
    StoreMaker& maker() override { return maker_; }
    void fail_at(uint64_t n, bool lasting) override { disk_.fail_at(n, lasting); }
    bool has_failed() const override { return disk_.has_failed(); }
    void crash(Random& random) override { disk_.cut_power(random); }
    bool damage(Random&) override {
        disk_.damage();
        return true;
    }

private:
    sim::SimStoreDisk disk_;
    sim::SimStoreMaker maker_{disk_};
};

template <class T>
std::unique_ptr<StoreUnderTest> make() {
    return std::make_unique<T>();
}

INSTANTIATE_TEST_SUITE_P(LevelDb, StoreContract, testing::Values(&make<OnFiles>));
INSTANTIATE_TEST_SUITE_P(LevelDbOnFaultyFiles, StoreContract, testing::Values(&make<OnFaultyFiles>));
INSTANTIATE_TEST_SUITE_P(Simulator, StoreContract, testing::Values(&make<Simulated>));

// The sum over the content is what finds a batch that was lost in the middle: each file is good by itself.
TEST(LevelDbStore, ABatchLostInTheMiddleIsDamage) {
    FaultEnv env;
    LevelDbMaker maker("/data/state", &env);
    StoreBatch batch;
    auto put = [&](uint64_t index, const std::string& key) {
        batch.keys = {{key, std::string(900'000, 'x')}};
        batch.mark.applied.index = Index{index};
        auto store = maker.open();
        ASSERT_TRUE(store);
        ASSERT_TRUE((*store)->write(batch));
    };
    put(1, "a");
    put(2, "b");
    std::vector<std::string> files;
    ASSERT_TRUE(env.GetChildren("/data/state", &files).ok());
    // Each open begins a new table for what the log before it held; without one of them a key is missing.
    size_t damaged = 0, tables = 0;
    for (const std::string& file : files) {
        if (!file.ends_with(".ldb")) continue;
        ++tables;
        ASSERT_TRUE(env.RemoveFile("/data/state/" + file).ok());
        auto store = maker.open();
        damaged += !store && store.error().code == Errc::damaged;
    }
    EXPECT_GT(tables, 0u);
    EXPECT_EQ(damaged, tables);
}

TEST(LevelDbStore, ASecondOneInTheSameDirectoryIsRefused) {
    OnFiles world;
    auto first = world.maker().open();
    ASSERT_TRUE(first);
    auto second = world.maker().open();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::io);
}

TEST(LevelDbStore, OpeningWhatIsNotThereMakesNothing) {
    fs::path nowhere = fs::temp_directory_path() / ("raftd-no-store-" + std::to_string(::getpid()));
    auto store = LevelDbMaker(nowhere.string()).open_existing();
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, Errc::not_found);
    EXPECT_FALSE(fs::exists(nowhere));
}

}  // namespace
}  // namespace raftd::snapshot
