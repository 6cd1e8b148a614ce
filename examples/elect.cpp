// The algorithm alone: three cores in one program elect a leader, over a network and disks that are a few
// lines here. No daemon, no threads, no real time. What a caller owes to a core, in order: raft/README.md.
#include <cstdio>
#include <deque>
#include <optional>
#include <vector>

#include "raft/core.h"

using namespace raftd;

struct Letter {
    NodeId from;
    raft::Send send;
    std::vector<raft::EntryMeta> entries;
};

struct Node {
    NodeId id;
    raft::Core core;
    std::vector<raft::EntryMeta> log;  // without payloads
};

std::deque<Letter> network;
Instant now{0};

std::vector<raft::EntryMeta> entries_behind(const Node& node, const raft::msg::Append& append) {
    return {node.log.begin() + static_cast<std::ptrdiff_t>(raw(append.prev.index)),
            node.log.begin() + static_cast<std::ptrdiff_t>(raw(append.last))};
}

// Tells a core something, keeps its log in step, then performs all that it owes.
void step(Node& node, raft::Event event, const std::vector<raft::EntryMeta>& entries) {
    const auto taken = node.core.step(event);
    node.log.resize(raw(taken.keep_upto));
    for (const auto& entry : entries)
        if (entry.id.index > taken.keep_upto && entry.id.index <= taken.last) node.log.push_back(entry);

    raft::Output output;
    node.core.collect(output);
    // This "disk" is done at once, so what waits for a write may leave with the rest.
    for (const auto& send : output.send) {
        Letter letter{node.id, send, {}};
        if (const auto* append = std::get_if<raft::msg::Append>(&send.message))
            letter.entries = entries_behind(node, *append);
        network.push_back(std::move(letter));
    }
    if (output.write) step(node, {now, raft::ev::Durable{output.write->id}}, {});
    if (output.want) {  // a new leader's first entry
        const std::vector<raft::EntryMeta> noop{{node.core.next_id(), 96, nullptr}};
        step(node, {now, raft::ev::Propose{noop}}, noop);
    }
}

int main() {
    const Membership members{{{NodeId{1}}, {NodeId{2}}, {NodeId{3}}}, {}, false};
    const std::vector<ConfigAt> genesis{{Index{0}, members}};
    std::vector<Node> nodes;
    for (const Member& member : members.now) {
        raft::Restart empty{};
        empty.configs = genesis;
        empty.boot = 1;
        nodes.push_back({member.id, raft::Core({}, member.id, empty, 7 * raw(member.id), now), {}});
    }
    const auto leader = [&]() -> const Node* {
        for (const Node& node : nodes)
            if (node.core.role() == raft::Role::leader && node.core.commit() > Index{0}) return &node;
        return nullptr;
    };
    while (leader() == nullptr) {
        if (network.empty()) {  // nothing in flight: time passes until somebody has something to do
            Instant next = kNever;
            for (const Node& node : nodes) next = std::min(next, node.core.deadline());
            now = std::max(now, next);
            for (Node& node : nodes) step(node, {now, raft::ev::Tick{}}, {});
            continue;
        }
        const Letter letter = std::move(network.front());
        network.pop_front();
        Node& to = nodes[raw(letter.send.to) - 1];
        step(to, {now, raft::ev::Message{letter.from, letter.send.message, letter.entries}}, letter.entries);
    }
    std::printf("n%llu leads term %llu after %lld ms\n", static_cast<unsigned long long>(raw(leader()->id)),
                static_cast<unsigned long long>(raw(leader()->core.term())),
                static_cast<long long>(now.ns / 1'000'000));
    return 0;
}
