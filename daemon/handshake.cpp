#include "daemon/handshake.h"

#include <algorithm>

#include "base/features.h"
#include "base/uuid.h"
#include "proto/control.pb.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

void set_id(pb::Id128* to, Uuid id) {
    to->set_high(id.high);
    to->set_low(id.low);
}
Uuid get_id(const pb::Id128& id) { return {id.high(), id.low()}; }

template <class Message>
bool parse(ByteView payload, Message& message) {
    ByteView bytes = proto::message_in(payload);
    return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

Slice frame_of(proto::FrameType type, const google::protobuf::MessageLite& message) {
    std::string bytes = message.SerializeAsString();
    return proto::make_message_frame(type, 0, as_bytes(bytes));
}

/// A program from before feature levels says nothing: it has the first.
uint32_t features_of(uint64_t told) {
    return static_cast<uint32_t>(std::clamp<uint64_t>(told, 1, UINT32_MAX));
}

std::string name_of(const Context& context, NodeId id) {
    auto found = context.members.find(id);
    return found != context.members.end() ? found->second.name : "member " + std::to_string(raw(id));
}

}  // namespace

std::optional<Greeting> decode_hello(ByteView payload) {
    pb::Hello hello;
    if (!parse(payload, hello) || hello.magic() != kHelloMagic) return std::nullopt;
    Greeting greeting;
    greeting.version_min = hello.version_min();
    greeting.version_max = hello.version_max();
    if (hello.has_cluster_id()) greeting.cluster_id = get_id(hello.cluster_id());
    greeting.id = NodeId{hello.node_id()};
    greeting.incarnation = get_id(hello.incarnation());
    greeting.boot = {hello.boot(), hello.boot_nonce()};
    greeting.features = features_of(hello.features());
    greeting.boots_before = {hello.boots_before().begin(), hello.boots_before().end()};
    greeting.expected = NodeId{hello.expect_node_id()};
    greeting.probe = hello.probe();
    greeting.bulk = hello.bulk();
    greeting.address = hello.peer();
    return greeting;
}

std::optional<Greeting> decode_hello_ok(ByteView payload) {
    pb::HelloOk hello;
    if (!parse(payload, hello)) return std::nullopt;
    Greeting greeting;
    greeting.version_min = greeting.version_max = hello.version();
    greeting.cluster_id = get_id(hello.cluster_id());
    greeting.id = NodeId{hello.node_id()};
    greeting.incarnation = get_id(hello.incarnation());
    greeting.boot = {hello.boot(), hello.boot_nonce()};
    greeting.features = features_of(hello.features());
    greeting.boots_before = {hello.boots_before().begin(), hello.boots_before().end()};
    return greeting;
}

std::optional<Refusal> decode_hello_no(ByteView payload) {
    pb::HelloNo no;
    if (!parse(payload, no)) return std::nullopt;
    auto code = no.code() <= 7 ? static_cast<Refusal::Code>(no.code()) : Refusal::Code::other;
    return Refusal{code, no.what(), no.hint()};
}

Slice encode_hello(const Context& context, NodeId expected, DialFor what) {
    pb::Hello hello;
    hello.set_magic(kHelloMagic);
    hello.set_version_min(kProtocolVersion);
    hello.set_version_max(kProtocolVersion);
    set_id(hello.mutable_cluster_id(), context.dir.identity.cluster_id);
    hello.set_node_id(raw(context.dir.identity.id));
    set_id(hello.mutable_incarnation(), context.dir.identity.incarnation);
    hello.set_boot(context.dir.boots.mine.number);
    hello.set_features(feature_level_max());
    hello.set_boot_nonce(context.dir.boots.mine.nonce);
    for (uint64_t nonce : context.dir.boots.before) hello.add_boots_before(nonce);
    hello.set_expect_node_id(raw(expected));
    hello.set_probe(what == DialFor::probe);
    hello.set_bulk(what == DialFor::bulk);
    // Who was added after the other's configuration was made isn't known there by its address.
    auto me = context.members.find(context.dir.identity.id);
    hello.set_peer(me != context.members.end() ? me->second.peer : context.options.peer);
    return frame_of(proto::FrameType::hello, hello);
}

Slice encode_hello_ok(const Context& context, NodeId leader, bool to_member) {
    pb::HelloOk hello;
    hello.set_version(kProtocolVersion);
    set_id(hello.mutable_cluster_id(), context.dir.identity.cluster_id);
    hello.set_node_id(raw(context.dir.identity.id));
    set_id(hello.mutable_incarnation(), context.dir.identity.incarnation);
    hello.set_boot(context.dir.boots.mine.number);
    hello.set_features(feature_level_max());
    hello.set_boot_nonce(context.dir.boots.mine.nonce);
    if (to_member)
        for (uint64_t nonce : context.dir.boots.before) hello.add_boots_before(nonce);
    hello.set_name(context.dir.identity.name);
    hello.set_cluster_name(context.dir.identity.cluster_name);
    hello.set_leader(raw(leader));
    if (leader == context.leader) hello.set_leader_term(raw(context.leader_term));
    hello.set_election_timeout_ms(
        static_cast<uint64_t>(context.options.settings.raft.election_timeout.ns / 1'000'000));
    hello.set_config_index(raw(context.config_index));
    for (const auto& [id, member] : context.members) {
        pb::MemberInfo* info = hello.add_members();
        info->set_id(raw(id));
        info->set_name(member.name);
        info->set_peer(member.peer);
        info->set_client(member.client);
        info->set_voter(!member.learner);
        info->set_priority(member.priority);
    }
    hello.set_record_bytes_max(context.options.settings.log.record_bytes_max);
    hello.set_batch_bytes_max(context.options.settings.raft.batch_bytes_max);
    hello.set_feature_level(context.feature_level);
    for (const Seam& seam : context.seams) {
        pb::Seam& to = *hello.add_seams();
        to.set_index(raw(seam.index));
        to.set_before(seam.before);
        to.set_after(seam.after);
    }
    return frame_of(proto::FrameType::hello_ok, hello);
}

Slice encode_hello_no(const Context& context, const Refusal& refusal) {
    pb::HelloNo no;
    no.set_code(static_cast<pb::HelloNo::Code>(refusal.code));
    no.set_what(refusal.what);
    no.set_hint(refusal.hint);
    set_id(no.mutable_cluster_id(), context.dir.identity.cluster_id);
    return frame_of(proto::FrameType::hello_no, no);
}

namespace {

/// The nonce that the greeter's start `number` had, as its directory remembers it; nothing when it doesn't
/// reach back so far.
std::optional<uint64_t> nonce_of(const Greeting& greeting, uint64_t number) {
    const uint64_t back = greeting.boot.number - number;
    if (back == 0) return greeting.boot.nonce;
    if (back > greeting.boots_before.size()) return std::nullopt;
    return greeting.boots_before[back - 1];
}

std::optional<Refusal> judge_boot(const Context& context, const Greeting& greeting) {
    using Code = Refusal::Code;
    auto found = context.dir.boots.peers.find(greeting.id);
    if (found == context.dir.boots.peers.end()) return std::nullopt;
    const snapshot::Boot& seen = found->second;
    if (greeting.boot.number < seen.number)
        return Refusal{Code::stale_boot,
                       name_of(context, greeting.id) + " comes with start number " +
                           std::to_string(greeting.boot.number) + ", but its start " +
                           std::to_string(seen.number) +
                           " was seen: its data directory was rolled back, or is an old copy",
                       "bring back the newest data directory of this member; an older one may have lost what "
                       "it promised"};
    if (nonce_of(greeting, seen.number).value_or(seen.nonce) != seen.nonce)
        return Refusal{Code::copied_boot,
                       name_of(context, greeting.id) + " comes with start number " +
                           std::to_string(greeting.boot.number) + ", but its start " +
                           std::to_string(seen.number) +
                           " was made by another process than its data directory remembers: the directory "
                           "was copied or rolled back",
                       "keep only the directory that ran last, and remove the other"};
    return std::nullopt;
}

}  // namespace

std::optional<Refusal> judge(const Context& context, const Greeting& greeting) {
    using Code = Refusal::Code;
    const auto& me = context.dir.identity;
    if (greeting.version_min > kProtocolVersion || greeting.version_max < kProtocolVersion)
        return Refusal{Code::version,
                       "speaks protocol versions " + std::to_string(greeting.version_min) + " to " +
                           std::to_string(greeting.version_max) + ", this member only " +
                           std::to_string(kProtocolVersion),
                       "upgrade the older one"};
    if (greeting.cluster_id && *greeting.cluster_id != me.cluster_id)
        return Refusal{
            Code::other_cluster,
            "belongs to cluster " + to_hex(*greeting.cluster_id) + ", this is " + to_hex(me.cluster_id),
            "compare the addresses in cluster.toml with those of the other cluster"};
    if (greeting.expected != NodeId{} && greeting.expected != me.id)
        return Refusal{Code::other_node,
                       "looked for " + name_of(context, greeting.expected) + " and reached " + me.name,
                       "check the addresses in cluster.toml"};
    if (greeting.id == NodeId{}) return std::nullopt;  // a client
    if (!greeting.cluster_id) return Refusal{Code::other, "a member must name its cluster", ""};
    if (greeting.id == me.id)
        return Refusal{Code::copied_boot,
                       "claims to be " + me.name + ", which is running here: its data directory is a copy",
                       "stop one of the two, and remove the copy"};
    auto known = context.members.find(greeting.id);
    if (known != context.members.end() && known->second.incarnation != greeting.incarnation)
        return Refusal{Code::other_incarnation,
                       known->second.name + " comes with incarnation " + to_hex(greeting.incarnation) +
                           ", the cluster knows " + to_hex(known->second.incarnation) +
                           ": its data directory isn't the one that was made for it",
                       "give the member its own data directory back"};
    return judge_boot(context, greeting);
}

bool is_new_boot(const Context& context, const Greeting& greeting) {
    if (greeting.id == NodeId{}) return false;
    auto seen = context.dir.boots.peers.find(greeting.id);
    return seen == context.dir.boots.peers.end() || seen->second.number < greeting.boot.number;
}

}  // namespace raftd::daemon
