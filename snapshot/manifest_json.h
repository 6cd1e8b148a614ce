// What the two kinds of manifests share of their JSON: only their two files include this, as the library
// costs seconds a file. Missing keys and wrong types throw the library's exceptions, which the parsers stop.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/uuid.h"
#include "snapshot/manifest.h"

namespace raftd::snapshot {

using Json = nlohmann::json;

/// A whole number that fits: the library turns any other one, say 1e99, into whatever the processor makes of
/// it.
template <class T>
T number_in(const Json& json) {
    if (!json.is_number_unsigned() || json.get<uint64_t>() > std::numeric_limits<T>::max())
        throw std::invalid_argument("not a number from 0 to " +
                                    std::to_string(std::numeric_limits<T>::max()));
    return json.get<T>();
}

inline Json json_of(const GenesisMember& member) {
    return {{"id", raw(member.id)},
            {"name", member.name},
            {"peer", member.peer},
            {"client", member.client},
            {"incarnation", to_hex(member.incarnation)},
            {"role", member.learner ? "learner" : "voter"},
            {"priority", member.priority}};
}

inline Uuid uuid_in(const Json& json, const char* key) {
    std::optional<Uuid> id = parse_uuid(json.at(key).get_ref<const std::string&>());
    if (!id) throw std::invalid_argument(std::string(key) + " is not an id");
    return *id;
}

inline GenesisMember member_in(const Json& json) {
    GenesisMember member;
    member.id = NodeId{number_in<uint64_t>(json.at("id"))};
    member.name = json.at("name").get<std::string>();
    member.peer = json.at("peer").get<std::string>();
    member.client = json.at("client").get<std::string>();
    member.incarnation = uuid_in(json, "incarnation");
    member.learner = json.at("role").get<std::string>() == "learner";
    member.priority = number_in<uint8_t>(json.at("priority"));
    return member;
}

inline uint64_t hash_in(const Json& json, const char* key) {
    std::optional<Uuid> hash = parse_uuid(to_hex(uint64_t{0}) + json.at(key).get<std::string>());
    if (!hash) throw std::invalid_argument(std::string(key) + " is not a number of 16 hex digits");
    return hash->low;
}

inline ContentHash content_hash_in(const Json& json, const char* key) {
    const auto& text = json.at(key).get_ref<const std::string&>();
    const std::optional<Uuid> high = parse_uuid(text.substr(0, 32)),
                              low = text.size() == 64 ? parse_uuid(text.substr(32)) : std::nullopt;
    if (!high || !low) throw std::invalid_argument(std::string(key) + " is not 64 hex digits");
    ContentHash hash;
    const uint64_t words[4] = {high->high, high->low, low->high, low->low};
    for (size_t i = 0; i < hash.size(); ++i) hash[i] = static_cast<uint8_t>(words[i / 8] >> (56 - i % 8 * 8));
    return hash;
}

}  // namespace raftd::snapshot
