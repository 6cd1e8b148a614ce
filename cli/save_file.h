// Where a save goes: a tar, written beside its name and renamed once it is whole and was read back, or
// standard output. Over io::Files, so that a test can cut the power at any call. Blocking.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "client/save_fetch.h"
#include "io/files.h"
#include "snapshot/sha256.h"
#include "snapshot/tar.h"

namespace raftd::cli {

class SaveFile final : public client::SaveSink {
public:
    using Write = std::function<Result<void>(ByteView)>;
    /// Into `path`; `mark` makes the name beside it this process' own. `mtime_s`: of the files in it.
    SaveFile(io::Files& files, std::string path, const std::string& mark, uint64_t mtime_s);
    /// Into `write`, which nobody can take back.
    SaveFile(Write write, uint64_t mtime_s);
    ~SaveFile() override;
    SaveFile(const SaveFile&) = delete;
    SaveFile& operator=(const SaveFile&) = delete;

    /// Makes the file beside. Errors: conflict (the name exists, and `force` isn't given), io.
    Result<void> open(bool force);
    Result<void> begin(std::string_view name, uint64_t bytes) override;
    Result<void> add(ByteView bytes) override;
    /// Reads all of it back and gives it its name; on error there is none. Errors: damaged (of the member's
    /// files), conflict (the name is taken by now, and `force` wasn't given), io.
    Result<void> finish();
    /// Removes what is there of it. For every way that doesn't end in finish().
    void discard();

    uint64_t bytes() const { return tar_.bytes(); }
    snapshot::Sha256 sha256() { return hasher_.result(); }  // of the file

private:
    Result<void> put(ByteView bytes);
    Error exists_already() const;
    Error io_error(const char* verb, const std::string& path, int number) const;

    io::Files* files_ = nullptr;
    std::string path_, temporary_;
    Write write_;
    io::FileId file_ = io::kNoFile;
    bool made_ = false, force_ = false;
    uint64_t at_ = 0;
    snapshot::Sha256Hasher hasher_;
    snapshot::TarWriter tar_;
};

}  // namespace raftd::cli
