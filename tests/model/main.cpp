// raft_model: explores a named space of the core breadth-first and says how large it is.
//   raft_model [--states N] [--terms N] [--entries N] [--letters N] [--crashes N] [--doubles N] [NAME ...]
// All without a name. --states: stop there (default: when nothing is left); the others widen or narrow the
// bounds. Exits 1 with the way to it when a state violates an invariant.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/model/explore.h"

using namespace raftd::raft::model;

namespace {
struct Option {
    const char* name;
    uint64_t Bounds::*bound;
    std::optional<uint64_t> value;
};

bool run(const std::string& name, const std::vector<Option>& options, uint64_t states_max) {
    const auto begun = std::chrono::steady_clock::now();
    Bounds bounds = profile(name);
    for (const Option& option : options)
        if (option.value) bounds.*option.bound = *option.value;
    const Found found = explore(bounds, states_max);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    std::printf(
        "%s: %lu states, %lu transitions, depth %zu, %s; %zu different members, %zu letters; %.1f s, %.0f "
        "states/s\n",
        name.c_str(), found.states, found.transitions, found.depth, found.complete ? "complete" : "cut off",
        found.machines, found.letters, took, static_cast<double>(found.states) / took);
    if (!found.violation.empty()) std::printf("violated: %s", found.violation.c_str());
    std::fflush(stdout);
    return found.violation.empty();
}
}  // namespace

int main(int argc, char** argv) {
    uint64_t states_max = UINT32_MAX - 1;
    std::vector<Option> options{{"--terms", &Bounds::terms, {}},
                                {"--entries", &Bounds::entries, {}},
                                {"--letters", &Bounds::letters, {}},
                                {"--crashes", &Bounds::crashes, {}},
                                {"--doubles", &Bounds::doubles, {}}};
    std::vector<std::string> names;
    for (int at = 1; at < argc; ++at) {
        const bool value = argv[at][0] == '-' && at + 1 < argc;
        bool known = !value;
        if (!value) names.emplace_back(argv[at]);
        if (value && std::strcmp(argv[at], "--states") == 0)
            states_max = std::strtoull(argv[at + 1], nullptr, 10), known = true;
        for (Option& option : options)
            if (value && std::strcmp(argv[at], option.name) == 0)
                option.value = std::strtoull(argv[at + 1], nullptr, 10), known = true;
        if (!known) {
            std::fprintf(stderr, "raft_model: unknown option %s\n", argv[at]);
            return 2;
        }
        if (value) ++at;
    }
    if (names.empty()) names = profile_names();
    bool good = true;
    try {
        for (const std::string& name : names) good = run(name, options, states_max) && good;
    } catch (const std::invalid_argument& wrong) {
        std::fprintf(stderr, "raft_model: %s\n", wrong.what());
        return 2;
    }
    return good ? 0 : 1;
}
