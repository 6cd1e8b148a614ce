// Checks that stay on in release builds, and the two ways a process gives up.
//   CHECK*    "can't happen if we are right": prints both values, dumps the black box, aborts (134).
//   fatal()   "the ground moved" (failed sync, damage, divergence): one line, documented exit code.
// DCHECK is for checks that cost linear time: on when RAFTD_DCHECK is defined (dev, sanitizers, sim).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/printable.h"

namespace raftd {

/// Exit codes of raftd (one table, also in docs and `raftctl help exit-codes`).
enum class ExitCode : int {
    ok = 0,
    usage = 2,              // bad configuration
    sync_failed = 20,       // a disk sync failed, or any disk call of a start
    damaged = 21,           // damage that can't be repaired here
    diverged = 22,          // this member contradicts the cluster
    directory_in_use = 23,  // data directory in use, foreign, or half-made
    too_new = 24,           // written by a newer version
};

/// Called once before a failed check aborts; the daemon writes its black box here. May throw (the
/// simulator does, to end one simulated process only).
using CheckHook = void (*)(std::string_view message);
void set_check_hook(CheckHook hook);
/// Called by fatal(); must not return (exit, or throw in the simulator). Default: stderr and _exit.
using FatalHook = void (*)(ExitCode code, std::string_view why);
void set_fatal_hook(FatalHook hook);

[[noreturn]] void check_failed(const char* file, int line, const char* expression);
[[noreturn]] void check_failed(const char* file, int line, const char* expression, const Printable& a,
                               const Printable& b);
[[noreturn]] void fatal(ExitCode code, std::string_view why);

}  // namespace raftd

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) [[unlikely]]                             \
            ::raftd::check_failed(__FILE__, __LINE__, #condition); \
    } while (false)
#define RAFTD_CHECK_OP(a, op, b)                                                                          \
    do {                                                                                                  \
        const auto& check_a_ = (a);                                                                       \
        const auto& check_b_ = (b);                                                                       \
        if (!(check_a_ op check_b_)) [[unlikely]]                                                         \
            ::raftd::check_failed(__FILE__, __LINE__, #a " " #op " " #b, ::raftd::printable_of(check_a_), \
                                  ::raftd::printable_of(check_b_));                                       \
    } while (false)
#define CHECK_EQ(a, b) RAFTD_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) RAFTD_CHECK_OP(a, !=, b)
#define CHECK_LE(a, b) RAFTD_CHECK_OP(a, <=, b)
#define CHECK_LT(a, b) RAFTD_CHECK_OP(a, <, b)
#define CHECK_GE(a, b) RAFTD_CHECK_OP(a, >=, b)
#define CHECK_GT(a, b) RAFTD_CHECK_OP(a, >, b)
#define CHECK_IMPLIES(a, b) CHECK(!(a) || (b))
#define UNREACHABLE() ::raftd::check_failed(__FILE__, __LINE__, "unreachable")
#ifdef RAFTD_DCHECK
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition) static_cast<void>(0)
#endif
