#include "tests/support/fault_env.h"

#include <algorithm>
#include <cstring>

namespace raftd::snapshot {

using leveldb::Status;

class FaultEnv::Reader final : public leveldb::SequentialFile, public leveldb::RandomAccessFile {
public:
    Reader(FaultEnv& env, FileRef file) : env_(env), file_(std::move(file)) {}
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
        if (Status status = env_.operation_locked(); !status.ok()) return status;
        const std::string& content = file_->content;
        const size_t from = std::min<size_t>(offset, content.size());
        const size_t count = std::min(bytes, content.size() - from);
        std::memcpy(scratch, content.data() + from, count);
        *result = leveldb::Slice(scratch, count);
        return Status::OK();
    }

private:
    FaultEnv& env_;
    FileRef file_;
    uint64_t at_ = 0;
};

class FaultEnv::Writer final : public leveldb::WritableFile {
public:
    Writer(FaultEnv& env, FileRef file, bool manifest)
        : env_(env), file_(std::move(file)), manifest_(manifest) {}
    Status Append(const leveldb::Slice& bytes) override {
        std::lock_guard lock(env_.mutex_);
        Status status = env_.operation_locked();
        // What a full disk took before it was full stays in the file.
        file_->content.append(bytes.data(), status.ok() ? bytes.size() : bytes.size() / 2);
        return status;
    }
    Status Close() override { return Status::OK(); }
    Status Flush() override { return env_.operation(); }
    Status Sync() override {
        std::lock_guard lock(env_.mutex_);
        if (Status status = env_.operation_locked(); !status.ok()) return status;
        file_->synced = file_->content.size();
        if (manifest_) env_.history_ = {env_.names_};
        return Status::OK();
    }

private:
    FaultEnv& env_;
    FileRef file_;
    bool manifest_;
};

FaultEnv::FaultEnv() : EnvWrapper(leveldb::Env::Default()), history_(1) {}

void FaultEnv::fail_at(uint64_t n, bool lasting) {
    std::lock_guard lock(mutex_);
    fail_at_ = n;
    lasting_ = lasting;
    operations_ = 0;
    failed_ = false;
}

bool FaultEnv::has_failed() {
    std::lock_guard lock(mutex_);
    return failed_;
}

Status FaultEnv::operation() {
    std::lock_guard lock(mutex_);
    return operation_locked();
}

Status FaultEnv::operation_locked() {
    ++operations_;
    if (fail_at_ == 0 || operations_ < fail_at_ || (operations_ > fail_at_ && !lasting_)) return Status::OK();
    failed_ = true;
    return Status::IOError("no space left on device");
}

void FaultEnv::crash(Random& random) {
    std::lock_guard lock(mutex_);
    names_ = history_[random.below(history_.size())];
    for (auto& [name, file] : names_) {
        const size_t unsynced = file->content.size() - file->synced;
        // All, nothing, or a part of what wasn't synced.
        const size_t kept = random.below(3) == 0 ? unsynced : random.below(unsynced + 1);
        file->content.resize(file->synced + (random.below(4) == 0 ? 0 : kept));
        file->synced = file->content.size();
    }
    history_ = {names_};
}

bool FaultEnv::damage(Random& random) {
    std::lock_guard lock(mutex_);
    std::vector<FileRef> files;
    for (auto& [name, file] : names_)
        if (!file->content.empty()) files.push_back(file);
    if (files.empty()) return false;
    std::string& content = files[random.below(files.size())]->content;
    content[random.below(content.size())] ^= static_cast<char>(1 + random.below(255));
    return true;
}

FaultEnv::FileRef FaultEnv::find_locked(const std::string& name) const {
    auto found = names_.find(name);
    return found == names_.end() ? nullptr : found->second;
}

Status FaultEnv::NewSequentialFile(const std::string& name, leveldb::SequentialFile** result) {
    std::lock_guard lock(mutex_);
    *result = nullptr;
    if (Status status = operation_locked(); !status.ok()) return status;
    FileRef file = find_locked(name);
    if (file == nullptr) return Status::NotFound(name);
    *result = new Reader(*this, file);
    return Status::OK();
}

Status FaultEnv::NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** result) {
    std::lock_guard lock(mutex_);
    *result = nullptr;
    if (Status status = operation_locked(); !status.ok()) return status;
    FileRef file = find_locked(name);
    if (file == nullptr) return Status::NotFound(name);
    *result = new Reader(*this, file);
    return Status::OK();
}

Status FaultEnv::NewWritableFile(const std::string& name, leveldb::WritableFile** result) {
    std::lock_guard lock(mutex_);
    *result = nullptr;
    if (Status status = operation_locked(); !status.ok()) return status;
    FileRef made = std::make_shared<File>();
    names_[name] = made;
    names_changed();
    *result = new Writer(*this, made, name.find("MANIFEST") != std::string::npos);
    return Status::OK();
}

Status FaultEnv::NewAppendableFile(const std::string& name, leveldb::WritableFile** result) {
    if (!FileExists(name)) return NewWritableFile(name, result);
    std::lock_guard lock(mutex_);
    *result = nullptr;
    if (Status status = operation_locked(); !status.ok()) return status;
    *result = new Writer(*this, find_locked(name), name.find("MANIFEST") != std::string::npos);
    return Status::OK();
}

bool FaultEnv::FileExists(const std::string& name) {
    std::lock_guard lock(mutex_);
    return find_locked(name) != nullptr;
}

Status FaultEnv::GetChildren(const std::string& dir, std::vector<std::string>* result) {
    std::lock_guard lock(mutex_);
    result->clear();
    if (Status status = operation_locked(); !status.ok()) return status;
    for (const auto& [name, file] : names_)
        if (name.starts_with(dir + "/")) result->push_back(name.substr(dir.size() + 1));
    return Status::OK();
}

Status FaultEnv::RemoveFile(const std::string& name) {
    std::lock_guard lock(mutex_);
    if (Status status = operation_locked(); !status.ok()) return status;
    if (names_.erase(name) == 0) return Status::NotFound(name);
    names_changed();
    return Status::OK();
}

Status FaultEnv::GetFileSize(const std::string& name, uint64_t* size) {
    std::lock_guard lock(mutex_);
    if (Status status = operation_locked(); !status.ok()) return status;
    FileRef file = find_locked(name);
    if (file == nullptr) return Status::NotFound(name);
    *size = file->content.size();
    return Status::OK();
}

Status FaultEnv::RenameFile(const std::string& from, const std::string& to) {
    std::lock_guard lock(mutex_);
    if (Status status = operation_locked(); !status.ok()) return status;
    FileRef file = find_locked(from);
    if (file == nullptr) return Status::NotFound(from);
    names_.erase(from);
    names_[to] = file;
    names_changed();
    return Status::OK();
}

Status FaultEnv::LockFile(const std::string&, leveldb::FileLock** lock) {
    *lock = new leveldb::FileLock;
    return Status::OK();
}

Status FaultEnv::UnlockFile(leveldb::FileLock* lock) {
    delete lock;
    return Status::OK();
}

}  // namespace raftd::snapshot
