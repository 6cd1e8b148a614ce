// LevelDB's files on a simulated disk, call by call as LevelDB's own POSIX environment makes them: so a power
// cut loses of them what it may lose of real ones (sim/storage.h). LevelDB has a thread of its own, so all of
// the disk is behind one lock while a database is open.
#pragma once

#include <leveldb/env.h>

#include <mutex>

#include "sim/storage.h"

namespace raftd::snapshot {

class SimEnv final : public leveldb::EnvWrapper {
public:
    explicit SimEnv(sim::SimStorage& disk) : EnvWrapper(leveldb::Env::Default()), disk_(disk) {}
    /// What the disk's `fault` hook reads must be changed under this.
    std::mutex& mutex() { return mutex_; }

    leveldb::Status NewSequentialFile(const std::string& name, leveldb::SequentialFile** result) override;
    leveldb::Status NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** result) override;
    leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** result) override;
    leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** result) override;
    bool FileExists(const std::string& name) override;
    leveldb::Status GetChildren(const std::string& dir, std::vector<std::string>* result) override;
    leveldb::Status RemoveFile(const std::string& name) override;
    leveldb::Status CreateDir(const std::string& name) override;
    leveldb::Status RemoveDir(const std::string& name) override;
    leveldb::Status GetFileSize(const std::string& name, uint64_t* size) override;
    leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
    leveldb::Status LockFile(const std::string& name, leveldb::FileLock** lock) override;
    leveldb::Status UnlockFile(leveldb::FileLock* lock) override;

private:
    class Reader;
    class Writer;
    template <class Made>
    leveldb::Status open_reader(const std::string& name, Made** result);
    leveldb::Status open_writer(const std::string& name, bool truncate, leveldb::WritableFile** result);

    sim::SimStorage& disk_;
    std::mutex mutex_;
};

}  // namespace raftd::snapshot
