// test_crash_planted: test_crash over objects with bugs planted in them (base/planted.h). RAFTD_PLANT names
// the one that is on; the test that is run must fail at a power cut.
#include <cstdlib>
#include <string_view>

#include "base/planted.h"

namespace raftd {
namespace {

PlantedBug chosen() {
    const char* name = std::getenv("RAFTD_PLANT");
    if (name == nullptr) return PlantedBug::none;
    const std::string_view bug = name;
    if (bug == "skip_directory_sync") return PlantedBug::skip_directory_sync;
    if (bug == "drop_before_snapshot") return PlantedBug::drop_before_snapshot;
    std::abort();
}

}  // namespace

PlantedBug planted_bug = chosen();

}  // namespace raftd
