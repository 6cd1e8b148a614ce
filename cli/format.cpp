#include "cli/format.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "cli/command.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

uint32_t big_endian(std::string_view four) {
    uint32_t value = 0;
    for (char byte : four.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

std::optional<int> take_number(std::string_view& text, size_t digits) {
    if (text.size() < digits) return std::nullopt;
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return value;
}

bool take_char(std::string_view& text, char wanted) {
    if (text.empty() || text[0] != wanted) return false;
    text.remove_prefix(1);
    return true;
}

/// Seconds to be taken off for `Z`, `+01:00`, `-0530`; nothing when it isn't a zone.
std::optional<int> parse_zone(std::string_view text) {
    if (text == "Z" || text == "z") return 0;
    int sign = take_char(text, '+') ? 1 : take_char(text, '-') ? -1 : 0;
    auto hours = take_number(text, 2);
    take_char(text, ':');
    auto minutes = take_number(text, 2);
    if (sign == 0 || !hours || !minutes || !text.empty()) return std::nullopt;
    return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

std::optional<Framing> parse_framing(std::string_view word) {
    if (word == "lines") return Framing::lines;
    if (word == "nul") return Framing::nul;
    if (word == "raw") return Framing::raw;
    if (word == "length") return Framing::length;
    return std::nullopt;
}

std::optional<DataAs> parse_data_as(std::string_view word) {
    if (word == "auto") return DataAs::automatic;
    if (word == "text") return DataAs::text;
    if (word == "base64") return DataAs::base64;
    return std::nullopt;
}

Error Splitter::too_long(uint64_t bytes) const {
    const char* unit = framing_ == Framing::lines ? "line " : "record ";
    return error(Errc::bad_input, unit + std::to_string(number()) + " is over the limit: at least " +
                                      std::to_string(bytes) + " bytes, and a record has at most " +
                                      std::to_string(max_));
}

Result<void> Splitter::add(ByteView record, std::vector<ByteView>& records) {
    if (record.size() > max_) return too_long(record.size());
    records.push_back(record);
    ++number_;
    return {};
}

Result<void> Splitter::feed_lengths(ByteView piece, std::vector<ByteView>& records) {
    while (!piece.empty()) {
        uint64_t wanted = carry_.size() < 4 ? 4 : 4 + uint64_t{big_endian(carry_)};
        if (carry_.size() >= 4 && wanted - 4 > max_) return too_long(wanted - 4);
        if (carry_.empty() && piece.size() >= 4) {  // whole in this piece: no copy
            uint64_t length = big_endian(as_text(piece));
            if (piece.size() - 4 >= length) {
                TRY_VOID(add(piece.subspan(4, length), records));
                piece = piece.subspan(4 + length);
                continue;
            }
        }
        uint64_t taken = std::min<uint64_t>(wanted - carry_.size(), piece.size());
        carry_ += as_text(piece.first(taken));
        piece = piece.subspan(taken);
        if (carry_.size() < 4 || carry_.size() < 4 + uint64_t{big_endian(carry_)}) continue;
        whole_ = carry_.substr(4);
        carry_.clear();
        TRY_VOID(add(as_bytes(whole_), records));
    }
    return {};
}

Result<void> Splitter::feed(ByteView piece, std::vector<ByteView>& records) {
    if (framing_ == Framing::length) return feed_lengths(piece, records);
    const char end = framing_ == Framing::nul ? '\0' : '\n';
    std::string_view text = as_text(piece);
    while (framing_ != Framing::raw) {
        size_t at = text.find(end);
        if (at == std::string_view::npos) break;
        if (carry_.empty()) {
            TRY_VOID(add(as_bytes(text.substr(0, at)), records));
        } else {
            carry_ += text.substr(0, at);
            whole_ = std::exchange(carry_, {});
            TRY_VOID(add(as_bytes(whole_), records));
        }
        text.remove_prefix(at + 1);
    }
    carry_ += text;
    if (carry_.size() > max_) return too_long(carry_.size());
    return {};
}

Result<void> Splitter::finish(std::vector<ByteView>& records) {
    if (framing_ == Framing::length && !carry_.empty())
        return error(Errc::bad_input,
                     "record " + std::to_string(number()) + " is cut off: the input ended in it");
    if (carry_.empty() && framing_ != Framing::raw) return {};
    whole_ = std::exchange(carry_, {});
    return add(as_bytes(whole_), records);
}

void write_record(std::string& into, Framing framing, ByteView data, bool escape) {
    if (framing == Framing::length) {
        auto length = static_cast<uint32_t>(data.size());
        for (int shift = 24; shift >= 0; shift -= 8)
            into.push_back(static_cast<char>(length >> shift & 0xff));
    }
    if (escape)
        into += printable(as_text(data));
    else
        into += as_text(data);
    if (framing == Framing::lines) into.push_back('\n');
    if (framing == Framing::nul) into.push_back('\0');
}

bool is_utf8(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        auto first = static_cast<unsigned char>(text[i++]);
        if (first < 0x80) continue;
        int more = first >= 0xc2 && first < 0xe0   ? 1
                   : (first & 0xf0) == 0xe0        ? 2
                   : first >= 0xf0 && first < 0xf5 ? 3
                                                   : 0;
        if (more == 0) return false;
        for (int k = 0; k < more; ++k, ++i) {
            auto byte = i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
            // The second byte rules out longer forms than needed, surrogates, and what lies beyond U+10FFFF.
            unsigned low = k > 0 ? 0x80u : first == 0xe0 ? 0xa0u : first == 0xf0 ? 0x90u : 0x80u;
            unsigned high = k > 0 ? 0xbfu : first == 0xed ? 0x9fu : first == 0xf4 ? 0x8fu : 0xbfu;
            if (byte < low || byte > high) return false;
        }
    }
    return true;
}

std::string base64(ByteView bytes) {
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; ++k)
            group = group << 8 | (i + k < bytes.size() ? static_cast<uint32_t>(bytes[i + k]) : 0u);
        for (size_t k = 0; k < 4; ++k)
            text.push_back(i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=');
    }
    return text;
}

std::string data_member(ByteView data, DataAs as) {
    bool text = as == DataAs::text || (as == DataAs::automatic && is_utf8(as_text(data)));
    if (text) return "\"data\":" + json_text(as_text(data));
    return "\"data_base64\":\"" + base64(data) + "\"";
}

std::optional<int64_t> parse_time(std::string_view text) {
    if (!text.empty() && text.size() <= 12 && text.find_first_not_of("0123456789") == std::string_view::npos)
        return std::stoll(std::string(text)) * 1000;
    std::tm parts{};
    auto year = take_number(text, 4);
    if (!year || !take_char(text, '-')) return std::nullopt;
    auto month = take_number(text, 2);
    if (!month || !take_char(text, '-')) return std::nullopt;
    auto day = take_number(text, 2);
    if (!day || *month < 1 || *month > 12 || *day < 1 || *day > 31) return std::nullopt;
    parts.tm_year = *year - 1900;
    parts.tm_mon = *month - 1;
    parts.tm_mday = *day;
    parts.tm_isdst = -1;
    if (take_char(text, 'T') || take_char(text, ' ')) {
        auto hour = take_number(text, 2);
        if (!hour || *hour > 23 || !take_char(text, ':')) return std::nullopt;
        auto minute = take_number(text, 2);
        if (!minute || *minute > 59) return std::nullopt;
        parts.tm_hour = *hour;
        parts.tm_min = *minute;
        if (take_char(text, ':')) {
            auto second = take_number(text, 2);
            if (!second || *second > 60) return std::nullopt;
            parts.tm_sec = *second;
        }
    }
    if (text.empty()) return int64_t{::mktime(&parts)} * 1000;
    auto zone = parse_zone(text);
    if (!zone) return std::nullopt;
    parts.tm_isdst = 0;
    return (int64_t{::timegm(&parts)} - *zone) * 1000;
}

Result<Place> parse_place(std::string_view text, int64_t now_ms) {
    using Kind = Place::Kind;
    if (text == "first") return Place{Kind::first, 0};
    if (text == "end") return Place{Kind::end, 0};
    bool digits =
        !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string_view::npos;
    if (digits && text.find_first_not_of('0') != std::string_view::npos)
        return Place{Kind::lsn, std::stoull(std::string(text))};
    if (text.size() > 1 && text[0] == '-') {
        if (auto ago = conf::parse_duration(text.substr(1)))
            return Place{Kind::time,
                         static_cast<uint64_t>(std::max<int64_t>(now_ms - ago->ns / 1'000'000, 0))};
    }
    if (text.size() > 1 && text[0] == '@') {
        if (auto time = parse_time(text.substr(1)))
            return Place{Kind::time, static_cast<uint64_t>(std::max<int64_t>(*time, 0))};
    }
    return error(Errc::bad_input, "\"" + std::string(text) + "\" is no place in the log",
                 "an LSN from 1 on, first, end, @2026-11-20T10:00, or -2h");
}

}  // namespace raftd::cli
