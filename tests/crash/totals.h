// How much the tests of crashes look at, as the command line says, and the sum of it.
#pragma once

#include "tests/crash/enumerator.h"

namespace raftd::crash {

struct Totals {
    Options options;
    std::map<std::string, Tally> scripts;
    Tally all() const;
};
Totals& totals();

/// Enumerates the script within the budget. Every call of it that changes the disk is looked at: the counts
/// are compared, and with `options.disks` at least as many as there are moments, none is left out.
void look_at(const Script& script);

}  // namespace raftd::crash
