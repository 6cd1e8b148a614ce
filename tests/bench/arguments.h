// `--name value` arguments of the benchmark programs.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/bench/load.h"

namespace raftd::bench {

class Arguments {
public:
    Arguments(int argc, char** argv, int first) {
        for (int i = first; i + 1 < argc; i += 2) values_[argv[i]] = argv[i + 1];
    }
    std::string text(const std::string& name, const std::string& otherwise) const {
        auto found = values_.find(name);
        return found == values_.end() ? otherwise : found->second;
    }
    double number(const std::string& name, double otherwise) const {
        auto found = values_.find(name);
        return found == values_.end() ? otherwise : std::atof(found->second.c_str());
    }
    LoadOptions load() const {
        LoadOptions options;
        options.address = text("--address", "");
        options.in_flight = static_cast<uint32_t>(number("--in-flight", 1));
        options.connections = static_cast<uint32_t>(number("--connections", 1));
        options.record_bytes = static_cast<uint32_t>(number("--bytes", 256));
        options.rate = number("--rate", 0);
        options.seconds = number("--seconds", 5);
        options.warm_up = number("--warm-up", 1);
        options.seed = static_cast<uint64_t>(number("--seed", 1));
        return options;
    }

private:
    std::map<std::string, std::string> values_;
};

inline int print(const std::string& json, const std::string& error) {
    std::puts(json.c_str());
    return error.empty() ? 0 : 1;
}

}  // namespace raftd::bench
