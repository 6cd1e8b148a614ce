// A value on its way into a message. Messages are built from this, so that a file that logs or checks doesn't
// compile a formatter for each type it names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace raftd {

/// A text isn't copied: it must outlive this.
struct Printable {
    enum class Kind : uint8_t { nothing, text, flag, natural, integer, real };
    Kind kind = Kind::nothing;
    uint64_t number = 0;  // an integer's bits
    double real = 0;
    std::string_view text;
};

/// What has no text of its own comes out as "?".
std::string to_string(const Printable& value);

template <class T>
Printable printable_of(const T& value) {
    if constexpr (std::is_same_v<T, bool>)
        return {Printable::Kind::flag, value ? 1u : 0u, 0, {}};
    else if constexpr (std::is_enum_v<T>)
        return printable_of(static_cast<std::underlying_type_t<T>>(value));
    else if constexpr (std::is_floating_point_v<T>)
        return {Printable::Kind::real, 0, static_cast<double>(value), {}};
    else if constexpr (std::is_integral_v<T>)
        return {std::is_signed_v<T> ? Printable::Kind::integer : Printable::Kind::natural,
                static_cast<uint64_t>(value),
                0,
                {}};
    else if constexpr (std::is_convertible_v<const T&, std::string_view>)
        return {Printable::Kind::text, 0, 0, std::string_view(value)};
    else
        return {};
}

}  // namespace raftd
