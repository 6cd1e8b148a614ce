#include "snapshot/identity.h"

#include <charconv>
#include <map>

#include "base/checksum.h"
#include "base/uuid.h"

namespace raftd::snapshot {
namespace {

constexpr std::string_view kComment =
    "# Who this data directory belongs to. Written once by raftctl; an edit makes it damaged.\n";
constexpr std::string_view kChecksumKey = "checksum = \"";

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

Error bad_identity(std::string_view why) {
    return error(Errc::damaged, "identity.toml: " + std::string(why));
}

using Pairs = std::map<std::string, std::string, std::less<>>;

// The file is a strict part of TOML: comments, and `key = "text"` or `key = number`, without escapes.
Result<Pairs> pairs_in(std::string_view text) {
    Pairs pairs;
    while (!text.empty()) {
        size_t end = text.find('\n');
        if (end == std::string_view::npos) return bad_identity("its last line is cut off");
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 1);
        if (line.empty() || line.front() == '#') continue;
        size_t equals = line.find(" = ");
        if (equals == std::string_view::npos) return bad_identity("not a line of `key = value`");
        std::string_view value = line.substr(equals + 3);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        pairs.emplace(line.substr(0, equals), value);
    }
    return pairs;
}

Result<uint64_t> number_at(const Pairs& pairs, std::string_view key) {
    auto found = pairs.find(key);
    uint64_t value = 0;
    if (found == pairs.end()) return bad_identity(std::string(key) + " is missing");
    const std::string& text = found->second;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc{} || end != text.data() + text.size())
        return bad_identity(std::string(key) + " is not a number");
    return value;
}
Result<Uuid> uuid_in(const Pairs& pairs, std::string_view key) {
    auto found = pairs.find(key);
    std::optional<Uuid> id = found == pairs.end() ? std::nullopt : parse_uuid(found->second);
    if (!id) return bad_identity(std::string(key) + " is missing or not an id");
    return *id;
}
Result<std::string> text_at(const Pairs& pairs, std::string_view key) {
    auto found = pairs.find(key);
    if (found == pairs.end()) return bad_identity(std::string(key) + " is missing");
    return found->second;
}

}  // namespace

std::string encode_identity(const Identity& identity) {
    std::string text(kComment);
    text += "format = 1\n";
    text += "cluster_id = " + quoted(to_hex(identity.cluster_id)) + "\n";
    text += "cluster_name = " + quoted(identity.cluster_name) + "\n";
    text += "id = " + std::to_string(raw(identity.id)) + "\n";
    text += "name = " + quoted(identity.name) + "\n";
    text += "incarnation = " + quoted(to_hex(identity.incarnation)) + "\n";
    uint64_t sum = checksum(as_bytes(text));
    return text + std::string(kChecksumKey) + to_hex(sum) + "\"\n";
}

Result<Identity> parse_identity(std::string_view text) {
    TRY(pairs, pairs_in(text));
    TRY(format, number_at(pairs, "format"));
    if (format > 1)
        return error(Errc::too_new,
                     "identity.toml has format " + std::to_string(format) + ", this version knows 1");
    size_t last = text.rfind(kChecksumKey);
    TRY(sum, text_at(pairs, "checksum"));
    if (last == std::string_view::npos || sum != to_hex(checksum(as_bytes(text.substr(0, last)))))
        return bad_identity("its checksum doesn't match its content");
    TRY(cluster_id, uuid_in(pairs, "cluster_id"));
    TRY(cluster_name, text_at(pairs, "cluster_name"));
    TRY(id, number_at(pairs, "id"));
    TRY(name, text_at(pairs, "name"));
    TRY(incarnation, uuid_in(pairs, "incarnation"));
    return Identity{cluster_id, std::move(cluster_name), NodeId{id}, std::move(name), incarnation};
}

}  // namespace raftd::snapshot
