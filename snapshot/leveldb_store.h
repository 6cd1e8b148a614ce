// The replicated state's store over LevelDB, in a directory of its own. LevelDB doesn't promise that what it
// lost in a power cut is only a suffix: when it changes its log file, the older one isn't synced. So each
// batch also writes a sum over all keys and values; content that doesn't have its sum is damage, and the
// state is made again from the log. Called on one thread at a time.
#pragma once

#include "snapshot/store.h"

namespace leveldb {
class Env;
}

namespace raftd::snapshot {

class LevelDbMaker final : public StoreMaker {
public:
    /// `env`: where files are; nothing: the file system. Tests give one that fails.
    explicit LevelDbMaker(std::string path, leveldb::Env* env = nullptr)
        : path_(std::move(path)), env_(env) {}
    /// Reads and verifies all there is.
    Result<std::unique_ptr<Store>> open() override;
    /// Like open, but never makes one. Errors besides: not_found, conflict (open in another process).
    Result<std::unique_ptr<Store>> open_existing();
    Result<void> remove() override;

private:
    Result<std::unique_ptr<Store>> open(bool create);

    std::string path_;
    leveldb::Env* env_;
};

}  // namespace raftd::snapshot
