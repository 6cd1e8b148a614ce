#include "tests/crash/enumerator.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <exception>
#include <optional>

namespace raftd::crash {
namespace {

using sim::DiskCall;
using sim::DiskOp;
using sim::SimStorage;
using sim::Verdict;

constexpr int kStartsCutMax = 3;

bool changes(const DiskCall& call) {
    switch (call.op) {
        case DiskOp::open: return call.makes;
        case DiskOp::read:
        case DiskOp::list:
        case DiskOp::drop_cache: return false;
        default: return true;
    }
}

struct Moment {
    uint64_t call;  // of the script, before which it is; beyond the last: behind it
    std::string what;
    std::unique_ptr<Life> life;
    std::unique_ptr<LegalDisks> disks;
};

struct Recording {
    std::vector<Moment> moments;
    Tally tally;
    uint64_t syncs = 0;
    std::optional<Sync> lied;  // which sync was forgotten
};

std::string text_of(const DiskCall& call) {
    return std::string(sim::text_of(call.op)) + " " + std::string(call.path);
}

/// Runs the script. `forgotten`: the number of the sync that does nothing; 0: none.
Recording record(const Script& script, uint64_t forgotten, uint64_t seed) {
    Recording recording;
    std::unique_ptr<Life> life = script.prepare();
    if (life == nullptr || testing::Test::HasFatalFailure()) return recording;
    SimStorage& disk = life->disk();
    uint64_t number = 0;
    Sync sync;
    auto keep = [&](std::string what) {
        Moment moment{number, std::move(what), life->copy(), nullptr};
        moment.disks = std::make_unique<LegalDisks>(moment.life->disk(), seed + number);
        if (recording.lied.has_value() == (forgotten != 0)) recording.moments.push_back(std::move(moment));
    };
    disk.fault = [&](uint64_t, const DiskCall& call) {
        ++number;
        ++recording.tally.calls[sim::text_of(call.op)];
        if (changes(call)) {
            ++recording.tally.changes;
            keep(text_of(call));
        }
        Verdict verdict;
        if (call.op == DiskOp::sync || call.op == DiskOp::sync_dir) {
            verdict.lie = ++recording.syncs == forgotten;
            sync.path = call.path;
            sync.directory = call.op == DiskOp::sync_dir;
            if (verdict.lie) recording.lied = sync;
        } else if (changes(call)) {
            sync.before = call.op, sync.before_path = call.path;
            sync.offset = call.offset, sync.bytes = call.bytes;
        }
        return verdict;
    };
    script.run(*life);
    disk.fault = nullptr;
    ++number;
    keep("the end");
    life->end();
    return recording;
}

class Judge {
public:
    Judge(Life& life, const Script& script, uint64_t seed, Tally& tally)
        : life_(life), start_calls_(script.start_calls), random_(seed), tally_(tally) {}

    void run() {
        ++tally_.lives;
        life_.lost_power(random_);
        start();
        if (failed()) return;
        life_.go_on(random_);
        crash();
        if (failed()) return;
        start();
        if (!failed()) life_.end();
    }
    std::function<bool()> failed = [] { return testing::Test::HasFailure(); };

private:
    void crash() {
        life_.end();
        life_.disk().fault = nullptr;
        life_.disk().crash(random_, sim::CrashPolicy::draw(random_));
        life_.lost_power(random_);
    }
    /// A start, which is itself cut now and then.
    void start() {
        for (int i = 0; i < kStartsCutMax && random_.chance(0.4) && !failed(); ++i) {
            const uint64_t cut = life_.disk().calls() + 1 + random_.below(start_calls_);
            life_.disk().fault = [cut](uint64_t number, const DiskCall&) {
                return Verdict{0, number == cut};
            };
            ++tally_.starts;
            const bool up = life_.start();
            tally_.starts_cut += !up;
            EXPECT_TRUE(up || life_.disk().dead());
            crash();
        }
        if (failed()) return;
        ++tally_.starts;
        EXPECT_TRUE(life_.start()) << "it doesn't start";
    }

    Life& life_;
    const uint64_t start_calls_;
    Random random_;
    Tally& tally_;
};

/// What is thrown is a failure too: of a check in the code, or of a rig that works on with what it found.
template <class Part>
void guarded(const Part& part) {
    try {
        part();
    } catch (const std::exception& thrown) {
        ADD_FAILURE() << "thrown: " << thrown.what();
    }
}

/// One disk of the moment; false: it has no other.
bool judge_next(Moment& moment, const Script& script, uint64_t seed, Tally& tally,
                const std::function<bool()>& failed) {
    std::unique_ptr<Life> life = moment.life->copy();
    if (!moment.disks->next(life->disk())) return false;
    ++tally.disks;
    guarded([&] {
        Judge judge(*life, script, seed, tally);
        judge.failed = failed;
        judge.run();
    });
    return true;
}

/// Round after round, one disk of each moment, until that many were made or there are no more.
void judge_all(const Script& script, Recording& recording, const Options& options,
               const std::function<bool()>& failed) {
    Tally& tally = recording.tally;
    tally.moments = recording.moments.size();
    const uint64_t disks = std::max<uint64_t>(options.disks, tally.moments);
    for (bool more = true; more && tally.disks < disks;) {
        more = false;
        for (size_t i = 0; i < recording.moments.size() && tally.disks < disks; ++i) {
            const size_t last = recording.moments.size() - 1;
            Moment& moment = recording.moments[options.backwards ? last - i : i];
            SCOPED_TRACE(script.name + ", power cut before call " + std::to_string(moment.call) + " (" +
                         moment.what + "), disk " + std::to_string(tally.disks));
            more |= judge_next(moment, script, options.seed + tally.disks, tally, failed);
            if (failed()) return;
        }
    }
    for (const Moment& moment : recording.moments) {
        tally.moments_complete += moment.disks->complete();
        tally.torn += moment.disks->torn();
    }
}

}  // namespace

void Tally::add(const Tally& other) {
    for (const auto& [kind, count] : other.calls) calls[kind] += count;
    changes += other.changes, moments += other.moments, moments_complete += other.moments_complete;
    disks += other.disks, torn += other.torn, lives += other.lives, starts += other.starts,
        starts_cut += other.starts_cut;
}

std::string text_of(const Sync& sync) {
    return std::string("sync of ") + (sync.directory ? "directory " : "") + sync.path + " after " +
           sim::text_of(sync.before) + " " + sync.before_path + " at " + std::to_string(sync.offset) +
           " of " + std::to_string(sync.bytes) + " bytes";
}

Tally enumerate(const Script& script, const Options& options) {
    Recording recording = record(script, 0, options.seed);
    if (!testing::Test::HasFailure())
        judge_all(script, recording, options, [] { return testing::Test::HasFailure(); });
    return recording.tally;
}

Forgotten forget_each_sync(const Script& script, const Options& options) {
    Forgotten result;
    result.syncs = record(script, 0, options.seed).syncs;
    for (uint64_t sync = 1; sync <= result.syncs; ++sync) {
        testing::TestPartResultArray failures;
        std::optional<Sync> lied;
        {
            testing::ScopedFakeTestPartResultReporter intercept(
                testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
            guarded([&] {
                Recording recording = record(script, sync, options.seed);
                lied = recording.lied;
                judge_all(script, recording, options, [&] { return failures.size() != 0; });
            });
        }
        if (failures.size() == 0 && lied) result.unnoticed.push_back(*lied);
    }
    return result;
}

}  // namespace raftd::crash
