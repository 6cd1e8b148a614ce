#include "base/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace raftd {
namespace {
CheckHook check_hook = nullptr;
FatalHook fatal_hook = nullptr;
}  // namespace

void set_check_hook(CheckHook hook) { check_hook = hook; }
void set_fatal_hook(FatalHook hook) { fatal_hook = hook; }

void check_failed(const char* file, int line, const char* expression, const std::string& values) {
    std::string message = std::string(file) + ":" + std::to_string(line) + ": check failed: " + expression;
    if (!values.empty()) message += " (" + values + ")";
    if (CheckHook hook = check_hook) {
        check_hook = nullptr;  // a check that fails inside the hook must not come back here
        struct Restore {
            CheckHook hook;
            ~Restore() { check_hook = hook; }
        } restore{hook};
        hook(message);
    }
    std::fprintf(stderr, "%s\n", message.c_str());
    std::abort();
}

void fatal(ExitCode code, std::string_view why) {
    if (fatal_hook != nullptr) fatal_hook(code, why);
    std::fprintf(stderr, "raftd: %.*s\n", static_cast<int>(why.size()), why.data());
    std::fflush(stderr);
    ::_exit(static_cast<int>(code));
}

}  // namespace raftd
