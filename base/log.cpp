#include "base/log.h"

namespace raftd {

void LogLine::put(std::string_view key, const Printable& value) {
    line_.append(" ").append(key).append("=");
    if (value.kind == Printable::Kind::text)
        quote(value.text);
    else
        line_ += to_string(value);
}

void LogLine::quote(std::string_view text) {
    bool plain = !text.empty();
    for (char c : text)
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
            plain = false;
    if (plain) {
        line_ += text;
        return;
    }
    static constexpr char kHex[] = "0123456789abcdef";
    line_ += '"';
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            line_ += '\\';
            line_ += c;
        } else if (byte < ' ' || byte == 0x7f) {
            line_ += "\\x";
            line_ += kHex[byte >> 4];
            line_ += kHex[byte & 15];
        } else {
            line_ += c;
        }
    }
    line_ += '"';
}

}  // namespace raftd
