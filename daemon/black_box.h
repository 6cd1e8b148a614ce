// The last thousands of events of a core, with its state before them: after a failed check they are written
// to a file, and `raftsim --replay FILE` runs them again, to the same failure. Two halves take turns: a half
// begins with the whole state of the core, so that the older one can be thrown away. Loop thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "raft/core.h"

namespace raftd::daemon {

class BlackBox {
public:
    explicit BlackBox(bool on) : on_(on) {}

    /// Before the core takes the event. `core`: as it is before.
    void stepping(const raft::Core& core, const raft::Event& event);
    /// Before collect.
    void collecting(const raft::Core& core);
    /// The file's bytes; empty when the box is off.
    std::vector<std::byte> bytes() const;

private:
    struct Half {
        std::vector<std::byte> state;
        std::vector<std::byte> items;
        uint32_t count = 0;
    };
    void make_room(const raft::Core& core);
    void add(uint8_t kind, ByteView bytes);

    bool on_;
    Half older_, newer_;
};

/// Runs a black box again; `say` gets a line for each event. A check that failed then fails again (and
/// aborts). The number of events when none did. Errors: bad_input (no black box, or of another build).
Result<uint64_t> replay(ByteView box, const std::function<void(const std::string& line)>& say);

}  // namespace raftd::daemon
