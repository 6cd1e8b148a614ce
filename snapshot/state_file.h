// The replicated state at one point of the log as a file: all keys and values of its store in key order
// (snapshot/state_format.h). Its SHA-256 stands in the manifest that names it. Byte diagram: docs/formats.md.
// Blocking: runs in jobs, or at a start.
#pragma once

#include <string>

#include "snapshot/archive.h"
#include "snapshot/store.h"

namespace raftd::snapshot {

struct StateFileInfo {
    std::string name;  // `state-INDEX`
    uint64_t bytes = 0;
    ContentHash hash{};
    bool operator==(const StateFileInfo&) const = default;
};
inline constexpr uint64_t kStateFileMagic = 0x0165'7461'7473'7372;  // "rsstate", 1: the version
inline constexpr uint64_t kStateFileBytesMax = 1u << 30;
inline constexpr uint32_t kStateKeyBytesMax = 1u << 10;
inline constexpr uint32_t kStateValueBytesMax = 64u << 20;

/// First bytes of the file; then for each key `u32 key_bytes, u32 value_bytes`, key, value.
struct StateFileHeader {
    uint64_t magic_version;
    LogPoint at;
    uint64_t reserved;  // 0
};
static_assert(sizeof(StateFileHeader) == 56);

std::string state_file_name(Index at);
bool is_state_file_name(std::string_view name);

/// Writes what `store` holds, synced; the name isn't. Errors: io, damaged (of the store).
Result<StateFileInfo> write_state_file(io::Files& files, const std::string& dir, const LogPoint& at,
                                       const Store& store);

/// A state file's content, as a store that is only read.
class StateFile final : public Store {
public:
    /// Reads and checks all of it. Errors: not_found, damaged (other bytes than `info` says, keys out of
    /// order), too_new, io.
    static Result<StateFile> open(io::Files& files, const std::string& dir, const StateFileInfo& info);
    /// The same of bytes.
    static Result<StateFile> parse(std::string content, const std::string& path);

    const LogPoint& at() const { return at_; }
    Result<void> write(const StoreBatch&) override { return error(Errc::io, "a state file is only read"); }
    Result<void> flush() override { return {}; }
    /// Only the point is known.
    Result<std::optional<StoreMark>> mark() const override { return StoreMark{{}, {}, at_}; }
    Result<void> for_each(
        const std::function<void(std::string_view key, std::string_view value)>& visit) const override;

private:
    LogPoint at_;
    std::string content_;  // of the file: it may be tens of MiB, so there is no other copy
};

}  // namespace raftd::snapshot
