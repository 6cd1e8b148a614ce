// `raftctl bench append|tail`: what this cluster does for one client, measured at the client.
#pragma once

#include "cli/command.h"

namespace raftd::cli {

struct BenchAppendOptions {
    uint32_t record_bytes = 256;  // --size
    uint32_t batch = 1;           // --batch: records of one append
    uint32_t in_flight = 1;       // --in-flight: appends under way (closed loop)
    uint32_t rate = 0;            // --rate: appends a second, sent when due whatever is under way (open loop)
    Duration duration = seconds(10);  // --duration, after the warm-up
    Duration warm_up = seconds(1);    // --warm-up: not counted
    bool no_producer = false;         // --no-producer: to see what numbering costs
};
/// Closed loop: the next append goes when one is answered. Open loop: latency counts from the instant an
/// append was due, so that a stall is seen by all that it held up.
Exit bench_append(const Context& context, const BenchAppendOptions& options);

struct BenchTailOptions {
    bool local = false;
    std::string node;
};
/// Reads the whole log once.
Exit bench_tail(const Context& context, const BenchTailOptions& options);

}  // namespace raftd::cli
