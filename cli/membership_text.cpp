// How lists and changes of members are shown.
#include "cli/membership.h"

#include <algorithm>

#include "cli/view.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

std::string role_of(const pb::MemberInfo& member) {
    return member.voter() ? "voter" : member.promote() ? "learner, to vote" : "learner";
}

std::string names_of(const pb::MemberList& list) {
    size_t voters = 0;
    std::string text;
    for (const pb::MemberInfo& member : list.members()) {
        voters += member.voter();
        text += (text.empty() ? "" : ", ") + member.name() + (member.voter() ? "" : " (learner)");
    }
    return counted(static_cast<uint64_t>(list.members_size()), "member") + ", " + counted(voters, "voter") +
           ": " + text;
}

}  // namespace

void print_members(const Context& context, const pb::MemberList& list) {
    if (context.output == Output::text) {
        for (const pb::MemberInfo& member : list.members())
            write_out(std::to_string(member.id()) + "  " + member.name() + "  " + role_of(member) +
                      "  peer " + member.peer() + "  client " + member.client() + "  priority " +
                      std::to_string(member.priority()) + (member.id() == list.leader() ? "  leads" : "") +
                      "\n");
        return;
    }
    Json members = Json::array();
    for (const pb::MemberInfo& member : list.members())
        members.add(Json::object()
                        .add("id", member.id())
                        .add("name", member.name())
                        .add("role", member.voter() ? "voter" : "learner")
                        .add("promote", member.promote())
                        .add("priority", uint64_t{member.priority()})
                        .add("peer", member.peer())
                        .add("client", member.client())
                        .add("leader", member.id() == list.leader()));
    write_out(Json::object()
                  .add("schema", 1)
                  .add("config_index", list.config_index())
                  .add("phase", list.joint() ? "joint" : "simple")
                  .add("settled", list.settled())
                  .add("members", members)
                  .text() +
              "\n");
}

Exit fail_change(const Context& context, const Error& why) {
    Exit exit = fail(context, why);
    return interrupted() ? Exit::interrupted : exit;
}

Error no_such_member(const pb::MemberList& list, const std::string& name) {
    std::vector<std::string_view> known;
    for (const pb::MemberInfo& member : list.members()) known.push_back(member.name());
    auto near = conf::nearest(name, known);
    return error(Errc::bad_input, "the cluster has no member `" + name + "`",
                 near ? "did you mean " + std::string(*near) + "?" : "raftctl member list shows the members");
}

Exit finish_change(const Context& context, const Found& found, const pb::MemberList& list,
                   const std::vector<std::pair<uint64_t, std::string>>& data) {
    if (auto updated = update_cluster_file(found, list, data); !updated) {
        note(context, "warning: the members changed, and " + updated.error().what);
        note(context, "hint: raftctl member list shows what cluster.toml should say");
    }
    note(context, names_of(list));
    if (context.output != Output::text) print_members(context, list);
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
