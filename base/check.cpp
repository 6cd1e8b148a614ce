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

namespace {
[[noreturn]] void fail(const std::string& message) {
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
std::string what_failed(const char* file, int line, const char* expression) {
    return std::string(file) + ":" + std::to_string(line) + ": check failed: " + expression;
}
}  // namespace

void check_failed(const char* file, int line, const char* expression) {
    fail(what_failed(file, line, expression));
}

void check_failed(const char* file, int line, const char* expression, const Printable& a,
                  const Printable& b) {
    fail(what_failed(file, line, expression) + " (" + to_string(a) + " vs " + to_string(b) + ")");
}

std::string to_string(const Printable& value) {
    switch (value.kind) {
        case Printable::Kind::text: return std::string(value.text);
        case Printable::Kind::flag: return value.number != 0 ? "true" : "false";
        case Printable::Kind::natural: return std::to_string(value.number);
        case Printable::Kind::integer: return std::to_string(static_cast<int64_t>(value.number));
        case Printable::Kind::real: return std::to_string(value.real);
        case Printable::Kind::nothing: break;
    }
    return "?";
}

void fatal(ExitCode code, std::string_view why) {
    if (fatal_hook != nullptr) fatal_hook(code, why);
    std::fprintf(stderr, "raftd: %.*s\n", static_cast<int>(why.size()), why.data());
    std::fflush(stderr);
    ::_exit(static_cast<int>(code));
}

}  // namespace raftd
