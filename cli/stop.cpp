// Signals go only to the process that holds a member's lock; a pid file may be old and name anybody.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/deadline.h"
#include "cli/local.h"
#include "cli/start.h"

namespace raftd::cli {
namespace {

struct Target {
    LocalMember member;
    pid_t process;
    bool ended = false;
};

Result<std::vector<Target>> running_targets(const std::vector<LocalMember>& members) {
    std::vector<Target> targets;
    for (const LocalMember& member : members) {
        pid_t process = running_process(member);
        if (process < 0)
            return error(Errc::denied, member.spec.name + " runs, but its process can't be seen from here",
                         "stop it as the user, or in the container, that runs it");
        if (process > 0) targets.push_back({member, process});
    }
    return targets;
}

Result<void> signal_all(std::vector<Target>& targets, int number) {
    for (Target& target : targets) {
        // Asked again right before: the number could have passed to somebody else.
        if (running_process(target.member) != target.process) continue;
        if (::kill(target.process, number) != 0 && errno != ESRCH)
            return error(Errc::denied, "can't signal " + target.member.spec.name + " (pid " +
                                           std::to_string(target.process) + "): " + std::strerror(errno));
        ::kill(target.process, SIGCONT);  // one that is paused (SIGSTOP) couldn't hear it
    }
    return {};
}

bool all_ended(std::vector<Target>& targets) {
    bool all = true;
    for (Target& target : targets) {
        if (!target.ended && process_ended(target.process)) {
            target.ended = true;
            ::unlink(target.member.pid_file().c_str());
        }
        all = all && target.ended;
    }
    return all;
}

Result<void> wait_ended(const Context& context, std::vector<Target>& targets) {
    Deadline deadline(context.timeout);
    while (!all_ended(targets)) {
        if (deadline.over()) {
            std::string names;
            for (const Target& target : targets)
                if (!target.ended) names += (names.empty() ? "" : ", ") + target.member.spec.name;
            return error(Errc::unavailable,
                         names + " didn't stop within " + text_of_duration(context.timeout),
                         "raftctl stop --kill ends it at once; nothing acknowledged is lost");
        }
        if (!pause_for(milliseconds(10)))
            return error(Errc::failed, "interrupted; the members go on stopping");
    }
    return {};
}

}  // namespace

Result<void> stop_process(const Context& context, const LocalMember& member) {
    TRY(targets, running_targets({member}));
    TRY_VOID(signal_all(targets, SIGTERM));
    return wait_ended(context, targets);
}

Exit stop(const Context& context, const StopOptions& options) {
    auto found = find_local_cluster(context);
    if (!found) return fail(context, found.error());
    auto members = local_members(*found, options.nodes);
    if (!members) return fail(context, members.error());
    auto targets = running_targets(*members);
    if (!targets) return fail(context, targets.error());
    Result<void> done = signal_all(*targets, options.kill ? SIGKILL : SIGTERM);
    if (done) done = wait_ended(context, *targets);
    if (!done) {
        Exit exit = fail(context, done.error());
        return interrupted() ? Exit::interrupted : exit;
    }
    if (context.output == Output::text) {
        for (const Target& target : *targets) detail(context, target.member.spec.name + " stopped");
        if (targets->empty()) note(context, "nothing runs here");
        return Exit::done;
    }
    Json names = Json::array();
    for (const Target& target : *targets) names.add(target.member.spec.name);
    write_out(Json::object().add("schema", 1).add("stopped", names).text() + "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
