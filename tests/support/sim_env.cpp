#include "tests/support/sim_env.h"

#include <cerrno>
#include <cstring>

namespace raftd::snapshot {

using leveldb::Status;
using sim::InodeRef;

namespace {

Status status_of(int error, const std::string& name) {
    if (error == 0) return Status::OK();
    return error == ENOENT ? Status::NotFound(name, std::strerror(error))
                           : Status::IOError(name, std::strerror(error));
}

}  // namespace

class SimEnv::Reader final : public leveldb::SequentialFile, public leveldb::RandomAccessFile {
public:
    Reader(SimEnv& env, InodeRef file) : env_(env), file_(std::move(file)) {}
    ~Reader() override {
        std::lock_guard lock(env_.mutex_);
        file_.reset();
    }
    Status Read(size_t bytes, leveldb::Slice* result, char* scratch) override {
        Status status = Read(at_, bytes, result, scratch);
        if (status.ok()) at_ += result->size();
        return status;
    }
    Status Skip(uint64_t bytes) override {
        at_ += bytes;
        return Status::OK();
    }
    Status Read(uint64_t offset, size_t bytes, leveldb::Slice* result, char* scratch) const override {
        std::lock_guard lock(env_.mutex_);
        uint64_t got = 0;
        const int error =
            env_.disk_.read(*file_, offset, {reinterpret_cast<std::byte*>(scratch), bytes}, got);
        *result = leveldb::Slice(scratch, error == 0 ? got : 0);
        return status_of(error, file_->path);
    }

private:
    SimEnv& env_;
    InodeRef file_;
    uint64_t at_ = 0;
};

class SimEnv::Writer final : public leveldb::WritableFile {
public:
    Writer(SimEnv& env, InodeRef file, std::string name)
        : env_(env), file_(std::move(file)), name_(std::move(name)), at_(file_->visible.size()) {}
    ~Writer() override {
        std::lock_guard lock(env_.mutex_);
        file_.reset();
    }
    // As there: what is appended is kept back until it is flushed, synced or closed.
    Status Append(const leveldb::Slice& bytes) override {
        kept_.append(bytes.data(), bytes.size());
        return kept_.size() < kKeptMax ? Status::OK() : Flush();
    }
    Status Close() override { return Flush(); }
    Status Flush() override {
        std::lock_guard lock(env_.mutex_);
        return flush_locked();
    }
    /// A manifest's directory first: it names files that must be there.
    Status Sync() override {
        std::lock_guard lock(env_.mutex_);
        if (name_.find("MANIFEST") != std::string::npos) {
            const int error = env_.disk_.sync_dir(name_.substr(0, name_.rfind('/')));
            if (error != 0) return status_of(error, name_);
        }
        if (Status status = flush_locked(); !status.ok()) return status;
        return status_of(env_.disk_.sync(*file_), name_);
    }

private:
    static constexpr size_t kKeptMax = 65536;

    Status flush_locked() {
        if (kept_.empty()) return Status::OK();
        uint64_t put = 0;
        int error = env_.disk_.write(*file_, at_, as_bytes(kept_), put);
        if (error == 0 && put != kept_.size()) error = ENOSPC;
        at_ += put;
        kept_.clear();
        return status_of(error, name_);
    }

    SimEnv& env_;
    InodeRef file_;
    const std::string name_;
    uint64_t at_;
    std::string kept_;
};

template <class Made>
Status SimEnv::open_reader(const std::string& name, Made** result) {
    std::lock_guard lock(mutex_);
    int error = 0;
    InodeRef file = disk_.open(name, false, false, false, error);
    *result = file == nullptr ? nullptr : new Reader(*this, std::move(file));
    return status_of(error, name);
}

Status SimEnv::open_writer(const std::string& name, bool truncate, leveldb::WritableFile** result) {
    std::lock_guard lock(mutex_);
    int error = 0;
    InodeRef file = disk_.open(name, true, false, truncate, error);
    *result = file == nullptr ? nullptr : new Writer(*this, std::move(file), name);
    return status_of(error, name);
}

Status SimEnv::NewSequentialFile(const std::string& name, leveldb::SequentialFile** result) {
    return open_reader(name, result);
}
Status SimEnv::NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** result) {
    return open_reader(name, result);
}
Status SimEnv::NewWritableFile(const std::string& name, leveldb::WritableFile** result) {
    return open_writer(name, true, result);
}
Status SimEnv::NewAppendableFile(const std::string& name, leveldb::WritableFile** result) {
    return open_writer(name, false, result);
}

bool SimEnv::FileExists(const std::string& name) {
    std::lock_guard lock(mutex_);
    int error = 0;
    return disk_.open(name, false, false, false, error) != nullptr;
}

Status SimEnv::GetChildren(const std::string& dir, std::vector<std::string>* result) {
    std::lock_guard lock(mutex_);
    int error = 0;
    *result = disk_.list(dir, error);
    return status_of(error, dir);
}

Status SimEnv::RemoveFile(const std::string& name) {
    std::lock_guard lock(mutex_);
    return status_of(disk_.remove(name), name);
}

Status SimEnv::CreateDir(const std::string& name) {
    std::lock_guard lock(mutex_);
    return status_of(disk_.make_dir(name), name);
}

Status SimEnv::RemoveDir(const std::string& name) { return RemoveFile(name); }

Status SimEnv::GetFileSize(const std::string& name, uint64_t* size) {
    std::lock_guard lock(mutex_);
    *size = disk_.size_of(name);
    return Status::OK();
}

Status SimEnv::RenameFile(const std::string& from, const std::string& to) {
    std::lock_guard lock(mutex_);
    return status_of(disk_.rename(from, to), from);
}

Status SimEnv::LockFile(const std::string& name, leveldb::FileLock** lock) {
    std::lock_guard guard(mutex_);
    int error = 0;
    *lock = disk_.open(name, true, false, false, error) == nullptr ? nullptr : new leveldb::FileLock;
    return status_of(error, name);
}

Status SimEnv::UnlockFile(leveldb::FileLock* lock) {
    delete lock;
    return Status::OK();
}

}  // namespace raftd::snapshot
