#include "daemon/belongs.h"

#include "base/uuid.h"
#include "conf/load.h"
#include "snapshot/identity.h"

namespace raftd::daemon {
namespace {

constexpr uint64_t kIdentityBytesMax = 64u << 10;

std::string member_text(const std::string& name, NodeId id) {
    return "member " + name + " (id " + std::to_string(raw(id)) + ")";
}

}  // namespace

Result<void> check_belongs(io::Files& files, const conf::NodeSettings& settings,
                           const std::string& config_file) {
    std::string cluster_file = conf::resolve_beside(config_file, settings.cluster), text;
    auto spec = conf::load_cluster_spec(cluster_file);
    if (!spec) return error(Errc::bad_input, spec.error().what, spec.error().hint);
    const conf::MemberSpec* member = conf::find_member(*spec, settings.name);
    if (member == nullptr)
        return error(Errc::bad_input,
                     config_file + ": name: " + cluster_file + " has no member " + settings.name);
    if (io::read_file(files, settings.data_dir + "/identity.toml", kIdentityBytesMax, text).error != 0)
        return {};
    auto identity = snapshot::parse_identity(text);
    if (!identity) return {};
    std::string directory = "data directory " + settings.data_dir + " belongs to ";
    if (identity->cluster_id != spec->id)
        return error(Errc::conflict,
                     directory + "cluster " + identity->cluster_name + " (" + to_hex(identity->cluster_id) +
                         "), " + cluster_file + " is of " + spec->name + " (" + to_hex(spec->id) + ")",
                     "put this member's own data directory back; never copy one");
    if (identity->id != member->id)
        return error(Errc::conflict,
                     directory + member_text(identity->name, identity->id) + ", " + config_file + " is of " +
                         member_text(member->name, member->id),
                     "put this member's own data directory back; never copy one");
    return {};
}

}  // namespace raftd::daemon
