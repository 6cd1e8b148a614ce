// The Nth call of each kind fails, hangs or is the last one, for N = 1, 2, ... until a run meets none, once
// and lasting, on the real file system. Whatever happens: the process ends with its documented exit code or
// goes on right, and the next start finds all that was acknowledged.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "tests/disk_calls/child.h"
#include "tests/disk_calls/faults.h"
#include "tests/disk_calls/script.h"

namespace raftd::disk_calls {

Faults& faults() {
    static Faults made;
    return made;
}

namespace {

constexpr int kTooLongMs = 20'000;  // no test waits for it but a failing one
constexpr size_t kBeside = 4;

/// In words, or what must not be.
std::string outcome_of(const Ended& ended) {
    if (ended.too_long) return "hangs";
    if (ended.signal == 9) return "killed";
    if (ended.signal != 0) return "SIGNAL " + std::to_string(ended.signal);
    switch (ended.exit) {
        case 0: return "goes on";
        case 20: return "exit 20";
        case static_cast<int>(End::waits): return "waits";
        case static_cast<int>(End::refused): return "refused";
        default: return "EXIT " + std::to_string(ended.exit);
    }
}

struct Fault {
    std::string kind, what, how;
    std::string at(uint64_t n) const { return kind + ":" + std::to_string(n) + ":" + what + ":" + how; }
};

/// What may come of it (docs/durability.md).
bool is_documented(const Fault& fault, const std::string& outcome) {
    if (outcome == "goes on") return fault.what != "KILL";
    if (outcome == "killed") return fault.what == "KILL";
    if (outcome == "hangs") return fault.what == "HANG" && fault.how == "lasting";
    const bool fails = fault.what == "EIO" || fault.what == "ENOSPC" || fault.what == "EINTR";
    if (outcome == "exit 20") return fails && (fault.kind == "sync" || fault.kind == "rename");
    // A write that finds no room waits for it; what a first start or a start can't read or write it says.
    return (outcome == "waits" || outcome == "refused") && (fails || fault.what == "HANG");
}

std::string last_words(const Ended& ended) { return ended.said.empty() ? "" : ended.said.back(); }

/// One run with a fault, and the start behind it.
struct Trial {
    uint64_t n = 0;
    Place place{true};
    Ended ended{};
};

void judge(const Fault& fault, Trial& trial, const Ended& after) {
    SCOPED_TRACE(fault.at(trial.n));
    const std::string outcome = outcome_of(trial.ended);
    ++faults().outcomes[fault.kind + " " + fault.what + " " + fault.how][outcome];
    EXPECT_TRUE(is_documented(fault, outcome)) << outcome << ": " << last_words(trial.ended);
    const bool kept = after.exit == 0 || after.exit == static_cast<int>(End::refused);
    EXPECT_TRUE(kept) << outcome << ", then " << outcome_of(after) << ": " << last_words(after);
    ++faults().runs;
    faults().kept += kept;
}

/// Some runs beside each other, since most of their time is waiting. Returns how many met their fault.
size_t run_some(const Fault& fault, const std::vector<uint64_t>& places) {
    const bool never_ends = fault.what == "HANG" && fault.how == "lasting";
    std::vector<std::unique_ptr<Trial>> trials;
    for (uint64_t n : places) {
        trials.push_back(std::make_unique<Trial>());
        trials.back()->n = n;
        trials.back()->place.begin("--work", fault.at(n));
    }
    for (auto& trial : trials) trial->ended = trial->place.finish(kTooLongMs, never_ends);
    std::erase_if(trials, [](const auto& trial) { return !trial->ended.faulty(); });
    for (auto& trial : trials) trial->place.begin("--check", "", trial->ended.said);
    for (auto& trial : trials) judge(fault, *trial, trial->place.finish(kTooLongMs));
    return trials.size();
}

std::vector<Fault> all_faults() {
    std::vector<Fault> all;
    for (const char* kind : {"create", "write", "sync", "rename", "remove", "read"})
        for (const char* what : {"EIO", "ENOSPC", "EINTR", "SHORT", "HANG", "KILL"})
            for (const char* how : {"once", "lasting"}) {
                const std::string of = kind, is = what;
                if (is == "SHORT" && of != "write" && of != "read") continue;
                if (is == "KILL" && std::string(how) == "lasting") continue;  // there is no second call
                all.push_back({of, is, how});
            }
    return all;
}

// A check that finds nothing proves nothing: it must see a write that is gone, and one that was never made.
TEST(FaultCheck, SeesWhatIsLost) {
    Place place(true);
    const Ended ended = place.run("--work", "", kTooLongMs);
    ASSERT_EQ(ended.exit, 0);
    EXPECT_EQ(place.run("--check", "", kTooLongMs, ended.said).exit, 0);
    for (const char* more : {"ask 99 20 1 29 30:12345", "ask 99 20 1 3", "ask 99 20 3 29"}) {
        std::vector<std::string> said = ended.said;
        said.insert(said.end(), {more, "durable 99"});
        EXPECT_EQ(place.run("--check", "", kTooLongMs, said).exit, static_cast<int>(End::lost)) << more;
    }
    std::vector<std::string> said = ended.said;
    said.push_back("snapshot 26:1");
    EXPECT_EQ(place.run("--check", "", kTooLongMs, said).exit, static_cast<int>(End::lost));
}

class FaultTest : public testing::TestWithParam<Fault> {};

TEST_P(FaultTest, NothingAcknowledgedIsLost) {
    const Fault& fault = GetParam();
    const uint64_t step = faults().step;
    uint64_t runs = 0;
    for (uint64_t n = 1 + faults().seed % step; !HasFailure();) {
        std::vector<uint64_t> places;
        for (; places.size() < kBeside; n += step) places.push_back(n);
        const size_t met = run_some(fault, places);
        runs += met;
        if (met < kBeside) break;  // beyond the last call
    }
    EXPECT_GT(runs + faults().step, 1u) << "no call of this kind was made";
}

std::string name_of(const testing::TestParamInfo<Fault>& test) {
    return test.param.kind + "_" + test.param.what + "_" + test.param.how;
}

INSTANTIATE_TEST_SUITE_P(Disk, FaultTest, testing::ValuesIn(all_faults()), name_of);

}  // namespace
}  // namespace raftd::disk_calls
