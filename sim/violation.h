// What a checker throws: the run ends at once, with the reason and an exit code.
#pragma once

#include <exception>
#include <string>

namespace raftd::sim {

/// Numbers are raftsim's exit codes.
enum class Ending : int { pass = 0, correctness = 2, liveness = 3, not_repeatable = 4, check_failed = 134 };

struct Violation : std::exception {
    Ending kind;
    std::string text;
    Violation(Ending k, std::string t) : kind(k), text(std::move(t)) {}
    const char* what() const noexcept override { return text.c_str(); }
};

}  // namespace raftd::sim
