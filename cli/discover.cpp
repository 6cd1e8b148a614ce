#include "cli/discover.h"

#include <cstdlib>
#include <filesystem>

#include "conf/load.h"
#include "conf/units.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFileName = "cluster.toml";

Result<Found> of_endpoints(const std::vector<std::string>& endpoints, const std::string& origin) {
    Found found;
    found.origin = origin;
    for (const std::string& endpoint : endpoints) {
        bool on_this_machine = endpoint.starts_with("unix:") && endpoint.size() > 5;
        if (!on_this_machine && !conf::parse_host_port(endpoint))
            return error(Errc::bad_input, origin + ": `" + endpoint + "` is not HOST:PORT or unix:PATH",
                         "raftctl --endpoint 127.0.0.1:7201 status");
        found.endpoints.push_back(endpoint);
    }
    if (found.endpoints.empty()) return error(Errc::bad_input, origin + " names no endpoint");
    return found;
}

Result<Found> of_file(const fs::path& path, const std::string& origin) {
    std::error_code fault;
    fs::path file = fs::is_directory(path, fault) ? path / kFileName : path;
    auto spec = conf::load_cluster_spec(file.string());
    if (!spec && spec.error().code == Errc::not_found)
        return error(Errc::not_found, origin + ": there is no " + file.string(),
                     "raftctl init DIR makes a cluster");
    if (!spec) return spec.error();
    Found found;
    found.origin = origin;
    found.file = file.string();
    found.folder = fs::absolute(file, fault).parent_path().lexically_normal().string();
    for (const conf::MemberSpec& member : spec->members) found.endpoints.push_back(member.client);
    found.spec = std::move(*spec);
    return found;
}

std::vector<std::string> split_at_commas(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        size_t comma = std::min(text.find(','), text.size());
        if (comma != 0) parts.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return parts;
}

const char* variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr || *value == '\0' ? nullptr : value;
}

struct FoundPlace {
    fs::path path;
    std::string origin;
};

/// Where the cluster.toml is said to be, or found above.
Result<FoundPlace> find_place(const Context& context) {
    if (!context.cluster.empty()) return FoundPlace{context.cluster, "--cluster"};
    if (const char* value = variable("RAFTCTL_CLUSTER")) return FoundPlace{value, "$RAFTCTL_CLUSTER"};
    std::error_code fault;
    for (fs::path folder = fs::current_path(fault);; folder = folder.parent_path()) {
        fs::path file = folder / kFileName;
        if (fs::exists(file, fault)) return FoundPlace{file, file.string()};
        if (folder == folder.parent_path()) break;
    }
    return error(Errc::not_found, "no cluster: there is no cluster.toml in this folder or one above it",
                 "raftctl init DIR makes a cluster; --cluster PATH or --endpoint HOST:PORT names one");
}

Result<Found> search(const Context& context, bool local_only) {
    if (!context.endpoints.empty() && !local_only) return of_endpoints(context.endpoints, "--endpoint");
    const char* value = context.cluster.empty() && !local_only ? variable("RAFTCTL_ENDPOINTS") : nullptr;
    if (value != nullptr) return of_endpoints(split_at_commas(value), "$RAFTCTL_ENDPOINTS");
    TRY(place, find_place(context));
    return of_file(place.path, place.origin);
}

}  // namespace

Result<Found> find_cluster(const Context& context) {
    auto found = search(context, false);
    if (found) detail(context, "cluster found by " + found->origin);
    return found;
}

Result<Found> find_local_cluster(const Context& context) {
    auto found = search(context, true);
    if (found) detail(context, "cluster found by " + found->origin);
    return found;
}

Result<std::string> find_cluster_file(const Context& context) {
    TRY(place, find_place(context));
    std::error_code fault;
    return (fs::is_directory(place.path, fault) ? place.path / kFileName : place.path).string();
}

}  // namespace raftd::cli
