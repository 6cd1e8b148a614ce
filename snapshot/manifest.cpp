// The manifest as canonical JSON: keys sorted, no white space, one newline at the end, so that the same
// content is the same bytes on every machine and its hash can be the chain that a log begins with.
// Parsing accepts only what encode_manifest writes. Read next: snapshot/snapshot_manifest.cpp.
#include <openssl/evp.h>

#include <array>

#include "base/checksum.h"
#include "base/features.h"
#include "base/uuid.h"
#include "snapshot/manifest.h"
#include "snapshot/manifest_json.h"

namespace raftd::snapshot {
namespace {

// 1: by init; 3: of a restored cluster. 2 is a snapshot's (snapshot/snapshot_manifest.cpp).
constexpr uint64_t kFormat = 1, kRestoredFormat = 3;

Error bad(std::string_view why) { return error(Errc::damaged, "manifest: " + std::string(why)); }

Manifest manifest_in(const Json& json) {
    Manifest manifest;
    manifest.cluster_id = uuid_in(json, "cluster_id");
    manifest.cluster_name = json.at("cluster_name").get<std::string>();
    for (const Json& member : json.at("members")) manifest.members.push_back(member_in(member));
    manifest.at = {Term{number_in<uint64_t>(json.at("term"))}, Index{number_in<uint64_t>(json.at("index"))}};
    manifest.lsn_next = Lsn{number_in<uint64_t>(json.at("lsn_next"))};
    manifest.chain_before = hash_in(json, "chain");
    if (json.contains("feature_level"))
        manifest.feature_level = number_in<uint32_t>(json.at("feature_level"));
    if (json.contains("min_members")) manifest.min_members = number_in<uint32_t>(json.at("min_members"));
    if (json.contains("max_members")) manifest.max_members = number_in<uint32_t>(json.at("max_members"));
    if (!manifest.restored()) return manifest;
    manifest.timestamp_ms = number_in<uint64_t>(json.at("timestamp_ms"));
    manifest.content = content_hash_in(json, "content");
    return manifest;
}

}  // namespace

Incarnation genesis_incarnation(ClusterId cluster, NodeId member) {
    std::string text = to_hex(cluster) + ":" + std::to_string(raw(member));
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int bytes = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &bytes, EVP_sha256(), nullptr) != 1) return {};
    Incarnation incarnation;
    for (size_t i = 0; i < 8; ++i) {
        incarnation.high = incarnation.high << 8 | digest[i];
        incarnation.low = incarnation.low << 8 | digest[i + 8];
    }
    return incarnation;
}

std::string manifest_name(const Manifest& genesis) {
    return "manifest-" + std::to_string(raw(genesis.at.index)) + ".json";
}

std::string encode_manifest(const Manifest& manifest) {
    Json members = Json::array();
    for (const GenesisMember& member : manifest.members) members.push_back(json_of(member));
    Json json = {{"format", manifest.restored() ? kRestoredFormat : kFormat},
                 {"cluster_id", to_hex(manifest.cluster_id)},
                 {"cluster_name", manifest.cluster_name},
                 {"members", std::move(members)},
                 {"index", raw(manifest.at.index)},
                 {"term", raw(manifest.at.term)},
                 {"lsn_next", raw(manifest.lsn_next)},
                 {"chain", to_hex(manifest.chain_before)}};
    if (manifest.feature_level > 1) json["feature_level"] = manifest.feature_level;
    if (manifest.min_members != 0) json["min_members"] = manifest.min_members;
    if (manifest.max_members != 0) json["max_members"] = manifest.max_members;
    if (manifest.restored()) {
        json["timestamp_ms"] = manifest.timestamp_ms;
        json["content"] = to_hex(manifest.content);
    }
    return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
    try {
        Json json = Json::parse(text);
        uint64_t format = number_in<uint64_t>(json.at("format"));
        if (format != kFormat && format != kRestoredFormat)
            return error(Errc::too_new, "manifest has format " + std::to_string(format) +
                                            ", this version knows " + std::to_string(kRestoredFormat));
        Manifest manifest = manifest_in(json);
        if (manifest.feature_level > feature_level_max())
            return error(Errc::too_new,
                         "the manifest asks for feature level " + std::to_string(manifest.feature_level) +
                             ", this version knows " + std::to_string(feature_level_max()),
                         "install the version that the other members run, then start this one again");
        if (encode_manifest(manifest) != text) return bad("is not in canonical form");
        return manifest;
    } catch (const std::exception& e) {
        return bad(e.what());
    }
}

LogPoint genesis_point(const Manifest& manifest) {
    LogPoint point;
    point.index = manifest.at.index;
    point.term = manifest.at.term;
    point.chain = checksum(as_bytes(encode_manifest(manifest)));
    point.lsn_next = manifest.lsn_next;
    point.timestamp_ms = manifest.timestamp_ms;
    return point;
}

LogPoint empty_base(const Manifest& manifest) {
    const LogPoint point = genesis_point(manifest);
    if (!manifest.restored()) return point;
    return {.index = {}, .term = {}, .chain = point.chain, .lsn_next = Lsn{1}, .timestamp_ms = 0};
}

Membership membership_of(const Manifest& manifest) {
    Membership membership;
    for (const GenesisMember& member : manifest.members)
        membership.now.push_back({.id = member.id, .learner = member.learner, .priority = member.priority});
    return membership;
}

}  // namespace raftd::snapshot
