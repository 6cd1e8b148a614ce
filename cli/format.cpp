#include "cli/format.h"

#include <algorithm>
#include <cstring>

#include "cli/command.h"

namespace raftd::cli {
namespace {

uint32_t big_endian(std::string_view four) {
    uint32_t value = 0;
    for (char byte : four.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
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

}  // namespace raftd::cli
