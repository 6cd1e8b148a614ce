// Appends each argument as a record and says what became of it.
//     append 127.0.0.1:7201 hello world
// Three outcomes: committed (on disk at a majority), refused (nothing happened), unknown (it may have landed:
// look before you append it again).
#include <cstdio>

#include "client/client.h"

using namespace raftd;

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fputs("usage: append HOST:PORT RECORD...\n", stderr);
        return 2;
    }
    client::SessionOptions options;
    options.endpoints = {argv[1]};  // any member; it tells the others' addresses
    auto opened = client::Client::open(options);
    if (!opened) {
        std::fprintf(stderr, "append: %s\n", opened.error().what.c_str());
        return 2;
    }
    client::Client client = std::move(*opened);
    for (int i = 2; i < argc; ++i) {
        const client::Appended done = client.append(argv[i]);
        switch (done.outcome) {
            case client::Outcome::committed:
                std::printf("%llu\n", static_cast<unsigned long long>(raw(done.first)));
                break;
            case client::Outcome::refused:
                std::fprintf(stderr, "append: refused: %s\n", done.why ? done.why->what.c_str() : "");
                return 4;
            case client::Outcome::unknown:
                std::fprintf(stderr, "append: unknown: %s\n", done.why ? done.why->what.c_str() : "");
                return 5;
        }
    }
    return 0;
}
