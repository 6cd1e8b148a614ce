#include "conf/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <vector>

namespace raftd::conf {
namespace {

struct Unit {
    std::string_view name;
    uint64_t factor;
};
// Smallest first; the text form of a value uses the largest that divides it.
constexpr Unit kDurationUnits[] = {
    {"us", 1'000},         {"ms", 1'000'000},        {"s", 1'000'000'000},
    {"m", 60'000'000'000}, {"h", 3'600'000'000'000}, {"d", 86'400'000'000'000}};
constexpr Unit kSizeUnits[] = {
    {"", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}};

std::optional<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
    uint64_t count = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (fault != std::errc{}) return std::nullopt;
    std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
    for (const Unit& known : units)
        if (unit == known.name) {
            if (count > static_cast<uint64_t>(INT64_MAX) / known.factor) return std::nullopt;
            return count * known.factor;
        }
    return std::nullopt;
}

std::string text_with_unit(uint64_t value, std::span<const Unit> units) {
    const Unit* best = &units.front();
    for (const Unit& unit : units)
        if (value != 0 && value % unit.factor == 0) best = &unit;
    return std::to_string(value / best->factor) + std::string(best->name);
}

/// Edits (insert, delete, replace, swap of neighbours) that make one word the other.
size_t edits_between(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    std::iota(cost[0].begin(), cost[0].end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i)
        for (size_t j = 1; j <= b.size(); ++j) {
            size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    return cost[a.size()][b.size()];
}

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    if (text == "0") return Duration{};
    auto ns = parse_with_unit(text, kDurationUnits);
    if (!ns) return std::nullopt;
    return Duration{static_cast<int64_t>(*ns)};
}
std::optional<uint64_t> parse_bytes(std::string_view text) { return parse_with_unit(text, kSizeUnits); }

std::string text_of(Duration duration) {
    return duration.ns <= 0 ? "0" : text_with_unit(static_cast<uint64_t>(duration.ns), kDurationUnits);
}
std::string text_of_bytes(uint64_t bytes) { return text_with_unit(bytes, kSizeUnits); }

std::optional<HostPort> parse_host_port(std::string_view text) {
    size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon), port_text = text.substr(colon + 1);
    bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (host.empty() || (!bracketed && host.find(':') != std::string_view::npos)) return std::nullopt;
    if (host.find_first_of(" \t\"'/\\[]@,") != std::string_view::npos) return std::nullopt;
    uint16_t port = 0;
    auto [end, fault] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (fault != std::errc{} || end != port_text.data() + port_text.size() || port == 0) return std::nullopt;
    return HostPort{std::string(host), port};
}

std::string text_of(const HostPort& address) {
    bool v6 = address.host.find(':') != std::string::npos;
    return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::optional<std::string_view> best;
    size_t best_edits = word.size() / 3 + 2;  // farther than this is another word
    for (std::string_view candidate : candidates) {
        size_t edits = edits_between(word, candidate);
        // A beginning of a longer word is a good guess too ("stat" for "status").
        if (word.size() >= 3 && candidate.starts_with(word)) edits = std::min<size_t>(edits, 1);
        if (edits < best_edits) best = candidate, best_edits = edits;
    }
    return best;
}

std::string toml_text(std::string_view text) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out = "\"";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out.append("\\u00").push_back(kDigits[byte >> 4]);
            out.push_back(kDigits[byte & 15]);
            continue;
        }
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out + "\"";
}

bool valid_name(std::string_view name) {
    if (name.empty() || name.size() > 63 || !is_letter_or_digit(name.front())) return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_loopback(std::string_view address) {
    std::string_view host = address.substr(0, address.rfind(':'));
    if (host == "localhost" || host == "[::1]" || host == "::1") return true;
    if (!host.starts_with("127.")) return false;  // a name like 127.example.org is no address
    return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace raftd::conf
