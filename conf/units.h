// Durations and sizes as people write them: `150ms 2s 5m 1h 7d` and `512 64KiB 1MiB 2GiB`; addresses
// HOST:PORT; and the nearest word to a mistyped one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/instant.h"

namespace raftd::conf {

/// Whole numbers with one unit of us, ms, s, m, h, d. Nothing for anything else, or beyond 292 years.
std::optional<Duration> parse_duration(std::string_view text);
/// A whole number, alone or with KiB, MiB, GiB, TiB.
std::optional<uint64_t> parse_bytes(std::string_view text);
/// The shortest exact form, which the functions above read back.
std::string text_of(Duration duration);
std::string text_of_bytes(uint64_t bytes);

struct HostPort {
    std::string host;  // without brackets
    uint16_t port = 0;
};
/// `HOST:PORT`, `[V6]:PORT`; nothing when there is no host, or no port in 1..65535.
std::optional<HostPort> parse_host_port(std::string_view text);
std::string text_of(const HostPort& address);

/// The candidate that a typist most likely meant, or nothing when none is near.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

/// A TOML text: quotes, backslashes and control bytes escaped.
std::string toml_text(std::string_view text);

/// Names of clusters, members and producers: letters, digits, `.`, `_`, `-`; 1 to 63; begins with a letter or
/// digit.
bool valid_name(std::string_view name);

/// Whether an address `host:port` can be reached from this machine only: localhost, 127.x.x.x, [::1].
bool is_loopback(std::string_view address);

}  // namespace raftd::conf
