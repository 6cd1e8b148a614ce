// Where a save goes in the simulator.
#pragma once

#include <string>

#include "client/save_fetch.h"
#include "snapshot/tar.h"

namespace raftd::sim {

struct TarInMemory final : client::SaveSink {
    std::string bytes;
    snapshot::TarWriter tar{[this](ByteView more) -> Result<void> {
                                bytes += as_text(more);
                                return {};
                            },
                            0};
    Result<void> begin(std::string_view name, uint64_t size) override { return tar.begin(name, size); }
    Result<void> add(ByteView more) override { return tar.add(more); }
};

}  // namespace raftd::sim
