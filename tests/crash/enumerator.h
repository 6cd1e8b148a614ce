// Crash enumeration. A script runs once; at each of its calls that change the disk, what the disk and its
// cache hold and what was promised by then is kept (a moment). Of each moment legal disks are made
// (tests/crash/disks.h); on each, a start (itself cut now and then), a look whether all that was promised is
// there, some more work, another power cut, and another start. A new script is a Life and one line in a test.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "tests/crash/disks.h"

namespace raftd::crash {

/// One process after another on one disk, with what they promised. Failures are gtest's.
class Life {
public:
    virtual ~Life() = default;
    virtual sim::SimStorage& disk() = 0;
    /// The disk and the promises as they are now; no process runs on the copy.
    virtual std::unique_ptr<Life> copy() = 0;
    /// A new process starts, and finds all that was promised, or what may be there instead. False: it ended
    /// by a power cut (disk().dead()).
    virtual bool start() = 0;
    /// It works on: what it is told is done is promised from now on. May end by a power cut.
    virtual void go_on(Random& random) = 0;
    /// The process is gone, as by SIGKILL.
    virtual void end() = 0;
    /// The power went, and disk() is as it left it: so must be what lies beside.
    virtual void lost_power(Random&) {}
};

struct Script {
    std::string name;
    std::function<std::unique_ptr<Life>()> prepare;  // up and running; what this does isn't looked at
    std::function<void(Life&)> run;
    double cost = 1;            // of a disk, against those of the log: so many fewer are made
    uint64_t start_calls = 25;  // among the first of these calls to the disk a start is cut
};

struct Options {
    uint64_t disks = 200;  // of each script; but at least one of each moment
    uint64_t seed = 1;
    bool backwards = false;  // the last moments first
};

/// What was looked at. A sum of several is one too.
struct Tally {
    std::map<std::string, uint64_t> calls;  // of the script, by kind
    uint64_t changes = 0;                   // of those, that change the disk
    uint64_t moments = 0;                   // whose disks were made: before each change, and behind the last
    uint64_t moments_complete = 0;          // with every disk there can be
    uint64_t disks = 0;                     // different ones of each moment
    uint64_t torn = 0;                      // of them
    uint64_t lives = 0, starts = 0, starts_cut = 0;
    void add(const Tally& other);
};

/// Stops at the first disk that isn't as it must be; the message names script, call and disk.
Tally enumerate(const Script& script, const Options& options);

/// One sync of a script, and what was asked of the disk right before it.
struct Sync {
    std::string path;
    bool directory = false;
    sim::DiskOp before{};
    std::string before_path;
    uint64_t offset = 0, bytes = 0;  // of that
};
std::string text_of(const Sync& sync);
/// Runs the script as often as it syncs, each time with one sync forgotten: those that nobody missed.
struct Forgotten {
    uint64_t syncs = 0;
    std::vector<Sync> unnoticed;
};
Forgotten forget_each_sync(const Script& script, const Options& options);

}  // namespace raftd::crash
