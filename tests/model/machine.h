// One member of the model: a real core with the log, disk and unsent answers that its caller would keep. A
// value. Time is taken out of it after each step (everybody was just heard, every timer may fire), and so is
// whatever else only counts up, so that states which behave alike are equal.
#pragma once

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "raft/core.h"

namespace raftd::raft::model {

struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// `maker` and `life` stand for the payload: who made the entry, in which of its lives.
struct Entry {
    EntryId id;
    NodeId maker{};
    uint64_t life = 0;
    std::optional<Membership> members;
    bool operator==(const Entry&) const = default;
};

struct Letter {
    NodeId from, to;
    msg::Any message;
    std::vector<Entry> entries;
};

/// Which member takes whose place; by id.
using Renaming = std::array<NodeId, 8>;
Membership renamed(const Membership& members, const Renaming& names);
Entry renamed(Entry entry, const Renaming& names);
Letter renamed(Letter letter, const Renaming& names);

/// Two checksums with different seeds.
struct Key {
    uint64_t high, low;
    bool operator==(const Key&) const = default;
};
struct KeyHash {
    size_t operator()(const Key& key) const { return key.low; }
};
Key key_of(const Letter& letter);
Key key_of(const std::vector<Entry>& entries, const std::vector<uint64_t>& more);

struct Setting {
    Options options;
    Membership genesis;
    bool slow_disk = false;  // writes become durable by an action of their own, and a crash loses the others
};

class Machine {
public:
    Machine(NodeId id, const Setting& setting);

    bool up() const { return core_.has_value(); }
    bool writing() const { return !writes_.empty(); }
    NodeId id() const { return id_; }
    const Core& core() const { return *core_; }
    const std::vector<Entry>& log() const { return up() ? log_ : durable_; }
    const std::vector<Entry>& durable() const { return durable_; }
    Term durable_term() const { return hard_.term; }
    bool has_durable(const Entry& entry) const;

    void start(std::vector<Letter>& out);
    void crash();
    void tick(std::vector<Letter>& out);
    void deliver(const Letter& letter, std::vector<Letter>& out);
    void propose(std::vector<Letter>& out);
    void change(const Membership& target, std::vector<Letter>& out);
    /// The oldest write becomes durable.
    void sync(std::vector<Letter>& out);

    Key key() const;
    Machine renamed(const Renaming& names) const;

private:
    struct Write {
        WriteId id;
        HardState hard;
        Index keep;
        std::vector<Entry> entries;
    };

    void step(decltype(Event::what) what, const std::vector<Entry>& entries);
    void turn(std::vector<Letter>& out);
    void perform(const Output& output, std::vector<Letter>& out);
    void send(const Send& send, std::vector<Letter>& out) const;
    void write_down();
    void normalise();
    void check() const;

    NodeId id_;
    Setting setting_;
    std::optional<Core> core_;
    uint64_t life_ = 0;
    HardState hard_;
    std::vector<Entry> durable_, log_;
    std::vector<Write> writes_;
    std::vector<Send> parked_;
};

}  // namespace raftd::raft::model
