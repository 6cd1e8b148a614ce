// The manifest of a snapshot as canonical JSON, and back. Beside manifest.cpp the only includer of the JSON
// library in snapshot/.
#include "base/checksum.h"
#include "base/features.h"
#include "snapshot/manifest_json.h"
#include "snapshot/snapshot_dir.h"

namespace raftd::snapshot {
namespace {

constexpr uint64_t kSnapshotFormat = 2;

Error bad_manifest(std::string_view why) {
    return error(Errc::damaged, "the snapshot's manifest: " + std::string(why));
}

Json json_of(const LogPoint& point) {
    return {{"index", raw(point.index)},
            {"term", raw(point.term)},
            {"chain", to_hex(point.chain)},
            {"lsn_next", raw(point.lsn_next)},
            {"timestamp_ms", point.timestamp_ms}};
}

LogPoint point_in(const Json& json) {
    return {Index{number_in<uint64_t>(json.at("index"))}, Term{number_in<uint64_t>(json.at("term"))},
            hash_in(json, "chain"), Lsn{number_in<uint64_t>(json.at("lsn_next"))},
            number_in<uint64_t>(json.at("timestamp_ms"))};
}

Json json_of(const std::vector<Member>& half) {
    Json list = Json::array();
    for (const Member& member : half)
        list.push_back({{"id", raw(member.id)},
                        {"learner", member.learner},
                        {"promote", member.promote},
                        {"priority", member.priority}});
    return list;
}

std::vector<Member> half_in(const Json& json) {
    std::vector<Member> half;
    for (const Json& member : json)
        half.push_back({NodeId{number_in<uint64_t>(member.at("id"))}, member.at("learner").get<bool>(),
                        member.at("promote").get<bool>(), number_in<uint8_t>(member.at("priority"))});
    return half;
}

Json json_of(const SnapshotConfig& config) {
    Json infos = Json::array();
    for (const GenesisMember& info : config.infos) infos.push_back(snapshot::json_of(info));
    return {{"index", raw(config.index)},
            {"now", json_of(config.membership.now)},
            {"next", json_of(config.membership.next)},
            {"leave_joint", config.membership.leave_joint},
            {"members", std::move(infos)}};
}

SnapshotConfig config_in(const Json& json) {
    SnapshotConfig config;
    config.index = Index{number_in<uint64_t>(json.at("index"))};
    config.membership.now = half_in(json.at("now"));
    config.membership.next = half_in(json.at("next"));
    config.membership.leave_joint = json.at("leave_joint").get<bool>();
    for (const Json& info : json.at("members")) config.infos.push_back(member_in(info));
    return config;
}

/// As json_of would be written. There may be thousands, each time: the library takes ten times as long.
void append_text(std::string& text, const LogPoint& point) {
    text.append("{\"chain\":\"").append(to_hex(point.chain));
    text.append("\",\"index\":").append(std::to_string(raw(point.index)));
    text.append(",\"lsn_next\":").append(std::to_string(raw(point.lsn_next)));
    text.append(",\"term\":").append(std::to_string(raw(point.term)));
    text.append(",\"timestamp_ms\":").append(std::to_string(point.timestamp_ms)).append("}");
}

void append_text(std::string& text, const ArchiveInfo& archive) {
    append_text(text.append("{\"before\":"), archive.before);
    text.append(",\"content_bytes\":").append(std::to_string(archive.content_bytes));
    append_text(text.append(",\"end\":"), archive.end);
    text.append(",\"file_bytes\":").append(std::to_string(archive.file_bytes));
    text.append(",\"sha256\":\"").append(to_hex(archive.hash)).append("\"}");
}

ArchiveInfo archive_in(const Json& json) {
    return {point_in(json.at("before")), point_in(json.at("end")),
            number_in<uint64_t>(json.at("content_bytes")), number_in<uint64_t>(json.at("file_bytes")),
            content_hash_in(json, "sha256")};
}

SnapshotManifest manifest_in(const Json& json) {
    SnapshotManifest manifest;
    manifest.cluster_id = uuid_in(json, "cluster_id");
    manifest.cluster_name = json.at("cluster_name").get<std::string>();
    manifest.genesis_name = json.at("genesis").get<std::string>();
    manifest.genesis_hash = hash_in(json, "genesis_hash");
    if (json.contains("seams"))
        for (const Json& seam : json.at("seams"))
            manifest.seams.push_back({Index{number_in<uint64_t>(seam.at("index"))}, hash_in(seam, "before"),
                                      hash_in(seam, "after")});
    manifest.at = point_in(json.at("at"));
    manifest.revision = number_in<uint64_t>(json.at("revision"));
    manifest.feature_level = number_in<uint32_t>(json.at("feature_level"));
    for (const Json& config : json.at("configurations")) manifest.configs.push_back(config_in(config));
    for (const Json& id : json.at("used_ids")) manifest.used_ids.insert(NodeId{number_in<uint64_t>(id)});
    const Json& state = json.at("state");
    manifest.state = {state_file_name(manifest.at.index), number_in<uint64_t>(state.at("bytes")),
                      content_hash_in(state, "sha256")};
    for (const Json& archive : json.at("archives")) manifest.archives.push_back(archive_in(archive));
    return manifest;
}

/// Why the parts contradict each other; nothing when they don't.
std::optional<std::string> contradiction(const SnapshotManifest& manifest) {
    if (manifest.archives.empty() || manifest.behind(manifest.archives.back().end) != manifest.at)
        return "the archives don't end where the snapshot stands";
    for (size_t i = 0; i < manifest.archives.size(); ++i) {
        const ArchiveInfo& archive = manifest.archives[i];
        if (archive.end.index <= archive.before.index ||
            (i != 0 && manifest.behind(manifest.archives[i - 1].end) != archive.before))
            return "the archives don't join";
    }
    if (manifest.configs.empty() || manifest.configs.back().index > manifest.at.index)
        return "no configuration at the snapshot";
    for (size_t i = 1; i < manifest.configs.size(); ++i)
        if (manifest.configs[i - 1].index >= manifest.configs[i].index)
            return "the configurations aren't in order";
    if (manifest.genesis_name.empty() || manifest.genesis_name.find('/') != std::string::npos)
        return "no name of a genesis";
    return std::nullopt;
}

}  // namespace

std::string SnapshotManifest::name() const {
    std::string text = "manifest-" + std::to_string(raw(at.index));
    if (revision != 0) text += "-" + std::to_string(revision);
    return text + ".json";
}

std::string encode_snapshot(const SnapshotManifest& manifest) {
    Json configs = Json::array(), ids = Json::array();
    for (const SnapshotConfig& config : manifest.configs) configs.push_back(json_of(config));
    for (NodeId id : manifest.used_ids) ids.push_back(raw(id));
    Json json = {{"format", kSnapshotFormat},
                 {"cluster_id", to_hex(manifest.cluster_id)},
                 {"cluster_name", manifest.cluster_name},
                 {"genesis", manifest.genesis_name},
                 {"genesis_hash", to_hex(manifest.genesis_hash)},
                 {"at", json_of(manifest.at)},
                 {"revision", manifest.revision},
                 {"feature_level", manifest.feature_level},
                 {"configurations", std::move(configs)},
                 {"used_ids", std::move(ids)},
                 {"state", {{"bytes", manifest.state.bytes}, {"sha256", to_hex(manifest.state.hash)}}}};
    for (const Seam& seam : manifest.seams)
        json["seams"].push_back(
            {{"index", raw(seam.index)}, {"before", to_hex(seam.before)}, {"after", to_hex(seam.after)}});
    std::string text = "{\"archives\":[";  // the first of all keys
    for (const ArchiveInfo& archive : manifest.archives) {
        append_text(text, archive);
        text += ',';
    }
    if (!manifest.archives.empty()) text.pop_back();
    text.append("],").append(json.dump(-1, ' ', true, Json::error_handler_t::replace).substr(1));
    return text + "\n";
}

Result<SnapshotManifest> parse_snapshot(std::string_view text) {
    try {
        const Json json = Json::parse(text);
        const auto format = number_in<uint64_t>(json.at("format"));
        if (format > kSnapshotFormat)
            return error(Errc::too_new, "the snapshot's manifest has format " + std::to_string(format) +
                                            ", this version knows " + std::to_string(kSnapshotFormat));
        if (format != kSnapshotFormat) return bad_manifest("is a genesis");
        SnapshotManifest manifest = manifest_in(json);
        if (manifest.feature_level > feature_level_max())
            return error(Errc::too_new,
                         "the snapshot asks for feature level " + std::to_string(manifest.feature_level) +
                             ", this version knows " + std::to_string(feature_level_max()),
                         "install the version that the other members run, then start this one again");
        if (auto why = contradiction(manifest)) return bad_manifest(*why);
        if (encode_snapshot(manifest) != text) return bad_manifest("is not in canonical form");
        return manifest;
    } catch (const std::exception& e) {
        return bad_manifest(e.what());
    }
}

}  // namespace raftd::snapshot
