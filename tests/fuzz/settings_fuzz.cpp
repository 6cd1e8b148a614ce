// Any text as raftd.toml and cluster.toml: values or problems, never an exception.
#include "conf/load.h"

using namespace raftd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<conf::Problem> of_node, of_cluster;
    conf::parse_node_settings(text, "/n1/raftd.toml", of_node);
    conf::parse_cluster_spec(text, "/cluster.toml", of_cluster);
    return 0;
}
