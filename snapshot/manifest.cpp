// The manifest as canonical JSON: keys sorted, no white space, one newline at the end, so that the same
// content is the same bytes on every machine and its hash can be the chain that a log begins with.
// Parsing accepts only what encode_manifest writes. The only includer of the JSON library in snapshot/.
#include <openssl/evp.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/checksum.h"
#include "base/features.h"
#include "base/uuid.h"
#include "snapshot/data_dir.h"

namespace raftd::snapshot {
namespace {

using Json = nlohmann::json;
constexpr uint64_t kFormat = 1;

Json json_of(const GenesisMember& member) {
    return {{"id", raw(member.id)},
            {"name", member.name},
            {"peer", member.peer},
            {"client", member.client},
            {"incarnation", to_hex(member.incarnation)},
            {"role", member.learner ? "learner" : "voter"},
            {"priority", member.priority}};
}

Error bad(std::string_view why) { return error(Errc::damaged, "manifest: " + std::string(why)); }

// Missing keys and wrong types throw the library's exceptions, which parse_manifest stops.
Uuid uuid_in(const Json& json, const char* key) {
    std::optional<Uuid> id = parse_uuid(json.at(key).get_ref<const std::string&>());
    if (!id) throw std::invalid_argument(std::string(key) + " is not an id");
    return *id;
}

GenesisMember member_in(const Json& json) {
    GenesisMember member;
    member.id = NodeId{json.at("id").get<uint64_t>()};
    member.name = json.at("name").get<std::string>();
    member.peer = json.at("peer").get<std::string>();
    member.client = json.at("client").get<std::string>();
    member.incarnation = uuid_in(json, "incarnation");
    member.learner = json.at("role").get<std::string>() == "learner";
    member.priority = json.at("priority").get<uint8_t>();
    return member;
}

Manifest manifest_in(const Json& json) {
    Manifest manifest;
    manifest.cluster_id = uuid_in(json, "cluster_id");
    manifest.cluster_name = json.at("cluster_name").get<std::string>();
    for (const Json& member : json.at("members")) manifest.members.push_back(member_in(member));
    manifest.at = {Term{json.at("term").get<uint64_t>()}, Index{json.at("index").get<uint64_t>()}};
    manifest.lsn_next = Lsn{json.at("lsn_next").get<uint64_t>()};
    std::optional<Uuid> chain = parse_uuid(to_hex(uint64_t{0}) + json.at("chain").get<std::string>());
    if (!chain) throw std::invalid_argument("chain is not a number of 16 hex digits");
    manifest.chain_before = chain->low;
    if (json.contains("feature_level")) manifest.feature_level = json.at("feature_level").get<uint32_t>();
    if (json.contains("min_members")) manifest.min_members = json.at("min_members").get<uint32_t>();
    if (json.contains("max_members")) manifest.max_members = json.at("max_members").get<uint32_t>();
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

std::string encode_manifest(const Manifest& manifest) {
    Json members = Json::array();
    for (const GenesisMember& member : manifest.members) members.push_back(json_of(member));
    Json json = {{"format", kFormat},
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
    return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
    try {
        Json json = Json::parse(text);
        uint64_t format = json.at("format").get<uint64_t>();
        if (format > kFormat)
            return error(Errc::too_new, "manifest has format " + std::to_string(format) +
                                            ", this version knows " + std::to_string(kFormat));
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
    return point;
}

Membership membership_of(const Manifest& manifest) {
    Membership membership;
    for (const GenesisMember& member : manifest.members)
        membership.now.push_back({.id = member.id, .learner = member.learner, .priority = member.priority});
    return membership;
}

}  // namespace raftd::snapshot
