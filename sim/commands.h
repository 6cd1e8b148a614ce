// The command line of raftsim and raftsim_planted.
#pragma once

#include <string>
#include <string_view>

namespace raftd::sim {

/// What only a program has: real time (for the speed), and planted bugs (null where none are linked in).
struct Outside {
    double (*seconds)();  // since some moment
    bool (*plant)(std::string_view name);
};
int run_command(int argc, char** argv, const Outside& outside);

}  // namespace raftd::sim
