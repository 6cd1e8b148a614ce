#include "sim/process.h"

namespace raftd::sim {

void install_hooks() {
    set_fatal_hook([](ExitCode code, std::string_view why) {
        throw ProcessEnded(ProcessEnded::fatal, code, std::string(why));
    });
    set_check_hook([](std::string_view message) {
        throw ProcessEnded(ProcessEnded::check, ExitCode::ok, std::string(message));
    });
}

}  // namespace raftd::sim
