// Expected failures are values. `Result<T>` is a T or an Error; an Error is a code that programs act
// on and a short text for people. Nothing is built when all goes well.
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <utility>

namespace raftd {

/// What went wrong, in the words of the command contract; each maps to one exit code of raftctl.
enum class Errc : uint16_t {
    ok = 0,
    failed,       // nothing more precise
    bad_input,    // usage, configuration or record refused
    unreachable,  // no endpoint answered; nothing was sent
    unavailable,  // no leader, no quorum, busy, disk full: nothing happened
    unknown,      // an append may have landed
    not_found,    // beyond the end, trimmed, no such thing
    conflict,     // exists, in use, condition not met
    damaged,      // bytes are not what was written
    denied,       // not allowed
    degraded,     // works, but a member is missing
    too_new,      // written by a newer version
    io,           // the operating system refused
    closed,       // the connection ended
};

struct Error {
    Errc code = Errc::failed;
    std::string what;  // one clause: what, where and why
    std::string hint;  // a command or step that changes the outcome; may be empty
};

template <class T>
using Result = boost::system::result<T, Error>;

[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw std::runtime_error(error.what);
}

inline Error error(Errc code, std::string what, std::string hint = {}) {
    return {code, std::move(what), std::move(hint)};
}

}  // namespace raftd

/// Unwraps a Result into `name`, or returns its error.
#define TRY(name, expression)                           \
    auto name##_result_ = (expression);                 \
    if (!name##_result_) return name##_result_.error(); \
    auto name = std::move(*name##_result_)
/// Returns the error of a Result<void>, if there is one.
#define TRY_VOID(expression) \
    if (auto try_result_ = (expression); !try_result_) return try_result_.error()
