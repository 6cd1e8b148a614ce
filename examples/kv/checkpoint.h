// The state in place of the log's beginning: up to the cluster, and down again.
#pragma once

#include <optional>

#include "client/client.h"
#include "kv/store.h"

namespace kv {

struct Loaded {
    Store store;
    raftd::Lsn upto{};  // the state of all records up to this one; 0: from the first record on
};

/// The newest checkpoint, or an empty store when there is none and the log is whole. Blocks. Errors:
/// not_found (the log's beginning is gone, and nothing stands for it), damaged, and those of the client.
raftd::Result<Loaded> load_newest(raftd::client::Client& client);

/// Uploads the state and has the cluster drop what it stands for, unless another kvd did so since `unless`.
/// Blocks. Gives the LSN of the newest checkpoint there is now.
raftd::Result<raftd::Lsn> upload(raftd::client::Client& client, const Store& store, raftd::Lsn upto,
                                 raftd::Lsn unless);

/// upload() in a process of its own, so that nobody waits for it: fork() gives it the state as of this moment
/// without a copy, and it makes a client of its own.
class Uploader {
public:
    explicit Uploader(raftd::client::SessionOptions options) : options_(std::move(options)) {}
    ~Uploader();
    Uploader(const Uploader&) = delete;
    Uploader& operator=(const Uploader&) = delete;

    bool busy() const { return child_ > 0; }
    void begin(const Store& store, raftd::Lsn upto, raftd::Lsn unless);
    /// The newest checkpoint, once the process has ended; 0: it failed, and said why.
    std::optional<raftd::Lsn> ended();

private:
    raftd::client::SessionOptions options_;
    int child_ = 0;
    int pipe_ = -1;  // its answer comes here
};

}  // namespace kv
