// How a simulated process ends itself: fatal() and failed checks throw this, and only the world catches it.
#pragma once

#include <exception>
#include <string>

#include "base/check.h"

namespace raftd::sim {

struct ProcessEnded : std::exception {
    enum Kind : uint8_t { fatal, check, power } kind;
    ExitCode code;
    std::string why;
    ProcessEnded(Kind k, ExitCode c, std::string w) : kind(k), code(c), why(std::move(w)) {}
    const char* what() const noexcept override { return why.c_str(); }
};

/// From here on fatal() and failed checks throw ProcessEnded. Called by each simulated world; harmless again.
void install_hooks();

}  // namespace raftd::sim
