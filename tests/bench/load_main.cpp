// bench_load append|tail --address HOST:PORT [--in-flight N] [--connections N] [--bytes N] [--rate N]
// [--seconds S]
// [--warm-up S] [--seed N]: one measurement of a running member, as one line of JSON.
#include <cstring>

#include "tests/bench/arguments.h"

int main(int argc, char** argv) {
    using namespace raftd::bench;
    if (argc < 4) {
        std::fputs("usage: bench_load append|tail --address HOST:PORT [--in-flight N] ...\n", stderr);
        return 2;
    }
    LoadOptions options = Arguments(argc, argv, 2).load();
    if (std::strcmp(argv[1], "tail") == 0) {
        TailResult result = run_tail(options.address);
        return print(to_json(result), result.error);
    }
    LoadResult result = run_load(options);
    return print(to_json(options, result), result.error);
}
