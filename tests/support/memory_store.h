// The simplest store there can be: what was written, in memory. For tests of the state alone; its contract is
// that of tests/support/store_contract.h only as far as nothing fails.
#pragma once

#include "snapshot/store.h"

namespace raftd::snapshot {

class MemoryStore final : public Store {
public:
    Result<void> write(const StoreBatch& batch) override {
        for (const auto& [key, value] : batch.keys) {
            if (value)
                keys[key] = *value;
            else
                keys.erase(key);
        }
        newest = batch.mark;
        return {};
    }
    Result<void> flush() override { return {}; }
    Result<std::optional<StoreMark>> mark() const override { return newest; }
    Result<void> for_each(
        const std::function<void(std::string_view, std::string_view)>& visit) const override {
        for (const auto& [key, value] : keys) visit(key, value);
        return {};
    }

    std::map<std::string, std::string> keys;
    std::optional<StoreMark> newest;
};

}  // namespace raftd::snapshot
