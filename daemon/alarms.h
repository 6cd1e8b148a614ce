// Whoever has something to be alarmed about. Loop thread only.
#pragma once

#include <string>
#include <vector>

namespace raftd::daemon {

class AlarmSource {
public:
    virtual ~AlarmSource() = default;
    /// Adds one line an alarm: a word, then what it is about; the same line for as long as it lasts.
    virtual void add_alarms(std::vector<std::string>& alarms) const = 0;
};

}  // namespace raftd::daemon
