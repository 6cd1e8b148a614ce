// The black box of a core: its whole state and the events it gets, as bytes. A state saved and the events
// since then, played to the state loaded again, give the same outputs: every failure can be looked at once
// more. For one build of the program; no format to be kept.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "raft/core.h"

namespace raftd::raft {

std::vector<std::byte> save(const Core& core);
/// Nothing when the bytes are damaged or of another build.
std::optional<Core> load(ByteView bytes);

std::vector<std::byte> encode(const Event& event);

/// An event read back, with the entries and configurations it points to.
class RecordedEvent {
public:
    /// Nothing when the bytes are no event.
    static std::optional<RecordedEvent> decode(ByteView bytes);
    RecordedEvent(RecordedEvent&&) noexcept;
    RecordedEvent& operator=(RecordedEvent&&) noexcept;
    ~RecordedEvent();
    const Event& event() const;

private:
    struct Body;
    explicit RecordedEvent(std::unique_ptr<Body> body);
    std::unique_ptr<Body> body_;
};

}  // namespace raftd::raft
