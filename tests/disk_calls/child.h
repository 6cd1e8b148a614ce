// Runs this program again, as `test_disk_calls MODE`, over the real file system in a folder of its own, with
// the shim preloaded.
#pragma once

#include <string>
#include <vector>

namespace raftd::disk_calls {

struct Ended {
    int exit = -1;   // its code; -1: by a signal
    int signal = 0;  // 9 also when it took too long
    bool too_long = false;
    std::vector<std::string> said, calls;  // lines of its output, and of the shim's trace
    bool faulty() const;                   // the fault was reached
};

/// A folder for one member's life, removed in the end.
class Place {
public:
    /// `in_memory`: of the system's memory file system where there is one, since syncs take no time there.
    explicit Place(bool in_memory = false);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    /// Starts a run. `fault`: as the shim takes it; empty: none. `input`: lines that --check gets.
    void begin(const std::string& mode, const std::string& fault, const std::vector<std::string>& input = {});
    /// Waits for its end, and ends it when that takes too long, or `hangs` and the fault was met.
    Ended finish(int timeout_ms, bool hangs = false);
    Ended run(const std::string& mode, const std::string& fault, int timeout_ms,
              const std::vector<std::string>& input = {}) {
        begin(mode, fault, input);
        return finish(timeout_ms);
    }

private:
    std::string name() const { return path_ + "/" + std::to_string(runs_); }
    bool ends_within(int watched, int timeout_ms, bool hangs) const;

    std::string path_;
    int runs_ = 0, child_ = -1;
};

/// What main() does when asked for a mode; its exit code.
int run_mode(const std::string& mode);

}  // namespace raftd::disk_calls
