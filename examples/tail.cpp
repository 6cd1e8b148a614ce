// Prints the first records of a cluster, then goes on with new ones as they commit.
//     tail 127.0.0.1:7203 5        ends after five records
// From any member; when it goes away, the next one continues without gap or repeat.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "client/client.h"

using namespace raftd;

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: tail HOST:PORT COUNT\n", stderr);
        return 2;
    }
    client::SessionOptions options;
    options.endpoints = {argv[1]};
    auto client = client::Client::open(options);
    if (!client) {
        std::fprintf(stderr, "tail: %s\n", client.error().what.c_str());
        return 2;
    }
    client::TailOptions from_first;
    from_first.follow = true;
    client::Tail tail = client->tail(from_first);
    std::array<client::Record, 64> records;  // their bytes are valid until the next call of next()
    for (long left = std::strtol(argv[2], nullptr, 10); left > 0 && !tail.ended();) {
        const size_t came = tail.next(records, seconds(1));
        for (size_t i = 0; i < came && left > 0; ++i, --left) {
            std::printf("%llu ", static_cast<unsigned long long>(raw(records[i].lsn)));
            std::fwrite(records[i].data.data(), 1, records[i].data.size(), stdout);
            std::putchar('\n');
        }
    }
    if (const auto failure = tail.failure()) {
        std::fprintf(stderr, "tail: %s\n", failure->what.c_str());
        return 1;
    }
    return 0;
}
