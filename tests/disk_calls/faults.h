// How many of the faults are tried, and what came of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace raftd::disk_calls {

struct Faults {
    uint64_t step = 5;  // every so many-th N; 1: all
    uint64_t seed = 0;  // which N is the first
    uint64_t runs = 0, kept = 0;
    std::map<std::string, std::map<std::string, uint64_t>> outcomes;  // by fault
};
Faults& faults();

}  // namespace raftd::disk_calls
