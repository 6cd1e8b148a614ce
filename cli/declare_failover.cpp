// How `bench failover` is declared.
#include "cli/line.h"

namespace raftd::cli {

void add_failover(CLI::App& bench, Line& line) {
    BenchFailoverOptions& options = line.bench_failover;
    CLI::App* part =
        add_part(&bench, line, "failover",
                 "stops, kills and restarts this machine's leader, and says how long nobody is answered",
                 "raftctl bench failover\nraftctl bench failover --silent 100 --kills 0 --transfers 0",
                 [&line] { return bench_failover(line.context, line.bench_failover); });
    part->add_option("--silent", options.silent, "how often the leader is paused; default 20");
    part->add_option("--kills", options.kills, "how often it is killed and started again; default 20");
    part->add_option("--transfers", options.transfers, "how often it hands over; default 20");
    part->add_option("--rate", options.rate, "appends a second meanwhile; default 500")
        ->check(CLI::Range(1, 100000));
}

}  // namespace raftd::cli
