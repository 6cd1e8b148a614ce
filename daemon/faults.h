// Faults of a member's links, on purpose: messages to and from its peers are lost, late or doubled, as a bad
// network would have it. For test clusters only; a member whose settings don't allow it never has any. Each
// ends by itself. Sits between Peers and the connections, so it does the same over a real network and in the
// simulator. Loop thread only.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/types.h"
#include "io/world.h"

namespace raftd::daemon {

enum class FaultKind : uint8_t { disconnect, drop, delay, duplicate };
inline constexpr size_t kFaultKinds = 4;
const char* text_of(FaultKind kind);

/// Of the member that has the fault: what it sends, or what comes to it.
enum class Direction : uint8_t { to, from };

struct Fault {
    Instant until{};           // in force before then
    uint32_t per_million = 0;  // of drop and duplicate: how many messages it meets
    Duration delay{};          // of delay: each message is so late, in order
};

class Faults {
public:
    /// What all held messages together may take; past it a message is lost instead of late.
    static constexpr size_t kHeldMessagesMax = 4096;
    static constexpr uint64_t kHeldBytesMax = 32u << 20;

    explicit Faults(uint64_t seed) : random_(seed) {}

    /// A message on its way: to a peer the slices of its frames, or a frame that came from one.
    struct Message {
        NodeId peer;
        Direction direction;
        std::vector<Slice> slices;
        std::optional<io::Frame> frame;
        uint64_t bytes() const;
    };

    /// `peer` 0: all peers, known or not. Replaces what was in force of that kind there.
    void set(FaultKind kind, NodeId peer, Direction direction, const Fault& fault, Instant now);
    void end(FaultKind kind, NodeId peer, Direction direction, Instant now);
    void end_all(Instant now);

    /// Whether anything is in force or held: else messages needn't be shown to meet().
    bool active() const { return active_; }
    /// Neither end can greet the other: some way between them is cut.
    bool cut(NodeId peer, Instant now) const;
    /// Whether the message is to be passed on now. When it is late, or comes twice, take() gives the rest.
    bool meet(Message message, Instant now);
    /// The next held message whose time has come, in order on each way.
    std::optional<Message> take(Instant now);
    /// The connection to a peer ended: what was on its way is lost.
    void lost(NodeId peer);

    Instant deadline() const;
    /// Ends what is over; true when something was.
    bool tick(Instant now);

    struct InForce {
        FaultKind kind;
        Direction direction;
        NodeId peer;  // 0: all
        Fault fault;
        std::vector<NodeId> but{};  // of all: those that it doesn't meet
    };
    std::vector<InForce> in_force(Instant now) const;

    struct Counts {
        uint64_t lost = 0, late = 0, doubled = 0;
        uint64_t overflowed = 0;  // of the lost: those that should have been late
    };
    const Counts& counts() const { return counts_; }

private:
    struct Held {
        Instant due;
        Message message;
    };
    /// One way between this member and a peer.
    struct Way {
        std::array<Fault, kFaultKinds> faults{};
        std::deque<Held> held;
        const Fault& of(FaultKind kind) const { return faults[static_cast<size_t>(kind)]; }
        Fault& of(FaultKind kind) { return faults[static_cast<size_t>(kind)]; }
    };
    using Key = std::pair<NodeId, Direction>;

    const Way& way(NodeId peer, Direction direction) const;
    Way& way(NodeId peer, Direction direction);
    void change(FaultKind kind, NodeId peer, Direction direction, const Fault& fault, Instant now);
    void hold(Way& way, Message message, Instant due);
    static void release(Way& way, Instant now);
    bool hit(const Fault& fault, Instant now);
    void refresh(Instant now);

    Random random_;
    std::array<Way, 2> others_;  // by direction: of peers without a way of their own; holds nothing
    std::map<Key, Way> ways_;
    size_t held_messages_ = 0;
    uint64_t held_bytes_ = 0;
    bool active_ = false;
    Counts counts_;
};

/// One line a kind and direction, for alarms: `fault disconnect to n2, n3`. `name_of` a peer; 0 is "all".
template <class NameOf>
std::vector<std::string> lines_of(const std::vector<Faults::InForce>& faults, NameOf&& name_of) {
    std::vector<std::string> lines;
    const Faults::InForce* before = nullptr;
    for (const Faults::InForce& one : faults) {
        bool goes_on = before != nullptr && before->kind == one.kind && before->direction == one.direction;
        std::string name = one.peer == NodeId{} ? "all" : name_of(one.peer);
        for (NodeId id : one.but) name += " but " + name_of(id);
        if (goes_on)
            lines.back() += ", " + name;
        else
            lines.push_back(std::string("fault ") + text_of(one.kind) +
                            (one.direction == Direction::to ? " to " : " from ") + name);
        before = &one;
    }
    return lines;
}

}  // namespace raftd::daemon
