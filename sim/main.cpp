// raftsim: runs seeds. First line of output: seed, revision, profile; last line of a failure: the command
// that repeats it. Exit codes: 0 pass, 2 correctness, 3 liveness, 4 a seed that didn't repeat itself, 134 a
// failed check.
#include <chrono>

#include "sim/commands.h"

namespace {

double real_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) { return raftd::sim::run_command(argc, argv, {real_seconds, nullptr}); }
