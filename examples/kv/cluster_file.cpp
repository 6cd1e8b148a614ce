#include "kv/cluster_file.h"

#include <toml++/toml.h>
#include <filesystem>

#include "base/uuid.h"

namespace kv {

raftd::Result<raftd::client::SessionOptions> read_cluster(const std::string& path) {
    std::filesystem::path file = path;
    if (std::filesystem::is_directory(file)) file /= "cluster.toml";
    raftd::client::SessionOptions options;
    try {
        const toml::table cluster = toml::parse_file(file.string());
        options.cluster = raftd::parse_uuid(cluster["cluster"]["id"].value_or(""));
        if (const toml::array* members = cluster["member"].as_array())
            for (const toml::node& member : *members)
                if (const toml::table* facts = member.as_table())
                    if (auto address = (*facts)["client"].value<std::string>())
                        options.endpoints.push_back(*address);
    } catch (const toml::parse_error& why) {
        return raftd::error(raftd::Errc::bad_input, file.string() + ": " + std::string(why.description()));
    }
    if (options.endpoints.empty())
        return raftd::error(raftd::Errc::bad_input, file.string() + " names no member with a client address");
    return options;
}

}  // namespace kv
