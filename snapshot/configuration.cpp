#include "snapshot/configuration.h"

#include <algorithm>

#include "base/codec.h"

namespace raftd::snapshot {
namespace {

constexpr uint32_t kLayout = 2;
constexpr uint32_t kMembersMax = 64;
constexpr size_t kTextMax = 300;  // a host name of 253 bytes with its port, or a member's name

void put_half(ByteWriter& writer, const std::vector<Member>& members) {
    writer.put(static_cast<uint32_t>(members.size()));
    for (const Member& member : members) {
        writer.put(raw(member.id));
        writer.put(static_cast<uint32_t>((member.learner ? 1u : 0u) | (member.promote ? 2u : 0u)));
        writer.put(uint32_t{member.priority});
    }
}

bool get_half(ByteReader& reader, std::vector<Member>& members) {
    auto count = reader.get<uint32_t>();
    if (!reader.ok() || count > kMembersMax) return false;
    for (uint32_t i = 0; i < count; ++i) {
        Member member;
        member.id = NodeId{reader.get<uint64_t>()};
        auto flags = reader.get<uint32_t>();
        auto priority = reader.get<uint32_t>();
        member.learner = (flags & 1) != 0;
        member.promote = (flags & 2) != 0;
        member.priority = static_cast<uint8_t>(priority);
        if (member.id == NodeId{} || flags > 3 || priority > 255) return false;
        if (!members.empty() && members.back().id >= member.id) return false;
        members.push_back(member);
    }
    return reader.ok();
}

bool get_info(ByteReader& reader, MemberInfos& infos) {
    MemberInfo info;
    info.id = NodeId{reader.get<uint64_t>()};
    info.incarnation = {reader.get<uint64_t>(), reader.get<uint64_t>()};
    for (std::string* text : {&info.name, &info.peer, &info.client}) {
        *text = reader.text();
        if (!reader.ok() || text->size() > kTextMax) return false;
    }
    if (!infos.empty() && infos.rbegin()->first >= info.id) return false;
    NodeId id = info.id;
    infos.emplace(id, std::move(info));
    return true;
}

}  // namespace

void take_roles(const std::vector<Member>& half, MemberInfos& infos) {
    for (const Member& member : half) {
        auto found = infos.find(member.id);
        if (found == infos.end()) continue;
        found->second.learner = member.learner;
        found->second.priority = member.priority;
    }
}

bool names_all(const Membership& membership, const MemberInfos& infos) {
    size_t named = 0;
    for (const auto& [id, info] : infos) {
        auto is_it = [id = id](const Member& member) { return member.id == id; };
        named += std::any_of(membership.now.begin(), membership.now.end(), is_it) ||
                 std::any_of(membership.next.begin(), membership.next.end(), is_it);
    }
    auto known = [&](const Member& member) { return infos.contains(member.id); };
    return named == infos.size() && std::all_of(membership.now.begin(), membership.now.end(), known) &&
           std::all_of(membership.next.begin(), membership.next.end(), known);
}

std::vector<std::byte> encode_configuration(const Membership& membership, const MemberInfos& infos) {
    ByteWriter writer;
    writer.put(kLayout);
    writer.put(uint32_t{membership.leave_joint ? 1u : 0u});
    put_half(writer, membership.now);
    put_half(writer, membership.next);
    writer.put(static_cast<uint32_t>(infos.size()));
    for (const auto& [id, info] : infos) {
        writer.put(raw(id));
        writer.put(info.incarnation.high);
        writer.put(info.incarnation.low);
        writer.put_text(info.name);
        writer.put_text(info.peer);
        writer.put_text(info.client);
    }
    return writer.take();
}

std::optional<Configuration> decode_configuration(Index index, ByteView body) {
    ByteReader reader(body);
    Configuration config{.index = index, .membership = {}, .infos = {}};
    if (reader.get<uint32_t>() != kLayout) return std::nullopt;
    auto flags = reader.get<uint32_t>();
    config.membership.leave_joint = (flags & 1) != 0;
    if (flags > 1 || !get_half(reader, config.membership.now) || !get_half(reader, config.membership.next))
        return std::nullopt;
    auto count = reader.get<uint32_t>();
    if (!reader.ok() || count > 2 * kMembersMax || config.membership.now.empty()) return std::nullopt;
    for (uint32_t i = 0; i < count; ++i)
        if (!get_info(reader, config.infos)) return std::nullopt;
    if (!reader.done() || !names_all(config.membership, config.infos)) return std::nullopt;
    take_roles(config.membership.now, config.infos);
    take_roles(config.membership.next, config.infos);
    return config;
}

Configuration genesis_configuration(const Manifest& manifest) {
    Configuration config{manifest.at.index, membership_of(manifest), {}};
    for (const auto& member : manifest.members) config.infos.emplace(member.id, member);
    return config;
}

Configuration configuration_at(const Current& current, Index base) {
    Configuration found = genesis_configuration(current.genesis);
    found.index = std::min(found.index, base);  // a new member of a restored cluster begins before it
    if (!current.snapshot) return found;
    bool any = false;
    for (const SnapshotConfig& config : current.snapshot->configs) {
        if (any && config.index > base) break;
        any = true;
        found = {std::min(config.index, base), config.membership, {}};
        for (const MemberInfo& info : config.infos) found.infos.emplace(info.id, info);
    }
    return found;
}

}  // namespace raftd::snapshot
