// Who is at the other end. The only place that builds and reads the handshake's protobuf messages; the rules
// of identity (H6, H7) are here as pure functions, so that they can be tested without a network.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/context.h"

namespace raftd::daemon {

inline constexpr uint32_t kHelloMagic = 0x52414654;
inline constexpr uint32_t kProtocolVersion = 1;

/// A refusal, as in HelloNo.
struct Refusal {
    enum class Code : uint8_t {
        other,
        version,
        other_cluster,
        other_node,
        other_incarnation,
        stale_boot,
        copied_boot,
        busy,
    };
    Code code = Code::other;
    std::string what, hint;
};

/// What both HelloOk and a member's Hello say of the sender.
struct Greeting {
    uint32_t version_min = 0, version_max = 0;
    std::optional<ClusterId> cluster_id;
    NodeId id{};  // 0: a client
    Incarnation incarnation;
    uint32_t features = 1;  // newest feature level that it takes part in
    snapshot::Boot boot;
    std::vector<uint64_t> boots_before;  // nonces of the starts before, newest first
    NodeId expected{};                   // whom the dialer believes to have reached; 0: anybody
    bool probe = false;                  // only asks who answers
    bool bulk = false;                   // will ask for files
    std::string address;                 // where a member that dialed is reached; empty: not told
};
/// What a member's connection is for.
enum class DialFor : uint8_t { messages, probe, bulk };

std::optional<Greeting> decode_hello(ByteView payload);
std::optional<Greeting> decode_hello_ok(ByteView payload);
std::optional<Refusal> decode_hello_no(ByteView payload);
Slice encode_hello(const Context& context, NodeId expected, DialFor what);
/// `leader`: believed to lead, 0 when not known. Members are told of earlier starts besides.
Slice encode_hello_ok(const Context& context, NodeId leader, bool to_member);
Slice encode_hello_no(const Context& context, const Refusal& refusal);

/// Whether a greeting may stand: protocol version, cluster, that it was meant for me, and, for a member, that
/// its identity is the known one and its start follows on the newest one seen: not older than that, and its
/// directory remembers that very start. A directory that was rolled back and then started often enough has
/// a higher number again, but not that nonce at its place.
std::optional<Refusal> judge(const Context& context, const Greeting& greeting);
/// True when this start of the peer is newer than all seen: to be written down before it is answered.
bool is_new_boot(const Context& context, const Greeting& greeting);

}  // namespace raftd::daemon
