// A load generator that speaks the client protocol by hand, so that what it measures is the server: one
// thread, a few connections, single-record batches. Closed loop (so many in flight) or open loop: each append
// has its intended send time, and its latency counts from then, sent or not (no coordinated omission).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace raftd::bench {

struct LoadOptions {
    std::string address;     // 127.0.0.1:PORT
    bool hello = true;       // shake hands first; the floor doesn't
    uint32_t in_flight = 1;  // closed loop; open loop: the most that may be unanswered
    uint32_t connections = 1;
    uint32_t record_bytes = 256;
    double rate = 0;  // appends a second; 0: closed loop
    double seconds = 5;
    double warm_up = 1;  // not counted
    uint64_t seed = 1;
};

struct LoadResult {
    std::string error;          // empty: fine
    uint64_t acknowledged = 0;  // all, warm-up too
    uint64_t refused = 0;
    uint64_t content = 0;  // sum of the checksums of all acknowledged records
    uint64_t counted = 0;  // acknowledged after the warm-up
    double seconds = 0;
    double per_second = 0, p50_us = 0, p99_us = 0, p999_us = 0, max_us = 0, mean_us = 0;
    double cpu_seconds = 0;  // of the generator
};
LoadResult run_load(const LoadOptions& options);

struct TailResult {
    std::string error;
    uint64_t records = 0, bytes = 0, content = 0, last_lsn = 0;
    double seconds = 0, megabytes_per_second = 0;
};
/// Reads the whole log of one member, checks that LSNs are dense, and sums the same checksums.
TailResult run_tail(const std::string& address);

std::string to_json(const LoadOptions& options, const LoadResult& result);
std::string to_json(const TailResult& result);

}  // namespace raftd::bench
