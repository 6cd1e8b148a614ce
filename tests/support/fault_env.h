// Files of LevelDB in memory: any operation may be made to fail, and a crash loses what wasn't synced. Of a
// file that is a part at its end; of names, the newest changes since a MANIFEST was synced (with it LevelDB
// syncs the directory). Threads are LevelDB's own, so all of it is behind one lock.
#pragma once

#include <leveldb/env.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/random.h"

namespace raftd::snapshot {

class FaultEnv final : public leveldb::EnvWrapper {
public:
    FaultEnv();

    /// The Nth operation from now on fails, and with `lasting` all after it. 0: none.
    void fail_at(uint64_t n, bool lasting);
    bool has_failed();
    void crash(Random& random);
    /// Changes a byte of one of the files. False: there is none.
    bool damage(Random& random);

    leveldb::Status NewSequentialFile(const std::string& name, leveldb::SequentialFile** result) override;
    leveldb::Status NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** result) override;
    leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** result) override;
    leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** result) override;
    bool FileExists(const std::string& name) override;
    leveldb::Status GetChildren(const std::string& dir, std::vector<std::string>* result) override;
    leveldb::Status RemoveFile(const std::string& name) override;
    leveldb::Status CreateDir(const std::string&) override { return operation(); }
    leveldb::Status RemoveDir(const std::string&) override { return leveldb::Status::OK(); }
    leveldb::Status GetFileSize(const std::string& name, uint64_t* size) override;
    leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
    leveldb::Status LockFile(const std::string& name, leveldb::FileLock** lock) override;
    leveldb::Status UnlockFile(leveldb::FileLock* lock) override;

private:
    struct File {
        std::string content;
        size_t synced = 0;
    };
    using FileRef = std::shared_ptr<File>;
    using Names = std::map<std::string, FileRef>;
    class Reader;
    class Writer;

    leveldb::Status operation();  // counts, and fails when it is its turn
    leveldb::Status operation_locked();
    FileRef find_locked(const std::string& name) const;
    void names_changed() { history_.push_back(names_); }

    std::mutex mutex_;
    Names names_;
    std::vector<Names> history_;  // after each change since the directory was synced; the first is durable
    uint64_t fail_at_ = 0, operations_ = 0;
    bool lasting_ = false, failed_ = false;
};

}  // namespace raftd::snapshot
