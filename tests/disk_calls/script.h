// A member's life on its files, the same code over the simulator and over the real system: a first start, log
// writes over several segments, votes, a cut, snapshots, removal of old segments, a clean end. What is
// acknowledged is said at once, so that whoever is killed has said it; and a later run checks what was said.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/world.h"
#include "snapshot/manifest.h"
#include "wal/wal.h"

namespace raftd::disk_calls {

inline constexpr const char* kFolder = "d";  // where all files are, in the present directory

/// How a run ended by itself; others are those of raftd.
enum class End : int { done = 0, waits = 40, refused = 41, lost = 42 };

class Script {
public:
    /// `step`: lets the world go on; false when nothing more comes. `say`: one line without its end.
    Script(io::World& world, std::function<bool()> step, std::function<void(const std::string&)> say);

    End work();
    /// Of a first start and two snapshots alone: blocking calls only, one after another.
    End files_only();
    /// `said`: the lines of a run that ended somewhere. Starts, and compares.
    End check(const std::vector<std::string>& said);
    void handle(io::Event& event);

private:
    struct Plan;
    Result<void> make();
    Result<wal::Recovered> open();
    bool write(const std::string& name, const LogPoint& before, const std::vector<LogPoint>& points,
               ByteView entries, HardState hard);
    bool write_all(const Plan& plan);
    bool settle(const std::function<bool()>& done);
    void take(const Plan& plan, size_t from, size_t upto);
    Result<void> try_take(const Plan& plan, size_t from, size_t upto);
    std::vector<LogPoint> read_all(const LogPoint& base, const LogPoint& last);
    wal::Options options() const;

    io::World& world_;
    std::function<bool()> step_;
    std::function<void(const std::string&)> say_;
    snapshot::Manifest genesis_;
    std::unique_ptr<wal::Wal> wal_;
    WriteId asked_{}, durable_{};
    LogPoint base_;
};

}  // namespace raftd::disk_calls
